-- Few entries are looked at before they are inserted. A refused batch of many is rare; of a file whose
-- entries are refused one by one each leaves its rows behind in the fact tables, dead but not gone.

CREATE OR REPLACE FUNCTION ledger_post_few(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    declared_entries integer, declared_lines integer, declared_debits jsonb, approver text,
    entries jsonb, lines jsonb, items jsonb, allocations jsonb,
    OUT posted_batch bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM ledger_open_stage(declared_lines);
    INSERT INTO pg_temp.ledger_stage_entry SELECT *
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_entry, entries);
    INSERT INTO pg_temp.ledger_stage_line SELECT *
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_line, lines);
    INSERT INTO pg_temp.ledger_stage_item SELECT *
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_item, items);
    INSERT INTO pg_temp.ledger_stage_allocation SELECT *
    FROM jsonb_populate_recordset(NULL::pg_temp.ledger_stage_allocation, allocations);
    CALL ledger_name_fault(ledger_book_id(book_code), declared_entries, declared_lines,
        declared_debits);
    SELECT p.posted_batch, p.replayed INTO posted_batch, replayed
    FROM ledger_post_staged(book_code, from_system, from_ref, by_actor, content_hash,
        declared_entries, declared_lines, declared_debits, approver) p;
END $$;
