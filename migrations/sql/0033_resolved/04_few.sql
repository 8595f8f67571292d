-- Few entries come as one call, with the names alone: the ids are looked up as the stage is filled.

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
