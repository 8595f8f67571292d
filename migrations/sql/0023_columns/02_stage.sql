-- The stage empties itself at the end of each transaction, in place, so that plans made for it stay.

CREATE OR REPLACE PROCEDURE ledger_make_stage()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    CREATE TEMPORARY TABLE ledger_stage_entry (
        entry_index integer NOT NULL, series text COLLATE "C" NOT NULL,
        effective_date date NOT NULL, document_date date NOT NULL, entry_type text NOT NULL,
        source_ref text NOT NULL, document_ref text, text text NOT NULL,
        reverses_entry_id bigint, line_count integer NOT NULL, entry_hash bytea NOT NULL)
        ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE ledger_stage_line (
        entry_index integer NOT NULL, line_no smallint NOT NULL,
        account text COLLATE "C" NOT NULL, amount_minor bigint NOT NULL,
        base_minor bigint NOT NULL, currency text COLLATE "C" NOT NULL, party_id bigint,
        vat_code text COLLATE "C", tax_base_minor bigint, dim_set_id integer NOT NULL,
        item_index integer, text text) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE ledger_stage_item (
        item_index integer NOT NULL, entry_index integer NOT NULL, line_no smallint NOT NULL,
        kind text NOT NULL, document_ref text NOT NULL, kid text,
        document_date date NOT NULL, due_date date NOT NULL) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE ledger_stage_allocation (
        allocation_index integer NOT NULL, credit_item_id bigint, credit_index integer,
        debit_item_id bigint, debit_index integer, amount_minor bigint NOT NULL,
        effective_date date NOT NULL, rule text NOT NULL) ON COMMIT DELETE ROWS;
    GRANT INSERT ON pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
        pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation TO hovedbok_service;
END $$;

-- Make the stage of this session, or empty what an earlier batch of this transaction left on it.
CREATE OR REPLACE FUNCTION ledger_open_stage(expected_lines integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT ledger_stage_is_ours() THEN
        CALL ledger_make_stage();
    ELSIF pg_relation_size('pg_temp.ledger_stage_entry') + pg_relation_size(
            'pg_temp.ledger_stage_line') + pg_relation_size('pg_temp.ledger_stage_item')
            + pg_relation_size('pg_temp.ledger_stage_allocation') = 0 THEN
        RETURN;
    ELSIF expected_lines < 200 AND pg_relation_size('pg_temp.ledger_stage_line') < 131072 THEN
        -- Small after small: deleting keeps the plans, which cost more than the posting itself.
        DELETE FROM pg_temp.ledger_stage_entry;
        DELETE FROM pg_temp.ledger_stage_line;
        DELETE FROM pg_temp.ledger_stage_item;
        DELETE FROM pg_temp.ledger_stage_allocation;
    ELSE
        TRUNCATE pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
            pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation;
    END IF;
END $$;
