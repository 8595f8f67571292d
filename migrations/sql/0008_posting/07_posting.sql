-- Posting with an approver: another person than the one who posts, which a constraint checks.

DROP FUNCTION ledger_post_staged(text, text, text, text, bytea, integer, integer, jsonb);

-- The one way into the journal. Answers with the batch, and whether it was there already.
CREATE FUNCTION ledger_post_staged(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    declared_entries integer, declared_lines integer, declared_debits jsonb,
    approver text DEFAULT NULL, OUT posted_batch bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    posted_book smallint := ledger_book_id(book_code);
    known posting_batch;
BEGIN
    IF NOT ledger_stage_is_ours() THEN
        CALL ledger_refuse('HB092', 'Open the stage before posting from it.', '{}');
    END IF;
    CALL ledger_check_totals(declared_entries, declared_lines, declared_debits);
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
    CALL ledger_check_balance();
    CALL ledger_check_series(posted_book);
    CALL ledger_check_lines(posted_book);
    CALL ledger_check_items();
    CALL ledger_check_periods(posted_book);
    CALL ledger_insert_lines(posted_batch, posted_book);
    IF EXISTS (SELECT FROM pg_temp.ledger_stage_allocation) THEN
        CALL ledger_check_allocations(posted_batch, posted_book);
        CALL ledger_insert_allocations(posted_batch, posted_book);
    END IF;
    INSERT INTO event_outbox (batch_id, event_type, content)
    VALUES (posted_batch, 'batch.posted', jsonb_build_object('book', book_code,
        'source_system', from_system, 'source_ref', from_ref, 'entries', declared_entries));
    CALL ledger_insert_headers(posted_batch, posted_book, from_system);
END $$;
