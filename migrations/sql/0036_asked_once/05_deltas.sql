-- Who fills the stage also sums it: what the batch adds to each balance comes as rows of its own. The
-- check of the stored batch compares them with the lines, as it always did.

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
    CREATE TEMPORARY TABLE ledger_stage_delta (
        account_id integer, currency text COLLATE "C" NOT NULL, dim_set_id integer NOT NULL,
        effective_date date, debit_minor bigint NOT NULL, credit_minor bigint NOT NULL,
        base_debit_minor bigint NOT NULL, base_credit_minor bigint NOT NULL,
        line_count integer NOT NULL) ON COMMIT DELETE ROWS;
    GRANT INSERT ON pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
        pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation, pg_temp.ledger_stage_delta
        TO hovedbok_service;
END $$;

CREATE OR REPLACE FUNCTION ledger_stage_names() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT ARRAY['ledger_stage_entry', 'ledger_stage_line', 'ledger_stage_item',
        'ledger_stage_allocation', 'ledger_stage_delta']
$$;

CREATE OR REPLACE FUNCTION ledger_open_stage(expected_lines integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT ledger_stage_is_ours() THEN
        CALL ledger_make_stage();
    ELSIF pg_relation_size('pg_temp.ledger_stage_entry') + pg_relation_size(
            'pg_temp.ledger_stage_line') + pg_relation_size('pg_temp.ledger_stage_item')
            + pg_relation_size('pg_temp.ledger_stage_allocation')
            + pg_relation_size('pg_temp.ledger_stage_delta') = 0 THEN
        RETURN;
    ELSIF expected_lines < 200 AND pg_relation_size('pg_temp.ledger_stage_line') < 131072 THEN
        -- Small after small: deleting keeps the plans, which cost more than the posting itself.
        DELETE FROM pg_temp.ledger_stage_entry;
        DELETE FROM pg_temp.ledger_stage_line;
        DELETE FROM pg_temp.ledger_stage_item;
        DELETE FROM pg_temp.ledger_stage_allocation;
        DELETE FROM pg_temp.ledger_stage_delta;
    ELSE
        TRUNCATE pg_temp.ledger_stage_entry, pg_temp.ledger_stage_line,
            pg_temp.ledger_stage_item, pg_temp.ledger_stage_allocation,
            pg_temp.ledger_stage_delta;
    END IF;
END $$;

CREATE OR REPLACE PROCEDURE ledger_insert_lines(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_nestloop = off AS $$
BEGIN
    -- A code that stands for no id is left out: then the batch is not what it declares.
    INSERT INTO journal_line (entry_id, line_no, effective_date, account_id, amount_minor,
        base_minor, currency, party_id, open_item_id, vat_code_id, tax_base_minor, dim_set_id, text)
    SELECT (new_batch << 20) + entry_index, line_no, effective_date, account_id, amount_minor,
        base_minor, currency, party_id, (new_batch << 20) + item_index, vat_code_id,
        tax_base_minor, dim_set_id, text
    FROM pg_temp.ledger_stage_line WHERE vat_code IS NULL OR vat_code_id IS NOT NULL;
    INSERT INTO balance_delta (batch_id, book_id, account_id, currency, dim_set_id,
        effective_date, debit_minor, credit_minor, base_debit_minor, base_credit_minor, line_count)
    SELECT new_batch, of_book, account_id, currency, dim_set_id, effective_date, debit_minor,
        credit_minor, base_debit_minor, base_credit_minor, line_count
    FROM pg_temp.ledger_stage_delta;
    INSERT INTO open_item (open_item_id, entry_id, line_no, book_id, party_id, account_id,
        currency, kind, document_ref, kid, document_date, due_date, effective_date,
        original_minor, base_minor)
    SELECT (new_batch << 20) + item_index, (new_batch << 20) + entry_index, line_no, of_book,
        party_id, account_id, currency, kind, document_ref, kid, document_date, due_date,
        effective_date, amount_minor, base_minor
    FROM pg_temp.ledger_stage_item;
END $$;

CREATE OR REPLACE FUNCTION ledger_post_few(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    declared_entries integer, declared_lines integer, declared_debits jsonb, approver text,
    entries jsonb, lines jsonb, items jsonb, allocations jsonb,
    OUT posted_batch bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
BEGIN
    PERFORM ledger_open_stage(declared_lines);
    INSERT INTO pg_temp.ledger_stage_entry
    SELECT e.entry_index, e.series, e.effective_date, e.document_date, e.entry_type, e.source_ref,
        e.document_ref, e.text, e.reverses_entry_id, e.line_count, e.entry_hash, p.fiscal_year,
        row_number() OVER (PARTITION BY e.series, p.fiscal_year ORDER BY e.entry_index)
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_entry, entries) e
    LEFT JOIN period p ON p.book_id = of_book
        AND p.starts_on = date_trunc('month', e.effective_date)::date;
    INSERT INTO pg_temp.ledger_stage_line
    SELECT l.entry_index, l.line_no, l.account, l.amount_minor, l.base_minor, l.currency,
        l.party_id, l.vat_code, l.tax_base_minor, l.dim_set_id, l.item_index, l.text,
        e.effective_date, a.account_id, v.vat_code_id
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_line, lines) l
    LEFT JOIN pg_temp.ledger_stage_entry e USING (entry_index)
    LEFT JOIN account a ON a.book_id = of_book AND a.number = l.account
    LEFT JOIN vat_code v ON v.book_id = of_book AND v.code = l.vat_code
        AND e.effective_date >= v.valid_from
        AND (v.valid_to IS NULL OR e.effective_date < v.valid_to);
    INSERT INTO pg_temp.ledger_stage_delta
    SELECT l.account_id, l.currency, l.dim_set_id, l.effective_date,
        sum(greatest(l.amount_minor, 0)), sum(greatest(-l.amount_minor, 0)),
        sum(greatest(l.base_minor, 0)), sum(greatest(-l.base_minor, 0)), count(*)
    FROM pg_temp.ledger_stage_line l
    GROUP BY l.account_id, l.currency, l.dim_set_id, l.effective_date;
    INSERT INTO pg_temp.ledger_stage_item
    SELECT i.item_index, i.entry_index, i.line_no, i.kind, i.document_ref, i.kid, i.document_date,
        i.due_date, l.effective_date, l.account_id, l.party_id, l.currency, l.amount_minor,
        l.base_minor
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_item, items) i
    LEFT JOIN pg_temp.ledger_stage_line l USING (item_index);
    INSERT INTO pg_temp.ledger_stage_allocation SELECT *
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_allocation, allocations);
    CALL ledger_name_fault(of_book, declared_entries, declared_lines, declared_debits);
    SELECT p.posted_batch, p.replayed INTO posted_batch, replayed
    FROM ledger_post_staged(book_code, from_system, from_ref, by_actor, content_hash,
        declared_entries, declared_lines, declared_debits, approver) p;
END $$;
