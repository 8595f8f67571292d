-- The commit check also proves, from what is stored, that reversals are mirrors, that undone allocations
-- are undone exactly, and that every day lay in a month that took it from its actor.

CREATE PROCEDURE ledger_check_stored_reversals(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad bigint;
BEGIN
    SELECT e.entry_id INTO bad
    FROM journal_entry e LEFT JOIN journal_entry o ON o.entry_id = e.reverses_entry_id
    WHERE e.entry_id >= b.batch_id << 20 AND e.entry_id < (b.batch_id + 1) << 20
        AND e.reverses_entry_id IS NOT NULL
        AND (o.reverses_entry_id IS NULL AND o.book_id = e.book_id
            AND o.effective_date <= e.effective_date AND o.entry_id >> 20 <> b.batch_id
            AND ledger_is_mirror(e.entry_id, e.effective_date, o.entry_id, o.effective_date))
            IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('entry %s is not the mirror of what it reverses', bad));
    END IF;
    SELECT a.allocation_id INTO bad
    FROM allocation a LEFT JOIN allocation o ON o.allocation_id = a.reverses_allocation_id
    WHERE a.batch_id = b.batch_id AND a.reverses_allocation_id IS NOT NULL
        AND (o.credit_item_id = a.credit_item_id AND o.debit_item_id = a.debit_item_id
            AND o.amount_minor = -a.amount_minor AND o.effective_date <= a.effective_date)
            IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('allocation %s does not undo what it names', bad));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_stored_days(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    near record;
BEGIN
    IF b.allocation_count > 0 THEN
        FOR near IN SELECT DISTINCT a.effective_date AS day, p.code
            FROM allocation a LEFT JOIN period p ON p.book_id = b.book_id
                AND a.effective_date >= p.starts_on AND a.effective_date < p.ends_on
            WHERE a.batch_id = b.batch_id
        LOOP
            IF near.code IS NULL
                    OR NOT ledger_period_admits(b.book_id, near.code, 'AR', b.created_by)
                    OR NOT ledger_period_admits(b.book_id, near.code, 'GL', b.created_by) THEN
                CALL ledger_break(b.batch_id, format('it allocates on %s, in a period that is not '
                    'open', near.day));
            END IF;
        END LOOP;
    END IF;
    FOR near IN SELECT code, starts_on, ends_on FROM period p
        WHERE p.book_id = b.book_id AND p.starts_on <= b.last_date AND p.ends_on > b.first_date
            AND NOT ledger_period_admits(b.book_id, p.code, 'VAT', b.created_by)
    LOOP
        IF EXISTS (SELECT FROM journal_line l JOIN vat_code v USING (vat_code_id)
                WHERE l.entry_id >= b.batch_id << 20 AND l.entry_id < (b.batch_id + 1) << 20
                    AND l.effective_date >= near.starts_on AND l.effective_date < near.ends_on
                    AND ledger_in_vat_return(v.saft_code)) THEN
            CALL ledger_break(b.batch_id, format('it has VAT in %s, which is closed', near.code));
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
        AND ledger_period_admits(b.book_id, p.code, 'GL', b.created_by)
        AND p.code IS NOT NULL) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('series id %s of %s has a number beyond its counter, '
            'or its period is not open', bad.series_id, bad.fiscal_year));
    END IF;
    CALL ledger_check_stored_reversals(b);
    CALL ledger_check_stored_days(b);
END $$;
