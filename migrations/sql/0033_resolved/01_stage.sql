-- The stage holds rows as the journal will: ids beside the names they stand for. Who fills it looks each
-- name up once a batch, not once a line; the check of the stored batch proves what the ids are of, and the
-- names stay to tell a person which one was wrong.

CREATE OR REPLACE PROCEDURE ledger_make_stage()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    -- `ordinal` counts the entries of a series and fiscal year from 1.
    CREATE TEMPORARY TABLE ledger_stage_entry (
        entry_index integer NOT NULL, series text COLLATE "C" NOT NULL,
        effective_date date NOT NULL, document_date date NOT NULL, entry_type text NOT NULL,
        source_ref text NOT NULL, document_ref text, text text NOT NULL,
        reverses_entry_id bigint, line_count integer NOT NULL, entry_hash bytea NOT NULL,
        fiscal_year smallint, ordinal integer)
        ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE ledger_stage_line (
        entry_index integer NOT NULL, line_no smallint NOT NULL,
        account text COLLATE "C" NOT NULL, amount_minor bigint NOT NULL,
        base_minor bigint NOT NULL, currency text COLLATE "C" NOT NULL, party_id bigint,
        vat_code text COLLATE "C", tax_base_minor bigint, dim_set_id integer NOT NULL,
        item_index integer, text text, effective_date date, account_id integer,
        vat_code_id smallint)
        ON COMMIT DELETE ROWS;
    -- An item repeats what its line says, which the check of the stored batch compares.
    CREATE TEMPORARY TABLE ledger_stage_item (
        item_index integer NOT NULL, entry_index integer NOT NULL, line_no smallint NOT NULL,
        kind text NOT NULL, document_ref text NOT NULL, kid text,
        document_date date NOT NULL, due_date date NOT NULL, effective_date date,
        account_id integer, party_id bigint, currency text COLLATE "C", amount_minor bigint,
        base_minor bigint)
        ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE ledger_stage_allocation (
        allocation_index integer NOT NULL, credit_item_id bigint, credit_index integer,
        debit_item_id bigint, debit_index integer, amount_minor bigint NOT NULL,
        effective_date date NOT NULL, rule text NOT NULL) ON COMMIT DELETE ROWS;
    GRANT INSERT ON pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
        pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation TO hovedbok_service;
END $$;
