-- A document that claims nothing has no open item, and can neither be removed nor given one: it is a
-- fact, with a number of its series and an entry.

DO $$
DECLARE
    documents bigint;
BEGIN
    SELECT count(*) INTO documents FROM invoice WHERE open_item_id IS NULL;
    IF documents > 0 THEN
        RAISE EXCEPTION '% documents of nothing to pay are issued, which the schema before % cannot '
            'hold, and issued documents are never removed.', documents, '0032_zero_bills';
    END IF;
END
$$;
