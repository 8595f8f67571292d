-- The check of a stored batch: one pass over its lines tells whether anything is wrong. Only then do the
-- procedures for entries, deltas and items look at each by itself, and they have the last word.

CREATE FUNCTION ledger_stored_lines_are_sound(b posting_batch) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
DECLARE
    low bigint := b.batch_id << 20;
    high bigint := (b.batch_id + 1) << 20;
    sound boolean;
    items bigint;
BEGIN
    WITH grouped AS MATERIALIZED (
        SELECT grouping(entry_id) = 0 AS by_entry, entry_id, currency, effective_date, account_id,
            dim_set_id, party_id IS NULL AS no_party, open_item_id IS NULL AS no_item,
            sum(amount_minor) AS amount, sum(base_minor) AS base,
            sum(greatest(amount_minor, 0)) AS debit, sum(greatest(base_minor, 0)) AS base_debit,
            count(*) AS n, min(line_no) AS low_no, max(line_no) AS high_no
        FROM journal_line
        WHERE entry_id >= low AND entry_id < high
            AND effective_date BETWEEN b.first_date AND b.last_date
        GROUP BY GROUPING SETS ((entry_id, currency, effective_date), (account_id, currency,
            dim_set_id, effective_date, party_id IS NULL, open_item_id IS NULL))),
    -- Every entry: one header, its lines of one currency, on its day, numbered from 1 and balanced.
    entry AS (
        SELECT count(*) AS n, count(*) FILTER (WHERE (g.amount = 0 AND g.base = 0
            AND g.low_no = 1 AND g.high_no = g.n AND g.n = h.line_count
            AND g.effective_date = h.effective_date AND h.book_id = b.book_id
            AND h.source_system = b.source_system) IS NOT TRUE) AS bad
        FROM (SELECT * FROM grouped WHERE by_entry) g
        FULL JOIN (SELECT * FROM journal_entry WHERE entry_id >= low AND entry_id < high) h
            USING (entry_id)),
    account_group AS MATERIALIZED (SELECT * FROM grouped WHERE NOT by_entry),
    -- Every account is of the book and has the parties and items that it asks for.
    judged AS (
        SELECT coalesce(sum(g.n), 0) AS lines, coalesce(sum(g.n) FILTER (WHERE NOT no_item), 0)
            AS with_item, count(*) FILTER (WHERE (a.book_id = b.book_id
            AND a.open_item <> g.no_item AND NOT (a.party_required AND g.no_party)) IS NOT TRUE)
            AS bad
        FROM account_group g LEFT JOIN account a USING (account_id)),
    debited AS (
        SELECT coalesce(jsonb_object_agg(currency, debit), '{}') AS debits FROM (
            SELECT currency, sum(debit) AS debit FROM account_group
            GROUP BY currency HAVING sum(debit) > 0) d),
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
        AND debited.debits = b.debit_totals
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

CREATE OR REPLACE PROCEDURE ledger_check_stored_allocations(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off AS $$
DECLARE
    held bigint;
    found_items bigint;
    touched bigint[];
    bad bigint;
BEGIN
    IF b.allocation_count = 0 THEN
        -- The index answers; the rows of a batch without allocations are not looked for one by one.
        IF EXISTS (SELECT FROM allocation WHERE batch_id = b.batch_id) THEN
            CALL ledger_break(b.batch_id, 'it holds allocations that it does not declare');
        END IF;
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT item) INTO touched
    FROM allocation, LATERAL (VALUES (credit_item_id), (debit_item_id)) v (item)
    WHERE batch_id = b.batch_id;
    WITH item AS MATERIALIZED (SELECT * FROM open_item WHERE open_item_id = ANY (touched))
    SELECT count(*), count(*) FILTER (WHERE c.open_item_id IS NOT NULL
            AND d.open_item_id IS NOT NULL),
        min(a.allocation_id) FILTER (WHERE (a.allocation_id >> 20 = b.batch_id
            AND a.book_id = b.book_id AND c.book_id = b.book_id AND d.book_id = b.book_id
            AND c.account_id = d.account_id AND c.currency = d.currency
            AND c.original_minor <= 0 AND d.original_minor >= 0) IS NOT TRUE)
    INTO held, found_items, bad
    FROM allocation a
    LEFT JOIN item c ON c.open_item_id = a.credit_item_id
    LEFT JOIN item d ON d.open_item_id = a.debit_item_id
    WHERE a.batch_id = b.batch_id;
    IF held <> b.allocation_count OR bad IS NOT NULL OR found_items <> held THEN
        CALL ledger_break(b.batch_id, format('it holds %s allocations, of which %s is wrong',
            held, coalesce(bad::text, 'none')));
    END IF;
    CALL ledger_check_outstanding(touched);
END $$;

-- A list of items is a parameter of the plan: a plan for each list would weigh it element by element.
CREATE OR REPLACE PROCEDURE ledger_check_outstanding(items bigint[])
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off AS $$
DECLARE
    credits bigint[];
    debits bigint[];
    bad record;
BEGIN
    SELECT array_agg(open_item_id) FILTER (WHERE original_minor <= 0),
        array_agg(open_item_id) FILTER (WHERE original_minor >= 0)
    INTO credits, debits
    FROM open_item WHERE open_item_id = ANY (items);
    WITH used AS MATERIALIZED (
        SELECT item, sum(amount_minor) AS used FROM (
            SELECT credit_item_id AS item, amount_minor FROM allocation
            WHERE credit_item_id = ANY (credits)
            UNION ALL
            SELECT debit_item_id, amount_minor FROM allocation
            WHERE debit_item_id = ANY (debits)) both_sides
        GROUP BY item)
    SELECT i.open_item_id, i.original_minor, u.used INTO bad
    FROM used u
    JOIN open_item i ON i.open_item_id = u.item AND i.open_item_id = ANY (items)
    WHERE u.used > abs(i.original_minor) OR u.used < 0
    ORDER BY i.open_item_id LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB019', format('Open item %s is of %s minor units; %s would be '
            'allocated. Allocate at most what is outstanding.', bad.open_item_id,
            abs(bad.original_minor), bad.used),
            jsonb_build_object('open_item', bad.open_item_id,
                'original_minor', abs(bad.original_minor)::text, 'allocated_minor', bad.used::text));
    END IF;
END $$;

CREATE OR REPLACE PROCEDURE ledger_check_stored_days(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    near record;
BEGIN
    IF b.allocation_count > 0 THEN
        FOR near IN SELECT a.effective_date AS day, p.code
            FROM (SELECT DISTINCT effective_date FROM allocation WHERE batch_id = b.batch_id) a
            LEFT JOIN period p ON p.book_id = b.book_id
                AND a.effective_date >= p.starts_on AND a.effective_date < p.ends_on
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

CREATE OR REPLACE FUNCTION ledger_check_batch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET jit = off SET work_mem = '64MB' AS $$
BEGIN
    IF NOT ledger_stored_lines_are_sound(NEW) THEN
        CALL ledger_check_stored_entries(NEW);
        CALL ledger_check_stored_deltas(NEW);
        CALL ledger_check_stored_items(NEW);
    END IF;
    CALL ledger_check_stored_allocations(NEW);
    CALL ledger_check_stored_numbers(NEW);
    INSERT INTO batch_closed (batch_id) VALUES (NEW.batch_id);
    RETURN NULL;
END $$;
