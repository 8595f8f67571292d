-- The days of a stage are gathered once, not with each question about them.

CREATE OR REPLACE PROCEDURE ledger_check_periods(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    by_actor text;
    modules text[];
    days date[];
    near record;
BEGIN
    SELECT array_agg(d.module), array_agg(d.day) INTO modules, days
    FROM ledger_staged_days(of_book) d;
    FOR near IN SELECT d.day FROM unnest(days) d (day)
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
        FROM (SELECT DISTINCT h.fiscal_year FROM unnest(modules, days) d (module, day)
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
