-- The lines of an entry come from the index together, and are grouped by it alone: days and currencies,
-- which hardly ever differ within a batch, were keys that they had to be sorted by.

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
    sound boolean;
    items bigint;
BEGIN
    SELECT functional_currency INTO base_currency FROM book WHERE book_id = b.book_id;
    WITH grouped AS MATERIALIZED (
        SELECT grouping(entry_id) = 0 AS by_entry, entry_id, currency, effective_date, account_id,
            dim_set_id, vat_code_id, party_id IS NULL AS no_party, open_item_id IS NULL AS no_item,
            count(*) FILTER (WHERE amount_minor <> base_minor) AS converted,
            sum(amount_minor) AS amount, sum(base_minor) AS base,
            sum(greatest(amount_minor, 0)) AS debit, sum(greatest(base_minor, 0)) AS base_debit,
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
        SELECT count(*) AS n, count(*) FILTER (WHERE (g.amount = 0 AND g.base = 0
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
                sum(debit - amount) AS credit, sum(base_debit) AS base_debit,
                sum(base_debit - base) AS base_credit, sum(n) AS n
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

