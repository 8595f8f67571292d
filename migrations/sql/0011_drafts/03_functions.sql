-- The verbs that the service may call; it inserts into no table of drafts itself.

-- Open a draft, or find the one that this request opened before.
CREATE FUNCTION ledger_open_draft(book_code text, by_actor text, by_key text,
    OUT opened bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO journal_draft (book_id, created_by, request_key)
    VALUES (ledger_book_id(book_code), by_actor, by_key)
    ON CONFLICT (created_by, request_key) DO NOTHING RETURNING draft_id INTO opened;
    replayed := opened IS NULL;
    IF replayed THEN
        SELECT draft_id INTO opened FROM journal_draft
        WHERE created_by = by_actor AND request_key = by_key;
    END IF;
END $$;

-- Append the version after the one that its author has read (0 for the first).
CREATE FUNCTION ledger_write_draft(of_draft bigint, after_version integer, new_content jsonb,
    new_hash bytea, is_ready boolean, by_actor text)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO draft_version (draft_id, version_no, ready, author, content, content_hash)
    VALUES (of_draft, after_version + 1, is_ready, by_actor, new_content, new_hash);
    INSERT INTO draft_attachment (draft_id, version_no, sha256, name, size, media_type, added_by)
    SELECT of_draft, after_version + 1, f.sha256, f.name, f.size, f.media_type, by_actor
    FROM jsonb_to_recordset(new_content -> 'attachments')
        AS f (sha256 text, name text, size bigint, media_type text)
    ON CONFLICT (draft_id, sha256) DO NOTHING;
    RETURN after_version + 1;
END $$;

CREATE FUNCTION ledger_judge_draft(of_draft bigint, of_version integer, of_hash bytea,
    by_actor text, its_verdict text, why text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO draft_approval (draft_id, version_no, content_hash, approver, verdict, comment)
    VALUES (of_draft, of_version, of_hash, by_actor, its_verdict, why);
END $$;

CREATE FUNCTION ledger_close_draft(of_draft bigint, of_version integer, as_batch bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO draft_posted (draft_id, version_no, batch_id)
    VALUES (of_draft, of_version, as_batch);
END $$;

-- The same rule and day again, with the same amount, is the same rule.
CREATE FUNCTION ledger_set_approval_policy(book_code text, of_type text, prefix text,
    from_minor bigint, from_day date, by_actor text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    known approval_policy;
BEGIN
    SELECT * INTO known FROM approval_policy WHERE book_id = of_book AND entry_type = of_type
        AND account_prefix = prefix AND valid_from = from_day;
    IF known.book_id IS NULL THEN
        INSERT INTO approval_policy (book_id, entry_type, account_prefix, amount_from_minor,
            valid_from, actor)
        VALUES (of_book, of_type, prefix, from_minor, from_day, by_actor);
    ELSIF known.amount_from_minor IS DISTINCT FROM from_minor THEN
        CALL ledger_refuse('HB056', format('The rule of %s for %s on accounts %s* was set by %s. '
            'Let the next begin on a later day.', from_day, of_type, prefix, known.actor),
            jsonb_build_object('valid_from', from_day));
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION ledger_open_draft(text, text, text),
    ledger_write_draft(bigint, integer, jsonb, bytea, boolean, text),
    ledger_judge_draft(bigint, integer, bytea, text, text, text),
    ledger_close_draft(bigint, integer, bigint),
    ledger_set_approval_policy(text, text, text, bigint, date, text),
    ledger_approval_needed(smallint, text[], text[], numeric, date), ledger_policy_day()
    TO hovedbok_service;
GRANT SELECT ON journal_draft, draft_version, draft_attachment, draft_approval, draft_posted,
    approval_policy TO hovedbok_service, hovedbok_auditor;
