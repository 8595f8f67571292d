-- The stage becomes facts as it stands: what the chart has to say of a line is asked once for all lines
-- alike, of the stored batch.

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
    SELECT new_batch, of_book, account_id, currency, dim_set_id, effective_date, debit,
        debit - net, base_debit, base_debit - base_net, n
    FROM (
        SELECT account_id, currency, dim_set_id, effective_date,
            sum(greatest(amount_minor, 0)) AS debit, sum(amount_minor) AS net,
            sum(greatest(base_minor, 0)) AS base_debit, sum(base_minor) AS base_net, count(*) AS n
        FROM pg_temp.ledger_stage_line
        GROUP BY account_id, currency, dim_set_id, effective_date) s;
    INSERT INTO open_item (open_item_id, entry_id, line_no, book_id, party_id, account_id,
        currency, kind, document_ref, kid, document_date, due_date, effective_date,
        original_minor, base_minor)
    SELECT (new_batch << 20) + item_index, (new_batch << 20) + entry_index, line_no, of_book,
        party_id, account_id, currency, kind, document_ref, kid, document_date, due_date,
        effective_date, amount_minor, base_minor
    FROM pg_temp.ledger_stage_item;
END $$;

-- Numbers are taken in one block per series and year, and given in the order of the entries.
CREATE OR REPLACE PROCEDURE ledger_insert_headers(
    new_batch bigint, of_book smallint, from_system text)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_nestloop = off AS $$
BEGIN
    WITH counted AS MATERIALIZED (
        SELECT e.series, s.series_id, e.fiscal_year, e.n
        FROM (SELECT series, fiscal_year, count(*) AS n
            FROM pg_temp.ledger_stage_entry GROUP BY series, fiscal_year) e
        JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series),
    block AS (
        INSERT INTO voucher_counter AS c (series_id, fiscal_year, last_no)
        SELECT series_id, fiscal_year, n FROM counted ORDER BY series_id, fiscal_year
        ON CONFLICT (series_id, fiscal_year) DO UPDATE SET last_no = c.last_no + EXCLUDED.last_no
        RETURNING series_id, fiscal_year, last_no),
    numbered AS MATERIALIZED (
        SELECT c.series, c.series_id, c.fiscal_year, b.last_no - c.n AS before,
            convert_to('/' || c.series || '/' || c.fiscal_year || '/', 'UTF8') AS named
        FROM counted c JOIN block b USING (series_id, fiscal_year))
    INSERT INTO journal_entry (entry_id, book_id, series_id, fiscal_year, voucher_no,
        effective_date, document_date, entry_type, reverses_entry_id, source_system, source_ref,
        document_ref, text, line_count, leaf)
    SELECT (new_batch << 20) + e.entry_index, of_book, n.series_id, n.fiscal_year,
        n.before + e.ordinal, e.effective_date, e.document_date, e.entry_type,
        e.reverses_entry_id, from_system, e.source_ref, e.document_ref, e.text, e.line_count,
        sha256(e.entry_hash || n.named || (n.before + e.ordinal)::text::bytea)
    FROM pg_temp.ledger_stage_entry e JOIN numbered n USING (series, fiscal_year);
END $$;

-- The one way into the journal. Answers with the batch, and whether it was there already.
CREATE OR REPLACE FUNCTION ledger_post_staged(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    declared_entries integer, declared_lines integer, declared_debits jsonb,
    approver text DEFAULT NULL, OUT posted_batch bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET jit = off SET work_mem = '64MB' AS $$
DECLARE
    posted_book smallint := ledger_book_id(book_code);
    known posting_batch;
BEGIN
    IF NOT ledger_stage_is_ours() THEN
        CALL ledger_refuse('HB092', 'Open the stage before posting from it.', '{}');
    ELSIF NOT EXISTS (SELECT FROM pg_temp.ledger_stage_entry)
            AND NOT EXISTS (SELECT FROM pg_temp.ledger_stage_allocation) THEN
        CALL ledger_refuse('HB002', 'The batch has neither entries nor allocations.', '{}');
    END IF;
    INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash, entry_count,
        line_count, item_count, allocation_count, debit_totals, first_date, last_date, created_by,
        approved_by)
    SELECT posted_book, from_system, from_ref, content_hash, declared_entries, declared_lines,
        (SELECT count(*) FROM pg_temp.ledger_stage_item), n_allocations, declared_debits,
        least(e_first, a_first), greatest(e_last, a_last), by_actor,
        approver
    FROM (SELECT min(effective_date), max(effective_date) FROM pg_temp.ledger_stage_entry)
            AS e (e_first, e_last),
        (SELECT min(effective_date), max(effective_date), count(*)
            FROM pg_temp.ledger_stage_allocation) AS a (a_first, a_last, n_allocations)
    ON CONFLICT (source_system, source_ref) DO NOTHING
    RETURNING batch_id INTO posted_batch;
    replayed := posted_batch IS NULL;
    IF replayed THEN
        SELECT * INTO known FROM posting_batch
        WHERE source_system = from_system AND source_ref = from_ref;
        IF known.request_hash <> content_hash THEN
            CALL ledger_refuse('HB016', format('%s/%s was posted as batch %s with other content. '
                'Use a new reference, or send what was sent before.', from_system, from_ref,
                known.batch_id), jsonb_build_object('batch_id', known.batch_id));
        END IF;
        posted_batch := known.batch_id;
        RETURN;
    END IF;
    CALL ledger_check_series(posted_book);
    CALL ledger_check_periods(posted_book);
    BEGIN
        CALL ledger_insert_lines(posted_batch, posted_book);
        IF EXISTS (SELECT FROM pg_temp.ledger_stage_allocation) THEN
            CALL ledger_lock_items();
            CALL ledger_insert_allocations(posted_batch, posted_book);
        END IF;
        INSERT INTO event_outbox (batch_id, event_type, content)
        VALUES (posted_batch, 'batch.posted', jsonb_build_object('book', book_code,
            'source_system', from_system, 'source_ref', from_ref, 'entries', declared_entries));
        CALL ledger_insert_headers(posted_batch, posted_book, from_system);
        -- The batch is complete: it is checked as stored and closed now, so a refusal comes here and
        -- not with the commit of whatever else the caller does.
        SET CONSTRAINTS public.check_batch IMMEDIATE;
        SET CONSTRAINTS public.check_batch DEFERRED;
    EXCEPTION
        -- What the chart says of a line comes before what its dimensions and its origin are refused for.
        WHEN SQLSTATE 'HB091' OR SQLSTATE 'HB061' OR SQLSTATE 'HB057'
                OR integrity_constraint_violation OR numeric_value_out_of_range THEN
            CALL ledger_name_fault(posted_book, declared_entries, declared_lines, declared_debits);
            CALL ledger_check_allocations(posted_book);
            RAISE;
    END;
END $$;
