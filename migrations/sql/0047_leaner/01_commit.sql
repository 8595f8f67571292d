-- The check of a stored batch sums once what is the same twice, and asks of days what it asked of entries.

CREATE OR REPLACE FUNCTION ledger_stored_lines_are_sound(b posting_batch) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
    low bigint := b.batch_id << 20;
    high bigint := (b.batch_id + 1) << 20;
    base_currency text;
    -- What can differ within a batch is compared line by line, and what cannot is not.
    several_days boolean := b.first_date < b.last_date;
    several_currencies boolean := 1 <> (SELECT count(*) FROM jsonb_object_keys(b.debit_totals));
    own_only boolean;
    sound boolean;
    items bigint;
BEGIN
    SELECT functional_currency INTO base_currency FROM book WHERE book_id = b.book_id;
    -- No line may be converted then, so what it is of in the book's own currency is its amount.
    own_only := NOT several_currencies AND b.debit_totals ? base_currency;
    WITH grouped AS MATERIALIZED (
        SELECT grouping(entry_id) = 0 AS by_entry, entry_id, currency, effective_date, account_id,
            dim_set_id, vat_code_id, party_id IS NULL AS no_party, open_item_id IS NULL AS no_item,
            count(*) FILTER (WHERE amount_minor <> base_minor) AS converted,
            sum(amount_minor) AS amount, sum(base_minor) FILTER (WHERE NOT own_only) AS base,
            sum(greatest(amount_minor, 0)) AS debit,
            sum(greatest(base_minor, 0)) FILTER (WHERE NOT own_only) AS base_debit,
            count(*) AS n, min(line_no) AS low_no, max(line_no) AS high_no,
            min(effective_date) FILTER (WHERE several_days) AS first_day,
            max(effective_date) FILTER (WHERE several_days) AS last_day,
            min(currency) FILTER (WHERE several_currencies) AS low_currency,
            max(currency) FILTER (WHERE several_currencies) AS high_currency
        FROM journal_line
        WHERE entry_id >= low AND entry_id < high
            AND effective_date BETWEEN b.first_date AND b.last_date
        GROUP BY GROUPING SETS ((entry_id), (account_id, currency, dim_set_id, vat_code_id,
            effective_date, party_id IS NULL, open_item_id IS NULL))),
    -- Every entry: one header, its lines of one currency, on its day, numbered from 1 and balanced.
    entry AS (
        SELECT count(*) AS n, count(*) FILTER (WHERE (g.amount = 0 AND coalesce(g.base, 0) = 0
            AND g.low_no = 1 AND g.high_no = g.n AND g.n = h.line_count
            AND coalesce(g.first_day, b.first_date) = h.effective_date
            AND coalesce(g.last_day, b.first_date) = h.effective_date
            AND g.low_currency IS NOT DISTINCT FROM g.high_currency
            AND h.book_id = b.book_id AND h.source_system = b.source_system) IS NOT TRUE) AS bad
        FROM (SELECT * FROM grouped WHERE by_entry) g
        FULL JOIN (SELECT * FROM journal_entry WHERE entry_id >= low AND entry_id < high) h
            USING (entry_id)),
    account_group AS MATERIALIZED (SELECT * FROM grouped WHERE NOT by_entry),
    -- Every account is of the book, open that day, and has the currency, parties and items that it asks
    -- for; codes and dimensions are the book's. What is in the book's own currency was not converted.
    judged AS (
        SELECT coalesce(sum(g.n), 0) AS lines, coalesce(sum(g.n) FILTER (WHERE NOT no_item), 0)
            AS with_item, count(*) FILTER (WHERE (a.book_id = b.book_id
            AND a.open_item <> g.no_item AND NOT (a.party_required AND g.no_party)
            AND g.effective_date >= a.valid_from
            AND (a.valid_to IS NULL OR g.effective_date < a.valid_to)
            AND (a.currency IS NULL OR a.currency = g.currency)
            AND (g.currency <> base_currency OR g.converted = 0)
            AND EXISTS (SELECT FROM currency c WHERE c.code = g.currency)
            AND (g.dim_set_id = 0 OR EXISTS (SELECT FROM dimension_set d
                WHERE d.dim_set_id = g.dim_set_id AND d.book_id = b.book_id))
            AND (g.vat_code_id IS NULL OR EXISTS (SELECT FROM vat_code v
                WHERE v.vat_code_id = g.vat_code_id AND v.book_id = b.book_id
                    AND g.effective_date >= v.valid_from
                    AND (v.valid_to IS NULL OR g.effective_date < v.valid_to)))) IS NOT TRUE)
            AS bad
        FROM account_group g LEFT JOIN account a USING (account_id)),
    debited AS (
        SELECT coalesce(jsonb_object_agg(currency, debit) FILTER (WHERE debit > 0), '{}') AS debits,
            count(*) AS currencies
        FROM (SELECT currency, sum(debit) AS debit FROM account_group GROUP BY currency) d),
    -- The deltas are the lines.
    delta AS (
        SELECT count(*) FILTER (WHERE (l.debit = d.debit AND l.credit = d.credit
            AND l.base_debit = d.base_debit AND l.base_credit = d.base_credit AND l.n = d.n
            AND d.book_id = b.book_id) IS NOT TRUE) AS bad
        FROM (
            SELECT account_id, currency, dim_set_id, effective_date, sum(debit) AS debit,
                sum(debit - amount) AS credit, sum(coalesce(base_debit, debit)) AS base_debit,
                sum(coalesce(base_debit - base, debit - amount)) AS base_credit, sum(n) AS n
            FROM account_group GROUP BY 1, 2, 3, 4) l
        FULL JOIN (
            SELECT account_id, currency, dim_set_id, effective_date, book_id,
                sum(debit_minor) AS debit, sum(credit_minor) AS credit,
                sum(base_debit_minor) AS base_debit, sum(base_credit_minor) AS base_credit,
                sum(line_count) AS n
            FROM balance_delta
            WHERE batch_id = b.batch_id AND effective_date BETWEEN b.first_date AND b.last_date
            GROUP BY 1, 2, 3, 4, 5) d
        USING (account_id, currency, dim_set_id, effective_date))
    SELECT entry.n = b.entry_count AND entry.bad = 0 AND judged.lines = b.line_count
        AND judged.bad = 0 AND judged.with_item = b.item_count AND delta.bad = 0
        AND debited.debits = b.debit_totals AND (several_currencies OR debited.currencies = 1)
    INTO sound FROM entry, judged, delta, debited;
    IF NOT sound THEN
        RETURN false;
    END IF;
    -- As many items as lines that open one, and each is what its line says.
    IF b.item_count > 0 THEN
        SELECT count(*) INTO items
        FROM open_item i
        JOIN journal_line l ON l.open_item_id = i.open_item_id
        WHERE i.open_item_id >= low AND i.open_item_id < high
            AND l.entry_id >= low AND l.entry_id < high
            AND l.effective_date BETWEEN b.first_date AND b.last_date
            AND l.entry_id = i.entry_id AND l.line_no = i.line_no
            AND l.account_id = i.account_id AND l.currency = i.currency
            AND l.amount_minor = i.original_minor AND l.base_minor = i.base_minor
            AND l.effective_date = i.effective_date AND i.book_id = b.book_id
            AND l.party_id IS NOT DISTINCT FROM i.party_id;
        sound := items = b.item_count;
    END IF;
    SELECT count(*) INTO items FROM open_item WHERE open_item_id >= low AND open_item_id < high;
    RETURN sound AND items = b.item_count;
END $$;

-- Numbers lie within their counter, and no period was locked behind the back of the fence.
CREATE OR REPLACE PROCEDURE ledger_check_stored_numbers(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT e.series_id, e.fiscal_year INTO bad
    FROM (SELECT series_id, fiscal_year, date_trunc('month', day)::date AS month,
            max(high_no) AS high_no
        FROM (SELECT series_id, fiscal_year, effective_date AS day, max(voucher_no) AS high_no
            FROM journal_entry
            WHERE entry_id >= b.batch_id << 20 AND entry_id < (b.batch_id + 1) << 20
            GROUP BY 1, 2, 3) d
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
