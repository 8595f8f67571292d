-- What allocations must be is asked once, of the stored batch; only a batch that fails is looked at by
-- itself. Items of earlier batches are locked before, sorted, so that two batches never both use what is
-- left; those of this batch nobody else can see.

CREATE PROCEDURE ledger_lock_items()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    named bigint[];
BEGIN
    SELECT array_agg(item) INTO named
    FROM pg_temp.ledger_stage_allocation s,
        LATERAL (VALUES (s.credit_item_id), (s.debit_item_id)) v (item)
    WHERE item IS NOT NULL;
    PERFORM FROM open_item WHERE open_item_id = ANY (named)
    ORDER BY open_item_id FOR NO KEY UPDATE;
END $$;

-- Names the first allocation of a stage that is not of existing items of one party, on one account and
-- in one currency, of opposite signs and not too early.
CREATE PROCEDURE ledger_check_allocations(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off AS $$
DECLARE
    named bigint[];
    bad record;
BEGIN
    SELECT array_agg(item) INTO named
    FROM pg_temp.ledger_stage_allocation s,
        LATERAL (VALUES (s.credit_item_id), (s.debit_item_id)) v (item)
    WHERE item IS NOT NULL;
    -- An item that the batch opens has no id yet: below zero, its place in the batch stands for it.
    WITH item AS MATERIALIZED (
        SELECT open_item_id AS id, account_id, party_id, currency, original_minor, effective_date
        FROM open_item WHERE open_item_id = ANY (named) AND book_id = of_book
        UNION ALL
        SELECT -1 - item_index, account_id, party_id, currency, amount_minor, effective_date
        FROM pg_temp.ledger_stage_item)
    SELECT s.allocation_index, c.id IS NULL OR d.id IS NULL AS unknown,
        CASE WHEN c.id IS NULL THEN s.credit_item_id ELSE s.debit_item_id END AS missing,
        s.credit_item_id, coalesce(s.credit_item_id::text, 'of this batch') AS credit,
        s.debit_item_id, coalesce(s.debit_item_id::text, 'of this batch') AS debit,
        c.account_id = d.account_id AND c.currency = d.currency AND s.amount_minor > 0
            AND c.original_minor <= 0 AND d.original_minor >= 0
            AND s.effective_date >= greatest(c.effective_date, d.effective_date) AS matching,
        coalesce('party ' || c.party_id, 'no party') AS credit_party,
        coalesce('party ' || d.party_id, 'no party') AS debit_party
    INTO bad
    FROM pg_temp.ledger_stage_allocation s
    LEFT JOIN item c ON c.id = coalesce(s.credit_item_id, -1 - s.credit_index)
    LEFT JOIN item d ON d.id = coalesce(s.debit_item_id, -1 - s.debit_index)
    WHERE (c.account_id = d.account_id AND c.currency = d.currency AND s.amount_minor > 0
        AND c.original_minor <= 0 AND d.original_minor >= 0
        AND s.effective_date >= greatest(c.effective_date, d.effective_date)
        AND c.party_id IS NOT DISTINCT FROM d.party_id) IS NOT TRUE
    ORDER BY s.allocation_index LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF bad.unknown THEN
        CALL ledger_refuse('HB017', format('Allocation %s names %s.', bad.allocation_index,
            coalesce('open item ' || bad.missing || ', which the book does not have',
                'an open item that no line of its batch opens')),
            jsonb_build_object('allocation', bad.allocation_index));
    ELSIF NOT bad.matching THEN
        CALL ledger_refuse('HB018', format('Allocation %s of item %s to item %s: both must be on '
            'one account in one currency, a credit and a debit, and neither later than the '
            'allocation.', bad.allocation_index, bad.credit, bad.debit),
            jsonb_build_object('allocation', bad.allocation_index, 'credit_item', bad.credit_item_id,
                'debit_item', bad.debit_item_id));
    END IF;
    CALL ledger_refuse('HB098', format('Allocation %s uses item %s of %s for item %s of %s. Items '
        'of one party settle one another; post an entry that moves the claim first.',
        bad.allocation_index, bad.credit, bad.credit_party, bad.debit, bad.debit_party),
        jsonb_build_object('allocation', bad.allocation_index, 'credit_item', bad.credit_item_id,
            'debit_item', bad.debit_item_id));
END $$;

CREATE OR REPLACE PROCEDURE ledger_check_stored_allocations(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off AS $$
DECLARE
    held bigint;
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
    -- Who undoes an allocation gives back what was used, whatever was wrong with its use.
    WITH item AS MATERIALIZED (
        SELECT open_item_id, book_id, account_id, party_id, currency, original_minor, effective_date
        FROM open_item WHERE open_item_id = ANY (touched))
    SELECT count(*), min(a.allocation_id) FILTER (WHERE (a.allocation_id >> 20 = b.batch_id
        AND a.book_id = b.book_id AND c.book_id = b.book_id AND d.book_id = b.book_id
        AND c.account_id = d.account_id AND c.currency = d.currency
        AND c.original_minor <= 0 AND d.original_minor >= 0
        AND (a.reverses_allocation_id IS NOT NULL
            OR (c.party_id IS NOT DISTINCT FROM d.party_id
                AND a.effective_date >= greatest(c.effective_date, d.effective_date))))
        IS NOT TRUE)
    INTO held, bad
    FROM allocation a
    LEFT JOIN item c ON c.open_item_id = a.credit_item_id
    LEFT JOIN item d ON d.open_item_id = a.debit_item_id
    WHERE a.batch_id = b.batch_id;
    IF held <> b.allocation_count OR bad IS NOT NULL THEN
        CALL ledger_break(b.batch_id, format('it holds %s allocations, of which %s is wrong',
            held, coalesce(bad::text, 'none')));
    END IF;
    CALL ledger_check_used_days(b, ledger_undone_among(touched));
END $$;

-- Refuses a use beyond what an item is of; gives the items of which a use was undone. A list of items is
-- a parameter of the plan: a plan for each list would weigh it element by element.
CREATE FUNCTION ledger_undone_among(items bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off AS $$
DECLARE
    credits bigint[];
    debits bigint[];
    undone bigint[];
    bad bigint;
    original bigint;
    used bigint;
BEGIN
    SELECT array_agg(open_item_id) FILTER (WHERE original_minor <= 0),
        array_agg(open_item_id) FILTER (WHERE original_minor >= 0)
    INTO credits, debits
    FROM open_item WHERE open_item_id = ANY (items);
    WITH used AS MATERIALIZED (
        SELECT item, sum(amount_minor) AS used, bool_or(amount_minor < 0) AS undone FROM (
            SELECT credit_item_id AS item, amount_minor FROM allocation
            WHERE credit_item_id = ANY (credits)
            UNION ALL
            SELECT debit_item_id, amount_minor FROM allocation
            WHERE debit_item_id = ANY (debits)) both_sides
        GROUP BY item)
    SELECT array_agg(u.item) FILTER (WHERE u.undone),
        min(u.item) FILTER (WHERE u.used > abs(i.original_minor) OR u.used < 0)
    INTO undone, bad
    FROM used u
    JOIN open_item i ON i.open_item_id = u.item AND i.open_item_id = ANY (items);
    IF bad IS NULL THEN
        RETURN undone;
    END IF;
    SELECT abs(original_minor) INTO original FROM open_item WHERE open_item_id = bad;
    SELECT sum(amount_minor) INTO used FROM allocation
    WHERE credit_item_id = bad OR debit_item_id = bad;
    CALL ledger_refuse('HB019', format('Open item %s is of %s minor units; %s would be allocated. '
        'Allocate at most what is outstanding.', bad, original, used),
        jsonb_build_object('open_item', bad, 'original_minor', original::text,
            'allocated_minor', used::text));
END $$;

CREATE OR REPLACE PROCEDURE ledger_check_outstanding(items bigint[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM ledger_undone_among(items);
END $$;

-- A use that is dated between another and its undoing must leave the item with something on those days
-- too, not only in the end. Without an undoing what is used only grows: what fits in the end has always
-- fitted.
CREATE PROCEDURE ledger_check_used_days(b posting_batch, of_items bigint[])
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
    undone bigint[];
BEGIN
    IF of_items IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT item) INTO undone
    FROM allocation a, LATERAL (VALUES (a.credit_item_id), (a.debit_item_id)) v (item)
    WHERE a.batch_id = b.batch_id AND a.reverses_allocation_id IS NULL AND item = ANY (of_items);
    SELECT i.open_item_id, abs(i.original_minor) AS original, u.day, u.used INTO bad
    FROM (SELECT item, effective_date AS day,
            sum(sum(amount_minor)) OVER (PARTITION BY item ORDER BY effective_date) AS used
        FROM (
            SELECT credit_item_id AS item, effective_date, amount_minor FROM allocation
            WHERE credit_item_id = ANY (undone)
            UNION ALL
            SELECT debit_item_id, effective_date, amount_minor FROM allocation
            WHERE debit_item_id = ANY (undone)) sides
        GROUP BY item, effective_date) u
    JOIN open_item i ON i.open_item_id = u.item
    WHERE u.used > abs(i.original_minor)
    ORDER BY i.open_item_id, u.day LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB099', format('Open item %s is of %s minor units; on %s, before another '
            'use of it was undone, %s would be allocated. Allocate from a later day on.',
            bad.open_item_id, bad.original, bad.day, bad.used),
            jsonb_build_object('open_item', bad.open_item_id, 'effective_date', bad.day,
                'original_minor', bad.original::text, 'allocated_minor', bad.used::text));
    END IF;
END $$;

DROP TRIGGER require_settling ON allocation;
DROP FUNCTION ledger_require_settling();
DROP PROCEDURE ledger_check_allocations(bigint, smallint);
