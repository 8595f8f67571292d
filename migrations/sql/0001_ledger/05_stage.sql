-- The stage of a session: temporary tables of the ledger's owner, into which the service may insert.

CREATE FUNCTION ledger_stage_names() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT ARRAY['ledger_stage_entry', 'ledger_stage_line', 'ledger_stage_item',
        'ledger_stage_allocation']
$$;

-- Volatile, since only a volatile function may call a procedure (here: to refuse).
-- Refuse a stage that somebody else made, or that carries a rule, trigger, policy or child.
CREATE FUNCTION ledger_stage_is_ours() RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    present integer;
    ours integer;
BEGIN
    SELECT count(*), count(*) FILTER (WHERE relowner = current_user::regrole
        AND relkind = 'r' AND relpersistence = 't' AND NOT relhasrules AND NOT relhastriggers
        AND NOT relhassubclass AND NOT relrowsecurity AND NOT relispartition)
    INTO present, ours
    FROM pg_class
    WHERE relnamespace = pg_my_temp_schema() AND relname = ANY (ledger_stage_names());
    IF present <> ours OR present NOT IN (0, cardinality(ledger_stage_names())) THEN
        CALL ledger_refuse('HB092', 'The stage of this session was not made by the ledger.',
            jsonb_build_object('present', present, 'ours', ours));
    END IF;
    RETURN present > 0;
END $$;

-- Make the stage of this session, or empty the one that is there.
CREATE FUNCTION ledger_open_stage(expected_lines integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT ledger_stage_is_ours() THEN
        CALL ledger_make_stage();
    ELSIF expected_lines < 200 AND pg_relation_size('pg_temp.ledger_stage_line') < 131072 THEN
        -- Small after small: deleting keeps the plans, which cost more than the posting itself.
        DELETE FROM pg_temp.ledger_stage_entry;
        DELETE FROM pg_temp.ledger_stage_line;
        DELETE FROM pg_temp.ledger_stage_item;
        DELETE FROM pg_temp.ledger_stage_allocation;
    ELSE
        -- Truncating also makes the posting function plan anew, for a batch of another size.
        TRUNCATE pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
            pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation;
    END IF;
END $$;

CREATE PROCEDURE ledger_make_stage()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    CREATE TEMPORARY TABLE ledger_stage_entry (
        entry_index integer NOT NULL, series text COLLATE "C" NOT NULL,
        effective_date date NOT NULL, document_date date NOT NULL, entry_type text NOT NULL,
        source_ref text NOT NULL, document_ref text, text text NOT NULL,
        reverses_entry_id bigint, line_count integer NOT NULL, entry_hash bytea NOT NULL);
    CREATE TEMPORARY TABLE ledger_stage_line (
        entry_index integer NOT NULL, line_no smallint NOT NULL,
        account text COLLATE "C" NOT NULL, amount_minor bigint NOT NULL,
        base_minor bigint NOT NULL, currency text COLLATE "C" NOT NULL, party_id bigint,
        vat_code text COLLATE "C", tax_base_minor bigint, dim_set_id integer NOT NULL,
        item_index integer, text text);
    CREATE TEMPORARY TABLE ledger_stage_item (
        item_index integer NOT NULL, entry_index integer NOT NULL, line_no smallint NOT NULL,
        kind text NOT NULL, document_ref text NOT NULL, kid text,
        document_date date NOT NULL, due_date date NOT NULL);
    CREATE TEMPORARY TABLE ledger_stage_allocation (
        allocation_index integer NOT NULL, credit_item_id bigint, credit_index integer,
        debit_item_id bigint, debit_index integer, amount_minor bigint NOT NULL,
        effective_date date NOT NULL, rule text NOT NULL);
    GRANT INSERT ON pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
        pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation TO hovedbok_service;
END $$;
