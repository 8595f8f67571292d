-- Evidence of a close: what each check of a month found, who looked, and what they had to go by.

CREATE TABLE close_checklist (
    checklist_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_close_checklist PRIMARY KEY,
    book_id smallint NOT NULL,
    period_code text COLLATE "C" NOT NULL,
    -- What the period was closed as on the strength of it, in the same transaction; none: a look.
    closes_as text CONSTRAINT ck_close_checklist_closes_as CHECK (closes_as IN ('soft', 'hard')),
    actor text NOT NULL,
    -- The last seal position when it was run; what came after it the checks may have seen too.
    known_as_of bigint NOT NULL,
    content jsonb NOT NULL CONSTRAINT ck_close_checklist_content CHECK (
        (jsonb_typeof(content -> 'checks') = 'array' AND content -> 'checks' <> '[]') IS TRUE),
    content_hash bytea NOT NULL
        CONSTRAINT ck_close_checklist_content_hash CHECK (octet_length(content_hash) = 32),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT fk_close_checklist_period FOREIGN KEY (book_id, period_code)
        REFERENCES period (book_id, code)
);
CREATE INDEX ix_close_checklist_period ON close_checklist (book_id, period_code, checklist_id);

-- A waiver is of one result, by its hash: when the figures change, it does not hold any more.
CREATE TABLE check_waiver (
    waiver_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_check_waiver PRIMARY KEY,
    checklist_id bigint NOT NULL
        CONSTRAINT fk_check_waiver_checklist_id REFERENCES close_checklist,
    check_code text COLLATE "C" NOT NULL,
    result_hash bytea NOT NULL
        CONSTRAINT ck_check_waiver_result_hash CHECK (octet_length(result_hash) = 32),
    actor text NOT NULL,
    reason text NOT NULL CONSTRAINT ck_check_waiver_reason CHECK (btrim(reason) <> ''),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_check_waiver UNIQUE (checklist_id, check_code)
);
CALL ledger_guard_fact('close_checklist');
CALL ledger_guard_fact('check_waiver');

-- Nothing is closed over what is open or blocked, nor over a waiver that nobody gave.
CREATE FUNCTION ledger_keep_checklist() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT c ->> 'code' AS code, c ->> 'state' AS state INTO bad
    FROM jsonb_array_elements(NEW.content -> 'checks') c
    WHERE c ->> 'state' NOT IN ('ok', 'waived') OR (c ->> 'state' = 'waived' AND NOT EXISTS (
        SELECT FROM check_waiver w JOIN close_checklist r USING (checklist_id)
        WHERE r.book_id = NEW.book_id AND r.period_code = NEW.period_code
            AND w.check_code = c ->> 'code'
            AND w.result_hash = decode(c ->> 'result_hash', 'hex')))
    LIMIT 1;
    IF FOUND AND NEW.closes_as IS NOT NULL THEN
        CALL ledger_refuse('HB036', format('%s stays open: the check %s is %s and nobody has '
            'waived it.', NEW.period_code, bad.code, bad.state),
            jsonb_build_object('period', NEW.period_code, 'check', bad.code));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_checklist BEFORE INSERT ON close_checklist
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_checklist();

CREATE FUNCTION ledger_keep_waiver() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    found_state text;
BEGIN
    SELECT c ->> 'state' INTO found_state
    FROM close_checklist r, jsonb_array_elements(r.content -> 'checks') c
    WHERE r.checklist_id = NEW.checklist_id AND c ->> 'code' = NEW.check_code
        AND decode(c ->> 'result_hash', 'hex') = NEW.result_hash;
    IF found_state IS DISTINCT FROM 'open' THEN
        CALL ledger_refuse('HB037', format('The check %s cannot be waived: on checklist %s it '
            '%s.', NEW.check_code, NEW.checklist_id, CASE found_state
            WHEN 'blocked' THEN 'is blocked, and has to be put right'
            WHEN 'waived' THEN 'is waived already'
            WHEN 'ok' THEN 'is in order' ELSE 'does not stand so' END),
            jsonb_build_object('check', NEW.check_code, 'checklist_id', NEW.checklist_id,
                'state', found_state));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_waiver BEFORE INSERT ON check_waiver
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_waiver();

CREATE FUNCTION ledger_record_checklist(book_code text, of_period text, by_actor text,
    known bigint, told jsonb, told_hash bytea, closing text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    recorded bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM period WHERE book_id = of_book AND code = of_period) THEN
        CALL ledger_refuse('HB012', format('Book %s has no period %s. Open its year first.',
            book_code, of_period), jsonb_build_object('period', of_period));
    END IF;
    INSERT INTO close_checklist (book_id, period_code, closes_as, actor, known_as_of, content,
        content_hash)
    VALUES (of_book, of_period, closing, by_actor, known, told, told_hash)
    RETURNING checklist_id INTO recorded;
    RETURN recorded;
END $$;

CREATE FUNCTION ledger_waive_check(of_checklist bigint, of_check text, of_result bytea,
    by_actor text, why text)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO check_waiver (checklist_id, check_code, result_hash, actor, reason)
    VALUES (of_checklist, of_check, of_result, by_actor, why) RETURNING waiver_id
$$;

-- Hold a period alone, every module of it, before its checks are run.
CREATE FUNCTION ledger_hold_period(book_code text, of_period text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    held period;
BEGIN
    SELECT * INTO held FROM period
    WHERE book_id = ledger_book_id(book_code) AND code = of_period;
    IF held.code IS NULL THEN
        CALL ledger_refuse('HB012', format('Book %s has no period %s. Open its year first.',
            book_code, of_period), jsonb_build_object('period', of_period));
    END IF;
    CALL ledger_hold_months(held.book_id, ARRAY['GL', 'AR', 'BILLING', 'VAT'], held.starts_on,
        held.ends_on);
END $$;

-- Lock every module that is not as closed yet, and say on what evidence.
CREATE FUNCTION ledger_close_period(book_code text, of_period text, new_level text,
    by_actor text, known bigint, told jsonb, told_hash bytea)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    recorded bigint;
    of_module text;
BEGIN
    PERFORM ledger_hold_period(book_code, of_period);
    recorded := ledger_record_checklist(book_code, of_period, by_actor, known, told, told_hash,
        new_level);
    FOREACH of_module IN ARRAY ARRAY['GL', 'AR', 'BILLING', 'VAT'] LOOP
        CONTINUE WHEN ledger_period_level(ledger_book_id(book_code), of_period, of_module)
            IN ('hard', new_level);
        PERFORM ledger_lock_period(book_code, of_period, of_module, new_level, by_actor,
            format('Closed on checklist %s', recorded));
    END LOOP;
    RETURN recorded;
END $$;

-- Hold a year alone; gives the entry that closed it, or refuses where it cannot be closed now.
CREATE FUNCTION ledger_hold_year(book_code text, of_year integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    last_month period;
    first_day date;
    closed_by bigint;
BEGIN
    SELECT * INTO last_month FROM period WHERE book_id = of_book AND fiscal_year = of_year
    ORDER BY starts_on DESC LIMIT 1;
    IF last_month.code IS NULL THEN
        CALL ledger_refuse('HB012', format('Book %s has no periods of %s. Open the year first: '
            'hovedbok ledger init --year %s.', book_code, of_year, of_year),
            jsonb_build_object('year', of_year));
    END IF;
    SELECT min(starts_on) INTO first_day FROM period
    WHERE book_id = of_book AND fiscal_year = of_year;
    CALL ledger_hold_months(of_book, ARRAY['GL'], first_day, last_month.ends_on);
    closed_by := ledger_year_end(of_book, of_year);
    IF closed_by IS NULL THEN
        CALL ledger_require_year_end(of_book, last_month.ends_on - 1);
    END IF;
    RETURN closed_by;
END $$;
