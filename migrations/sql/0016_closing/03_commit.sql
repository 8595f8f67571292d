-- The commit check also proves, from what is stored, that the close of a year is one and whole.

CREATE PROCEDURE ledger_check_stored_year_end(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    near record;
BEGIN
    FOR near IN
        SELECT e.entry_id, e.effective_date, e.fiscal_year, e.entry_type, s.series_id,
            (SELECT min(starts_on) FROM period p
                WHERE p.book_id = b.book_id AND p.fiscal_year = e.fiscal_year) AS first_day,
            (SELECT max(ends_on) FROM period p
                WHERE p.book_id = b.book_id AND p.fiscal_year = e.fiscal_year) AS after_day
        FROM voucher_series s
        JOIN journal_entry e ON e.book_id = s.book_id AND e.series_id = s.series_id
        WHERE s.book_id = b.book_id AND s.module = 'YEAR'
            AND e.entry_id >= b.batch_id << 20 AND e.entry_id < (b.batch_id + 1) << 20
    LOOP
        IF near.effective_date <> near.after_day - 1
                OR near.entry_type NOT IN ('year_end', 'reversal')
                OR EXISTS (SELECT FROM journal_line l JOIN account a USING (account_id)
                    WHERE l.entry_id = near.entry_id AND l.effective_date = near.effective_date
                        AND a.class NOT IN ('D', 'Q')) THEN
            CALL ledger_break(b.batch_id, format('entry %s of %s does not only move its result to '
                'equity on its last day', near.entry_id, near.fiscal_year));
        ELSIF (SELECT count(*) FROM journal_entry e
                WHERE e.book_id = b.book_id AND e.series_id = near.series_id
                    AND e.fiscal_year = near.fiscal_year AND e.entry_type = 'year_end'
                    AND NOT EXISTS (SELECT FROM journal_entry r
                        WHERE r.reverses_entry_id = e.entry_id)) > 1 THEN
            CALL ledger_break(b.batch_id, format('%s was closed before', near.fiscal_year));
        ELSIF near.entry_type = 'year_end'
                AND ledger_year_end(b.book_id, near.fiscal_year) IS NOT NULL
                AND ledger_result_left(b.book_id, '-infinity', near.after_day) <> 0 THEN
            CALL ledger_break(b.batch_id, format('after the close of %s a result is left over',
                near.fiscal_year));
        END IF;
    END LOOP;
END $$;

-- Numbers lie within their counter, and no period was locked behind the back of the fence.
CREATE OR REPLACE PROCEDURE ledger_check_stored_numbers(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT e.series_id, e.fiscal_year INTO bad
    FROM (SELECT series_id, fiscal_year, date_trunc('month', effective_date)::date AS month,
            max(voucher_no) AS high_no
        FROM journal_entry
        WHERE entry_id >= b.batch_id << 20 AND entry_id < (b.batch_id + 1) << 20
        GROUP BY 1, 2, 3) e
    LEFT JOIN voucher_series s ON s.series_id = e.series_id AND s.book_id = b.book_id
    LEFT JOIN voucher_counter c ON c.series_id = e.series_id AND c.fiscal_year = e.fiscal_year
    LEFT JOIN period p ON p.book_id = b.book_id AND p.starts_on = e.month
        AND p.fiscal_year = e.fiscal_year
    WHERE (e.high_no <= c.last_no AND s.series_id IS NOT NULL
        AND ledger_period_admits(b.book_id, p.code, s.module, b.created_by)
        AND (s.module = 'YEAR' OR ledger_period_admits(b.book_id, p.code, 'GL', b.created_by))
        AND p.code IS NOT NULL) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('series id %s of %s has a number beyond its counter, '
            'or its period is not open', bad.series_id, bad.fiscal_year));
    END IF;
    CALL ledger_check_stored_reversals(b);
    CALL ledger_check_stored_days(b);
    CALL ledger_check_stored_year_end(b);
END $$;
