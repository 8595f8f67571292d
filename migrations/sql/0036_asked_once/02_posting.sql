-- What a stage says of its series and days is gathered once, and every question about them is asked of that.

CREATE OR REPLACE FUNCTION ledger_post_staged(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    declared_entries integer, declared_lines integer, declared_debits jsonb,
    approver text DEFAULT NULL, OUT posted_batch bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET jit = off SET work_mem = '64MB' AS $$
DECLARE
    posted_book smallint := ledger_book_id(book_code);
    known posting_batch;
    -- Side by side: each series with each day that it has entries on. Allocations have days alone.
    series text[];
    days date[];
    used_days date[];
    n_used integer;
    reverses boolean;
BEGIN
    IF NOT ledger_stage_is_ours() THEN
        CALL ledger_refuse('HB092', 'Open the stage before posting from it.', '{}');
    END IF;
    SELECT array_agg(e.series), array_agg(e.effective_date), bool_or(e.reverses)
    INTO series, days, reverses
    FROM (SELECT s.series, s.effective_date, bool_or(s.reverses_entry_id IS NOT NULL) AS reverses
        FROM pg_temp.ledger_stage_entry s GROUP BY 1, 2) e;
    SELECT array_agg(a.effective_date), coalesce(sum(a.n), 0)
    INTO used_days, n_used
    FROM (SELECT effective_date, count(*) AS n
        FROM pg_temp.ledger_stage_allocation GROUP BY 1) a;
    IF days IS NULL AND used_days IS NULL THEN
        CALL ledger_refuse('HB002', 'The batch has neither entries nor allocations.', '{}');
    END IF;
    INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash, entry_count,
        line_count, item_count, allocation_count, debit_totals, first_date, last_date, created_by,
        approved_by)
    SELECT posted_book, from_system, from_ref, content_hash, declared_entries, declared_lines,
        (SELECT count(*) FROM pg_temp.ledger_stage_item), n_used, declared_debits,
        min(day), max(day), by_actor, approver
    FROM unnest(days || used_days) d (day)
    ON CONFLICT (source_system, source_ref) DO NOTHING
    RETURNING batch_id INTO posted_batch;
    replayed := posted_batch IS NULL;
    IF replayed THEN
        SELECT * INTO known FROM posting_batch
        WHERE source_system = from_system AND source_ref = from_ref;
        IF known.request_hash <> content_hash THEN
            CALL ledger_refuse('HB016', format('%s/%s was posted as batch %s with other content. '
                'Use a new reference, or send what was sent before.', from_system, from_ref,
                known.batch_id), jsonb_build_object('batch_id', known.batch_id));
        END IF;
        posted_batch := known.batch_id;
        RETURN;
    END IF;
    CALL ledger_check_series(posted_book, series);
    IF reverses THEN
        CALL ledger_check_reversals(posted_book);
    END IF;
    CALL ledger_check_periods(posted_book, series, days, used_days);
    BEGIN
        CALL ledger_insert_lines(posted_batch, posted_book);
        IF n_used > 0 THEN
            CALL ledger_lock_items();
            CALL ledger_insert_allocations(posted_batch, posted_book);
        END IF;
        INSERT INTO event_outbox (batch_id, event_type, content)
        VALUES (posted_batch, 'batch.posted', jsonb_build_object('book', book_code,
            'source_system', from_system, 'source_ref', from_ref, 'entries', declared_entries));
        CALL ledger_insert_headers(posted_batch, posted_book, from_system);
        -- The batch is complete: it is checked as stored and closed now, so a refusal comes here and
        -- not with the commit of whatever else the caller does.
        SET CONSTRAINTS public.check_batch IMMEDIATE;
        SET CONSTRAINTS public.check_batch DEFERRED;
    EXCEPTION
        -- What the chart says of a line comes before what its dimensions and its origin are refused for.
        WHEN SQLSTATE 'HB091' OR SQLSTATE 'HB061' OR SQLSTATE 'HB057'
                OR integrity_constraint_violation OR numeric_value_out_of_range THEN
            CALL ledger_name_fault(posted_book, declared_entries, declared_lines, declared_debits);
            CALL ledger_check_allocations(posted_book);
            RAISE;
    END;
END $$;

CREATE PROCEDURE ledger_check_series(of_book smallint, named text[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    IF NOT EXISTS (SELECT FROM unnest(named) n (code) WHERE NOT EXISTS (
            SELECT FROM voucher_series s WHERE s.book_id = of_book AND s.code = n.code)) THEN
        RETURN;
    END IF;
    SELECT e.entry_index, e.series INTO bad
    FROM pg_temp.ledger_stage_entry e
    LEFT JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
    WHERE s.series_id IS NULL ORDER BY e.entry_index LIMIT 1;
    CALL ledger_refuse('HB011', format('Entry %s: the book has no voucher series %s.',
        bad.entry_index, bad.series),
        jsonb_build_object('entry', bad.entry_index, 'series', bad.series));
END $$;

CREATE PROCEDURE ledger_check_periods(
    of_book smallint, series text[], series_days date[], used_days date[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    by_actor text;
    modules text[];
    days date[];
    near record;
BEGIN
    -- What is effective on a day is so in its own module and, but for the close of a year, in GL.
    WITH staged AS (
        SELECT s.module, e.day FROM unnest(series, series_days) e (code, day)
        JOIN voucher_series s ON s.book_id = of_book AND s.code = e.code
        UNION SELECT 'AR', day FROM unnest(used_days) a (day)),
    touched AS (
        SELECT module, day FROM staged
        UNION SELECT 'GL', day FROM staged WHERE module <> 'YEAR')
    SELECT array_agg(module), array_agg(day) INTO modules, days FROM touched;
    FOR near IN SELECT d.day FROM unnest(days) d (day)
        WHERE NOT EXISTS (SELECT FROM period p WHERE p.book_id = of_book
            AND d.day >= p.starts_on AND d.day < p.ends_on)
        ORDER BY d.day LIMIT 1
    LOOP
        CALL ledger_require_open(of_book, 'GL', near.day, '');
    END LOOP;
    IF 'YEAR' = ANY (modules) THEN
        CALL ledger_check_closing(of_book, modules, days);
    END IF;
    -- Locked in one order by everybody, and looked at only once held.
    PERFORM pg_advisory_xact_lock_shared(fence) FROM (
        SELECT DISTINCT ledger_period_fence(of_book, m.module, d.month) AS fence
        FROM (SELECT DISTINCT module, date_trunc('month', day)::date AS month
            FROM unnest(modules, days) d (module, day)) d,
            LATERAL (VALUES (d.module), ('VAT')) m (module)
        ORDER BY fence OFFSET 0) fences;
    FOR near IN
        SELECT m.module, min(d.day) AS day, p.code, p.starts_on, p.ends_on
        FROM unnest(modules, days) d (module, day)
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

-- What nobody but the close of a year may post to; it is alone in its year, for its sum must be of
-- everything.
CREATE PROCEDURE ledger_check_closing(of_book smallint, modules text[], days date[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    near record;
BEGIN
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
        FROM (SELECT DISTINCT h.fiscal_year FROM unnest(modules, days) d (module, day)
            JOIN period h ON h.book_id = of_book AND d.day >= h.starts_on AND d.day < h.ends_on
            WHERE d.module = 'YEAR') y
        JOIN period p ON p.book_id = of_book AND p.fiscal_year = y.fiscal_year
        GROUP BY y.fiscal_year ORDER BY y.fiscal_year
    LOOP
        CALL ledger_hold_months(of_book, ARRAY['GL'], near.first_day, near.after_day);
    END LOOP;
END $$;

DROP PROCEDURE ledger_check_series(smallint), ledger_check_periods(smallint);
DROP FUNCTION ledger_staged_days(smallint);
