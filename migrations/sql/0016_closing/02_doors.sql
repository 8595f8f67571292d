-- What locking, exceptions and posting ask about the year.

CREATE OR REPLACE FUNCTION ledger_keep_hard_lock() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    level text := ledger_period_level(NEW.book_id, NEW.period_code, NEW.module);
    held period;
    left_over bigint;
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
    ELSIF NEW.level = 'open' AND NEW.module = 'GL' THEN
        CALL ledger_require_unclosed_year(NEW.book_id, NEW.period_code);
    ELSIF NEW.level = 'hard' AND NEW.module = 'GL' THEN
        -- Once the last month is locked for good, its year can never be closed.
        SELECT p.* INTO held FROM period p WHERE book_id = NEW.book_id AND code = NEW.period_code
            AND NOT EXISTS (SELECT FROM period l WHERE l.book_id = p.book_id
                AND l.fiscal_year = p.fiscal_year AND l.starts_on > p.starts_on);
        left_over := ledger_result_left(NEW.book_id, (SELECT min(starts_on) FROM period
            WHERE book_id = NEW.book_id AND fiscal_year = held.fiscal_year), held.ends_on);
        IF held.code IS NOT NULL AND left_over <> 0 THEN
            CALL ledger_refuse('HB035', format('The result of %s is not moved to equity yet, and '
                'after this lock it never could be. Close the year first: hovedbok ledger '
                'close-year %s.', held.fiscal_year, held.fiscal_year),
                jsonb_build_object('year', held.fiscal_year, 'left_minor', left_over::text));
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION ledger_keep_exception() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    standing bigint;
BEGIN
    NEW.recorded_at := clock_timestamp();
    SELECT max(lock_event_id) INTO standing FROM period_lock_event
    WHERE book_id = NEW.book_id AND period_code = NEW.period_code AND module = NEW.module;
    IF standing IS DISTINCT FROM NEW.lock_event_id
            OR ledger_period_level(NEW.book_id, NEW.period_code, NEW.module) <> 'soft'
            OR ledger_period_level(NEW.book_id, NEW.period_code, 'GL') = 'hard' THEN
        CALL ledger_refuse('HB026', format('%s is not soft-closed for %s, so there is nothing to '
            'make an exception from.', NEW.period_code, NEW.module), jsonb_build_object(
            'period', NEW.period_code, 'module', NEW.module,
            'level', ledger_period_level(NEW.book_id, NEW.period_code, NEW.module)));
    END IF;
    CALL ledger_require_unclosed_year(NEW.book_id, NEW.period_code);
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION ledger_first_open_day(
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
    ELSIF of_module = 'YEAR' THEN
        -- The close of a year has one day; it is taken back on that day or not at all.
        CALL ledger_require_year_end(of_book, not_before);
        RETURN not_before;
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
CREATE OR REPLACE PROCEDURE ledger_require_open(
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
    ELSIF of_module = 'YEAR' THEN
        CALL ledger_require_year_end(of_book, of_day);
        RETURN;
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

-- The general ledger stands over all but the close of a year, which comes when it is closed.
CREATE OR REPLACE FUNCTION ledger_staged_days(of_book smallint)
RETURNS TABLE (module text, day date)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH staged AS (
        SELECT DISTINCT s.module, e.effective_date AS day
        FROM (SELECT DISTINCT series, effective_date FROM pg_temp.ledger_stage_entry) e
        JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
        UNION
        SELECT 'AR', effective_date FROM pg_temp.ledger_stage_allocation)
    SELECT staged.module, staged.day FROM staged
    UNION SELECT 'GL', staged.day FROM staged WHERE staged.module <> 'YEAR';
END $$;

-- Whoever closes something waits for postings under way, and the later ones wait for the commit.
CREATE PROCEDURE ledger_hold_months(of_book smallint, modules text[], first_day date, after_day date)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(fence) FROM (
        SELECT ledger_period_fence(of_book, m, p.starts_on) AS fence
        FROM period p, unnest(modules) m
        WHERE p.book_id = of_book AND p.starts_on >= first_day AND p.starts_on < after_day
        ORDER BY fence OFFSET 0) fences;
END $$;

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
    -- What nobody but the close of a year may post to; it is alone in its year, for its sum must be
    -- of everything.
    FOR near IN SELECT e.series FROM pg_temp.ledger_stage_entry e
        JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
        WHERE s.module = 'YEAR' AND e.entry_type <> 'reversal' AND 'ledger:closing' <> (
            SELECT source_system FROM posting_batch
            WHERE xid = pg_current_xact_id() ORDER BY batch_id DESC LIMIT 1) LIMIT 1
    LOOP
        CALL ledger_refuse('HB038', format('The series %s takes the close of a year and nothing '
            'else: hovedbok ledger close-year.', near.series),
            jsonb_build_object('series', near.series));
    END LOOP;
    FOR near IN SELECT y.fiscal_year, min(p.starts_on) AS first_day, max(p.ends_on) AS after_day
        FROM (SELECT DISTINCT h.fiscal_year FROM ledger_staged_days(of_book) d
            JOIN period h ON h.book_id = of_book AND d.day >= h.starts_on AND d.day < h.ends_on
            WHERE d.module = 'YEAR') y
        JOIN period p ON p.book_id = of_book AND p.fiscal_year = y.fiscal_year
        GROUP BY y.fiscal_year ORDER BY y.fiscal_year
    LOOP
        CALL ledger_hold_months(of_book, ARRAY['GL'], near.first_day, near.after_day);
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
        HAVING m.module = 'YEAR' OR ledger_period_level(of_book, p.code, m.module) <> 'open'
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
