-- What holds for whoever inserts: order of versions, other eyes, and that what is posted was approved.

-- One writer per draft: an edit waits for the approval that is under way, and then finds it posted.
CREATE PROCEDURE ledger_hold_draft(of_draft bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM journal_draft WHERE draft_id = of_draft FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        CALL ledger_refuse('HB050', format('There is no draft %s.', of_draft),
            jsonb_build_object('draft_id', of_draft));
    END IF;
    IF EXISTS (SELECT FROM draft_posted WHERE draft_id = of_draft) THEN
        CALL ledger_refuse('HB052', format('Draft %s is posted and final. To undo it, reverse its '
            'entry.', of_draft), jsonb_build_object('draft_id', of_draft));
    END IF;
END $$;

CREATE FUNCTION ledger_draft_latest(of_draft bigint) RETURNS integer
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(max(version_no), 0) FROM draft_version WHERE draft_id = of_draft
$$;

CREATE FUNCTION ledger_keep_draft_order() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    latest integer;
BEGIN
    CALL ledger_hold_draft(NEW.draft_id);
    latest := ledger_draft_latest(NEW.draft_id);
    IF NEW.version_no <> latest + 1 THEN
        CALL ledger_refuse('HB051', format('Draft %s is at version %s by now. Read it again and '
            'repeat your change on that.', NEW.draft_id, latest),
            jsonb_build_object('draft_id', NEW.draft_id, 'version', latest));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_draft_order BEFORE INSERT ON draft_version
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_draft_order();

CREATE FUNCTION ledger_require_other_eyes() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    judged draft_version;
    known draft_approval;
BEGIN
    CALL ledger_hold_draft(NEW.draft_id);
    SELECT * INTO judged FROM draft_version
    WHERE draft_id = NEW.draft_id ORDER BY version_no DESC LIMIT 1;
    IF (judged.version_no, judged.content_hash)
            IS DISTINCT FROM (NEW.version_no, NEW.content_hash) THEN
        CALL ledger_refuse('HB051', format('Draft %s is at version %s by now, and that is not what '
            'you read. Read it again and decide on that.', NEW.draft_id, judged.version_no),
            jsonb_build_object('draft_id', NEW.draft_id, 'version', judged.version_no));
    END IF;
    SELECT * INTO known FROM draft_approval
    WHERE draft_id = NEW.draft_id AND version_no = NEW.version_no;
    IF known.draft_id IS NOT NULL OR NOT judged.ready THEN
        CALL ledger_refuse('HB053', format('Version %s of draft %s %s.', NEW.version_no,
            NEW.draft_id, coalesce('was ' || known.verdict || ' by ' || known.approver
            || '; its author changes it first', 'has not been submitted')),
            jsonb_build_object('draft_id', NEW.draft_id, 'version', NEW.version_no));
    END IF;
    IF EXISTS (SELECT FROM draft_version
            WHERE draft_id = NEW.draft_id AND author = NEW.approver)
            OR EXISTS (SELECT FROM journal_draft
            WHERE draft_id = NEW.draft_id AND created_by = NEW.approver) THEN
        CALL ledger_refuse('HB054', format('%s has written on draft %s and so cannot judge it. '
            'Another person must.', NEW.approver, NEW.draft_id),
            jsonb_build_object('draft_id', NEW.draft_id, 'approver', NEW.approver));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER require_other_eyes BEFORE INSERT ON draft_approval
    FOR EACH ROW EXECUTE FUNCTION ledger_require_other_eyes();

-- Is there a rule in force on a day that asks for an approval of such an entry? [base minor units]
CREATE FUNCTION ledger_approval_needed(
    of_book smallint, of_types text[], accounts text[], debit_minor numeric, on_day date)
RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM (
            SELECT DISTINCT ON (entry_type, account_prefix) account_prefix, amount_from_minor
            FROM approval_policy
            WHERE book_id = of_book AND entry_type = ANY (of_types) AND valid_from <= on_day
            ORDER BY entry_type, account_prefix, valid_from DESC) in_force
        WHERE amount_from_minor <= debit_minor
            AND EXISTS (SELECT FROM unnest(accounts) a WHERE starts_with(a, account_prefix)))
$$;

CREATE FUNCTION ledger_policy_day() RETURNS date
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT (clock_timestamp() AT TIME ZONE 'Europe/Oslo')::date
$$;

-- A draft became a batch: its own, by the author of that version, and approved where a rule says so.
CREATE FUNCTION ledger_require_approval() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    written draft_version;
    posted posting_batch;
    entry_types text[];
    accounts text[];
    debit numeric;
    approved_by text;
BEGIN
    CALL ledger_hold_draft(NEW.draft_id);
    SELECT * INTO written FROM draft_version
    WHERE draft_id = NEW.draft_id ORDER BY version_no DESC LIMIT 1;
    SELECT * INTO posted FROM posting_batch WHERE batch_id = NEW.batch_id;
    SELECT approver INTO approved_by FROM draft_approval
    WHERE draft_id = NEW.draft_id AND version_no = NEW.version_no AND verdict = 'approved';
    IF (posted.source_system, posted.source_ref, posted.created_by, posted.approved_by,
            posted.xid, written.version_no, written.ready)
            IS DISTINCT FROM ('manual', 'draft/' || NEW.draft_id, written.author, approved_by,
            pg_current_xact_id(), NEW.version_no, true) THEN
        CALL ledger_refuse('HB091', format('Batch %s is not draft %s as it was written and approved.',
            NEW.batch_id, NEW.draft_id),
            jsonb_build_object('draft_id', NEW.draft_id, 'batch_id', NEW.batch_id));
    END IF;
    SELECT array_agg(DISTINCT e.entry_type), array_agg(DISTINCT a.number),
        sum(greatest(l.base_minor, 0))
    INTO entry_types, accounts, debit
    FROM journal_entry e
    JOIN journal_line l ON l.entry_id = e.entry_id AND l.effective_date = e.effective_date
    JOIN account a ON a.account_id = l.account_id
    WHERE e.entry_id >= NEW.batch_id << 20 AND e.entry_id < (NEW.batch_id + 1) << 20;
    IF approved_by IS NULL AND ledger_approval_needed(
            posted.book_id, entry_types, accounts, debit, ledger_policy_day()) THEN
        CALL ledger_refuse('HB055', format('Draft %s needs the approval of another person before '
            'it is posted.', NEW.draft_id), jsonb_build_object('draft_id', NEW.draft_id));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER require_approval BEFORE INSERT ON draft_posted
    FOR EACH ROW EXECUTE FUNCTION ledger_require_approval();

-- A rule never reaches back, and a book is never without one: from its first day every manual journal
-- needs another person.
CREATE FUNCTION ledger_keep_policy_dates() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.valid_from < ledger_policy_day() AND EXISTS (
            SELECT FROM approval_policy WHERE book_id = NEW.book_id) THEN
        CALL ledger_refuse('HB056', format('An approval rule cannot begin on %s, which is past. Let '
            'it begin on %s or later.', NEW.valid_from, ledger_policy_day()),
            jsonb_build_object('valid_from', NEW.valid_from, 'earliest', ledger_policy_day()));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_policy_dates BEFORE INSERT ON approval_policy
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_policy_dates();

CREATE FUNCTION ledger_seed_approval_policy() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO approval_policy (book_id, entry_type, account_prefix, amount_from_minor,
        valid_from, actor)
    VALUES (NEW.book_id, 'manual', '', 0, '2000-01-01', 'system:new-book');
    RETURN NULL;
END $$;
CREATE TRIGGER seed_approval_policy AFTER INSERT ON book
    FOR EACH ROW EXECUTE FUNCTION ledger_seed_approval_policy();
INSERT INTO approval_policy (book_id, entry_type, account_prefix, amount_from_minor, valid_from,
    actor)
SELECT book_id, 'manual', '', 0, '2000-01-01', 'system:new-book' FROM book;

-- Accounts that a sub-ledger or a run keeps are closed to what a person writes. Lines are inserted before
-- their headers, so they are all there when this looks.
CREATE FUNCTION ledger_refuse_manual() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT l.line_no, a.number, a.name INTO bad
    FROM journal_line l JOIN account a ON a.account_id = l.account_id
    WHERE l.entry_id = NEW.entry_id AND l.effective_date = NEW.effective_date
        AND NOT a.manual_post_allowed
    ORDER BY l.line_no LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB057', format('Line %s: account %s %s takes no manual journals. Use the '
            'journal of its own system, or another account.', bad.line_no, bad.number, bad.name),
            jsonb_build_object('line', bad.line_no, 'account', bad.number,
                'pointer', format('/lines/%s/account', bad.line_no - 1)));
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse_manual AFTER INSERT ON journal_entry
    DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW WHEN (NEW.entry_type = 'manual')
    EXECUTE FUNCTION ledger_refuse_manual();
