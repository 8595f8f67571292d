-- What two customers owe and have is never netted, or the items of each would not sum to the lines of
-- each; and a use is a use on its own day: one that is dated between another and its undoing must leave
-- the item with something on those days too, not only in the end.

CREATE FUNCTION ledger_require_settling() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
    undone bigint[];
BEGIN
    SELECT a.allocation_id, c.open_item_id AS credit, d.open_item_id AS debit,
        c.party_id AS credit_party, d.party_id AS debit_party
    INTO bad
    FROM added a
    JOIN open_item c ON c.open_item_id = a.credit_item_id
    JOIN open_item d ON d.open_item_id = a.debit_item_id
    WHERE c.party_id IS DISTINCT FROM d.party_id AND a.reverses_allocation_id IS NULL
    ORDER BY a.allocation_id LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB098', format('Allocation %s uses item %s of %s for item %s of %s. Items '
            'of one party settle one another; post an entry that moves the claim first.',
            bad.allocation_id & 1048575, bad.credit, coalesce('party ' || bad.credit_party, 'no party'),
            bad.debit, coalesce('party ' || bad.debit_party, 'no party')),
            jsonb_build_object('allocation', bad.allocation_id & 1048575,
                'credit_item', bad.credit, 'debit_item', bad.debit));
    END IF;
    -- Without an undoing what is used only grows: what fits in the end has always fitted.
    SELECT array_agg(DISTINCT item) INTO undone
    FROM added a, LATERAL (VALUES (a.credit_item_id), (a.debit_item_id)) v (item)
    WHERE a.reverses_allocation_id IS NULL AND EXISTS (SELECT FROM allocation u
        WHERE u.amount_minor < 0 AND (u.credit_item_id = item OR u.debit_item_id = item));
    IF undone IS NULL THEN
        RETURN NULL;
    END IF;
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
    RETURN NULL;
END $$;

CREATE TRIGGER require_settling AFTER INSERT ON allocation
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION ledger_require_settling();
