-- The core guarantee: at commit, each batch is recomputed from what is stored, then closed for ever.
-- It asks nothing of the posting functions, so it holds for whoever inserted the rows. Tables grow by a
-- whole batch between two calls, hence plans are never kept.

CREATE PROCEDURE ledger_break(of_batch bigint, what text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    CALL ledger_refuse('HB091', format('Batch %s does not agree with itself: %s.', of_batch, what),
        jsonb_build_object('batch_id', of_batch, 'fault', what));
END $$;

CREATE PROCEDURE ledger_check_stored_entries(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
DECLARE
    low bigint := b.batch_id << 20;
    high bigint := (b.batch_id + 1) << 20;
    entries bigint;
    lines bigint;
    debits jsonb;
    bad bigint;
BEGIN
    WITH by_currency AS MATERIALIZED (
        SELECT entry_id, currency, sum(amount_minor) AS amount, sum(base_minor) AS base,
            sum(greatest(amount_minor, 0)) AS debit, count(*) AS n, max(line_no) AS high_no,
            min(line_no) AS low_no, min(effective_date) AS first_date,
            max(effective_date) AS last_date
        FROM journal_line
        WHERE entry_id >= low AND entry_id < high
            AND effective_date BETWEEN b.first_date AND b.last_date
        GROUP BY entry_id, currency),
    by_entry AS (
        SELECT entry_id, bool_or(amount <> 0) AS unbalanced, sum(base) AS base, sum(n) AS n,
            min(low_no) AS low_no, max(high_no) AS high_no, min(first_date) AS first_date,
            max(last_date) AS last_date
        FROM by_currency GROUP BY entry_id),
    header AS (SELECT * FROM journal_entry WHERE entry_id >= low AND entry_id < high)
    SELECT count(h.entry_id), coalesce(sum(s.n), 0), min(entry_id) FILTER (WHERE
        (s.unbalanced OR s.base <> 0 OR s.low_no <> 1 OR s.high_no <> s.n OR s.n <> h.line_count
        OR s.first_date <> h.effective_date OR s.last_date <> h.effective_date
        OR h.book_id <> b.book_id OR h.source_system <> b.source_system) IS NOT FALSE),
        (SELECT coalesce(jsonb_object_agg(currency, debit), '{}') FROM (
            SELECT currency, sum(debit) AS debit FROM by_currency
            GROUP BY currency HAVING sum(debit) > 0) d)
    INTO entries, lines, bad, debits
    FROM by_entry s FULL JOIN header h USING (entry_id);
    IF bad IS NOT NULL THEN
        CALL ledger_break(b.batch_id, format('entry %s is unbalanced, incomplete or orphaned', bad));
    ELSIF (entries, lines, debits) IS DISTINCT FROM
            (b.entry_count::bigint, b.line_count::bigint, b.debit_totals) THEN
        CALL ledger_break(b.batch_id, format('it holds %s entries, %s lines and debits %s',
            entries, lines, debits));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_stored_deltas(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
DECLARE
    bad integer;
BEGIN
    SELECT coalesce(l.account_id, d.account_id) INTO bad
    FROM (
        SELECT account_id, currency, dim_set_id, effective_date,
            sum(greatest(amount_minor, 0)) AS debit, sum(greatest(-amount_minor, 0)) AS credit,
            sum(greatest(base_minor, 0)) AS base_debit,
            sum(greatest(-base_minor, 0)) AS base_credit, count(*) AS n
        FROM journal_line
        WHERE entry_id >= b.batch_id << 20 AND entry_id < (b.batch_id + 1) << 20
            AND effective_date BETWEEN b.first_date AND b.last_date
        GROUP BY 1, 2, 3, 4) l
    FULL JOIN (
        SELECT account_id, currency, dim_set_id, effective_date, book_id,
            sum(debit_minor) AS debit, sum(credit_minor) AS credit,
            sum(base_debit_minor) AS base_debit, sum(base_credit_minor) AS base_credit,
            sum(line_count) AS n
        FROM balance_delta
        WHERE batch_id = b.batch_id AND effective_date BETWEEN b.first_date AND b.last_date
        GROUP BY 1, 2, 3, 4, 5) d
    USING (account_id, currency, dim_set_id, effective_date)
    LEFT JOIN account a ON a.account_id = coalesce(l.account_id, d.account_id)
    WHERE (l.debit, l.credit, l.base_debit, l.base_credit, l.n)
            IS DISTINCT FROM (d.debit, d.credit, d.base_debit, d.base_credit, d.n)
        OR d.book_id <> b.book_id OR a.book_id IS DISTINCT FROM b.book_id
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('its deltas on account id %s are not its lines', bad));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_stored_items(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
DECLARE
    low bigint := b.batch_id << 20;
    high bigint := (b.batch_id + 1) << 20;
    items bigint;
    bad bigint;
BEGIN
    WITH item AS (SELECT * FROM open_item WHERE open_item_id >= low AND open_item_id < high),
    line AS (
        SELECT l.*, a.open_item, a.party_required
        FROM journal_line l JOIN account a ON a.account_id = l.account_id
        WHERE l.entry_id >= low AND l.entry_id < high
            AND l.effective_date BETWEEN b.first_date AND b.last_date
            AND (a.open_item OR l.open_item_id IS NOT NULL OR a.party_required))
    SELECT count(i.open_item_id), min(coalesce(l.entry_id, i.entry_id)) FILTER (WHERE
        (l.party_required AND l.party_id IS NULL)
        OR (l.open_item OR l.open_item_id IS NOT NULL OR i.open_item_id IS NOT NULL)
        AND (l.entry_id, l.line_no, l.account_id, l.currency, l.amount_minor, l.base_minor,
                l.effective_date, l.open_item, b.book_id, l.party_id)
            IS DISTINCT FROM (i.entry_id, i.line_no, i.account_id, i.currency, i.original_minor,
                i.base_minor, i.effective_date, true, i.book_id, i.party_id))
    INTO items, bad
    FROM line l FULL JOIN item i ON i.open_item_id = l.open_item_id;
    IF bad IS NOT NULL THEN
        CALL ledger_break(b.batch_id, format('entry %s and its open items differ', bad));
    ELSIF items <> b.item_count THEN
        CALL ledger_break(b.batch_id, format('it holds %s open items', items));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_stored_allocations(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    held bigint;
    touched bigint[];
    bad bigint;
BEGIN
    SELECT count(*), min(a.allocation_id) FILTER (WHERE a.allocation_id >> 20 <> b.batch_id
        OR a.book_id <> b.book_id OR c.book_id <> b.book_id OR d.book_id <> b.book_id
        OR c.account_id <> d.account_id OR c.currency <> d.currency
        OR c.original_minor > 0 OR d.original_minor < 0)
    INTO held, bad
    FROM allocation a
    JOIN open_item c ON c.open_item_id = a.credit_item_id
    JOIN open_item d ON d.open_item_id = a.debit_item_id
    WHERE a.batch_id = b.batch_id;
    IF held <> b.allocation_count OR bad IS NOT NULL THEN
        CALL ledger_break(b.batch_id, format('it holds %s allocations, of which %s is wrong',
            held, coalesce(bad::text, 'none')));
    END IF;
    IF held > 0 THEN
        SELECT array_agg(DISTINCT item) INTO touched
        FROM allocation, LATERAL (VALUES (credit_item_id), (debit_item_id)) v (item)
        WHERE batch_id = b.batch_id;
        CALL ledger_check_outstanding(touched);
    END IF;
END $$;

-- Numbers lie within their counter, and no period was locked behind the back of the fence.
CREATE PROCEDURE ledger_check_stored_numbers(b posting_batch)
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
        AND ledger_period_level(b.book_id, p.code, s.module) = 'open'
        AND ledger_period_level(b.book_id, p.code, 'GL') = 'open'
        AND p.code IS NOT NULL) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('series id %s of %s has a number beyond its counter, '
            'or its period is not open', bad.series_id, bad.fiscal_year));
    END IF;
END $$;

CREATE FUNCTION ledger_check_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    CALL ledger_check_stored_entries(NEW);
    CALL ledger_check_stored_deltas(NEW);
    CALL ledger_check_stored_items(NEW);
    CALL ledger_check_stored_allocations(NEW);
    CALL ledger_check_stored_numbers(NEW);
    INSERT INTO batch_closed (batch_id) VALUES (NEW.batch_id);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER check_batch AFTER INSERT ON posting_batch
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_check_batch();
