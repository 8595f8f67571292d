-- Locking: a reason is owed, a hard lock is final, and a reopening may have a term.

CREATE OR REPLACE FUNCTION ledger_keep_hard_lock() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    level text := ledger_period_level(NEW.book_id, NEW.period_code, NEW.module);
BEGIN
    -- A hard lock of the general ledger stands over every module.
    IF level = 'hard' OR (NEW.level = 'open'
            AND ledger_period_level(NEW.book_id, NEW.period_code, 'GL') = 'hard') THEN
        CALL ledger_refuse('HB014', format('Period %s is locked for good for %s.',
            NEW.period_code, CASE level WHEN 'hard' THEN NEW.module ELSE 'GL' END),
            jsonb_build_object('period', NEW.period_code, 'module', NEW.module));
    ELSIF btrim(NEW.reason) = '' OR (NEW.expires_at IS NOT NULL
            AND (NEW.level <> 'open' OR level <> 'soft' OR NEW.expires_at <= now())) THEN
        CALL ledger_refuse('HB025', format('The lock of %s for %s needs a reason, and only a '
            'soft-closed period is reopened with a term, which lies ahead.',
            NEW.period_code, NEW.module),
            jsonb_build_object('period', NEW.period_code, 'module', NEW.module));
    END IF;
    RETURN NEW;
END $$;

DROP FUNCTION ledger_lock_period(text, text, text, text, text, text);
CREATE FUNCTION ledger_lock_period(
    book_code text, locked_code text, locked_module text, new_level text, by_actor text, why text,
    until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    locked_book smallint := ledger_book_id(book_code);
    locked period;
    event bigint;
BEGIN
    SELECT * INTO locked FROM period WHERE book_id = locked_book AND code = locked_code;
    IF locked.code IS NULL THEN
        CALL ledger_refuse('HB012', format('Book %s has no period %s. Open its year first.',
            book_code, locked_code), jsonb_build_object('period', locked_code));
    END IF;
    -- What this transaction itself has posted is checked now, while the period is still open to it.
    SET CONSTRAINTS public.check_batch IMMEDIATE;
    SET CONSTRAINTS public.check_batch DEFERRED;
    -- Waits for every posting that has passed the check; later ones wait for this commit.
    PERFORM pg_advisory_xact_lock(ledger_period_fence(locked_book, locked_module, locked.starts_on));
    INSERT INTO period_lock_event (book_id, period_code, module, level, actor, reason, expires_at)
    VALUES (locked_book, locked_code, locked_module, new_level, by_actor, why, until)
    RETURNING lock_event_id INTO event;
    RETURN event;
END $$;

-- The first day from which every one of some modules is open.
CREATE FUNCTION ledger_next_open_day(of_book smallint, modules text[], not_before date)
RETURNS date LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT min(greatest(p.starts_on, not_before)) FROM period p
    WHERE p.book_id = of_book AND p.ends_on > not_before AND NOT EXISTS (
        SELECT FROM unnest(modules) m
        WHERE ledger_period_level(of_book, p.code, m) <> 'open')
$$;

-- The same by the names that a caller knows: the series says the module.
CREATE FUNCTION ledger_first_open_day(
    book_code text, series_code text, not_before date, with_vat boolean)
RETURNS date
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    of_module text;
    found_day date;
BEGIN
    SELECT module INTO of_module FROM voucher_series
    WHERE book_id = of_book AND code = series_code;
    IF of_module IS NULL THEN
        CALL ledger_refuse('HB011', format('Book %s has no voucher series %s.', book_code,
            series_code), jsonb_build_object('series', series_code));
    END IF;
    found_day := ledger_next_open_day(of_book,
        ARRAY['GL', of_module] || CASE WHEN with_vat THEN ARRAY['VAT'] ELSE '{}' END, not_before);
    IF found_day IS NULL THEN
        CALL ledger_refuse('HB012', format('Book %s has no open day for %s from %s on. Open the '
            'next year first.', book_code, series_code, not_before),
            jsonb_build_object('effective_date', not_before));
    END IF;
    RETURN found_day;
END $$;

-- Refuse a day that lies in no period, or in one that is closed to the actor.
CREATE PROCEDURE ledger_require_open(
    of_book smallint, of_module text, of_day date, by_actor text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    held text;
    first_open date;
BEGIN
    SELECT code INTO held FROM period
    WHERE book_id = of_book AND of_day >= starts_on AND of_day < ends_on;
    IF held IS NULL THEN
        CALL ledger_refuse('HB012', format('No accounting period holds %s. Open the periods of '
            'that year first.', of_day), jsonb_build_object('effective_date', of_day));
    ELSIF ledger_period_admits(of_book, held, of_module, by_actor) THEN
        RETURN;
    END IF;
    first_open := ledger_next_open_day(of_book, ARRAY[of_module, 'GL'], of_day);
    CALL ledger_refuse('HB013', format('%s is in %s, which is closed (%s) for %s. %s', of_day,
        held, ledger_period_level(of_book, held, of_module), of_module,
        coalesce(format('Use %s or later.', first_open), 'Open a later period first.')),
        jsonb_build_object('effective_date', of_day, 'period', held,
            'level', ledger_period_level(of_book, held, of_module),
            'module', of_module, 'first_open_day', first_open));
END $$;

-- What a VAT return is made of: every code but those of no VAT treatment.
CREATE FUNCTION ledger_in_vat_return(saft_code text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT saft_code NOT IN ('0', '7')
$$;

CREATE OR REPLACE PROCEDURE ledger_check_periods(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    by_actor text;
    near record;
BEGIN
    FOR near IN SELECT d.day FROM ledger_staged_days(of_book) d
        WHERE NOT EXISTS (SELECT FROM period p WHERE p.book_id = of_book
            AND d.day >= p.starts_on AND d.day < p.ends_on)
        ORDER BY d.day LIMIT 1
    LOOP
        CALL ledger_require_open(of_book, 'GL', near.day, '');
    END LOOP;
    -- Locked in one order by everybody, and looked at only once held.
    PERFORM pg_advisory_xact_lock_shared(fence) FROM (
        SELECT DISTINCT ledger_period_fence(of_book, m.module, d.month) AS fence
        FROM (SELECT DISTINCT module, date_trunc('month', day)::date AS month
            FROM ledger_staged_days(of_book)) d,
            LATERAL (VALUES (d.module), ('VAT')) m (module)
        ORDER BY fence OFFSET 0) fences;
    FOR near IN
        SELECT m.module, min(d.day) AS day, p.code, p.starts_on, p.ends_on
        FROM ledger_staged_days(of_book) d
        JOIN period p ON p.book_id = of_book AND d.day >= p.starts_on AND d.day < p.ends_on,
            LATERAL (VALUES (d.module), ('VAT')) m (module)
        GROUP BY m.module, p.code, p.starts_on, p.ends_on
        HAVING ledger_period_level(of_book, p.code, m.module) <> 'open'
        ORDER BY min(d.day), m.module
    LOOP
        -- The module of the VAT return is touched only by lines that would be in it.
        CONTINUE WHEN near.module = 'VAT' AND NOT EXISTS (
            SELECT FROM pg_temp.ledger_stage_line l
            JOIN pg_temp.ledger_stage_entry e USING (entry_index)
            JOIN vat_code v ON v.book_id = of_book AND v.code = l.vat_code
            WHERE e.effective_date >= near.starts_on AND e.effective_date < near.ends_on
                AND ledger_in_vat_return(v.saft_code))
            AND NOT EXISTS (
            SELECT FROM pg_temp.ledger_stage_entry e
            JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
            WHERE s.module = 'VAT'
                AND e.effective_date >= near.starts_on AND e.effective_date < near.ends_on);
        -- The batch that is being posted is the last of this transaction.
        by_actor := coalesce(by_actor, (SELECT created_by FROM posting_batch
            WHERE xid = pg_current_xact_id() ORDER BY batch_id DESC LIMIT 1));
        CALL ledger_require_open(of_book, near.module, near.day, by_actor);
    END LOOP;
END $$;
