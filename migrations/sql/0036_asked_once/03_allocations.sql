-- Each item that allocations use is looked up once, and its other uses only where there can be any.

CREATE OR REPLACE PROCEDURE ledger_lock_items()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    named bigint[];
BEGIN
    SELECT array_agg(credit_item_id) || array_agg(debit_item_id) INTO named
    FROM pg_temp.ledger_stage_allocation;
    PERFORM FROM open_item WHERE open_item_id = ANY (named)
    ORDER BY open_item_id FOR NO KEY UPDATE;
END $$;

CREATE OR REPLACE PROCEDURE ledger_check_stored_allocations(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
    low bigint := b.batch_id << 20;
    high bigint := (b.batch_id + 1) << 20;
    credits bigint[];
    debits bigint[];
    held bigint;
    bad bigint;
    overused bigint;
    undone bigint[];
BEGIN
    IF b.allocation_count = 0 THEN
        -- The index answers; the rows of a batch without allocations are not looked for one by one.
        IF EXISTS (SELECT FROM allocation WHERE batch_id = b.batch_id) THEN
            CALL ledger_break(b.batch_id, 'it holds allocations that it does not declare');
        END IF;
        RETURN;
    END IF;
    -- What the batch opens itself nobody else has used yet. Lists are parameters of the plan: a plan for
    -- each list would weigh it element by element.
    SELECT array_agg(credit_item_id) FILTER (WHERE credit_item_id >> 20 <> b.batch_id),
        array_agg(debit_item_id) FILTER (WHERE debit_item_id >> 20 <> b.batch_id)
    INTO credits, debits
    FROM allocation WHERE batch_id = b.batch_id;
    WITH here AS MATERIALIZED (SELECT * FROM allocation WHERE batch_id = b.batch_id),
    item AS MATERIALIZED (
        SELECT open_item_id, book_id, account_id, party_id, currency, original_minor, effective_date
        FROM open_item WHERE open_item_id >= low AND open_item_id < high
        UNION ALL
        SELECT open_item_id, book_id, account_id, party_id, currency, original_minor, effective_date
        FROM open_item WHERE open_item_id = ANY (credits || debits)),
    -- Who undoes an allocation gives back what was used, whatever was wrong with its use.
    judged AS (
        SELECT count(*) AS n, min(a.allocation_id) FILTER (WHERE (a.allocation_id >> 20 = b.batch_id
            AND a.book_id = b.book_id AND c.book_id = b.book_id AND d.book_id = b.book_id
            AND c.account_id = d.account_id AND c.currency = d.currency
            AND c.original_minor <= 0 AND d.original_minor >= 0
            AND (a.reverses_allocation_id IS NOT NULL
                OR (c.party_id IS NOT DISTINCT FROM d.party_id
                    AND a.effective_date >= greatest(c.effective_date, d.effective_date))))
            IS NOT TRUE) AS bad
        FROM here a
        LEFT JOIN item c ON c.open_item_id = a.credit_item_id
        LEFT JOIN item d ON d.open_item_id = a.debit_item_id),
    used AS (
        SELECT item, sum(amount_minor) AS used, bool_or(amount_minor < 0) AS undone FROM (
            SELECT credit_item_id AS item, amount_minor FROM here
            UNION ALL
            SELECT debit_item_id, amount_minor FROM here
            UNION ALL
            SELECT credit_item_id, amount_minor FROM allocation
            WHERE credit_item_id = ANY (credits) AND batch_id <> b.batch_id
            UNION ALL
            SELECT debit_item_id, amount_minor FROM allocation
            WHERE debit_item_id = ANY (debits) AND batch_id <> b.batch_id) sides
        GROUP BY item),
    settled AS (
        SELECT array_agg(u.item) FILTER (WHERE u.undone) AS undone,
            min(u.item) FILTER (WHERE u.used > abs(i.original_minor) OR u.used < 0) AS overused
        FROM used u JOIN item i ON i.open_item_id = u.item)
    SELECT judged.n, judged.bad, settled.undone, settled.overused INTO held, bad, undone, overused
    FROM judged, settled;
    IF held <> b.allocation_count OR bad IS NOT NULL THEN
        CALL ledger_break(b.batch_id, format('it holds %s allocations, of which %s is wrong',
            held, coalesce(bad::text, 'none')));
    ELSIF overused IS NOT NULL THEN
        CALL ledger_check_outstanding(ARRAY[overused]);
        CALL ledger_break(b.batch_id, format('item %s is used beyond what it is of', overused));
    END IF;
    CALL ledger_check_used_days(b, undone);
END $$;
