-- An allocation is undone by a row of the opposite amount in a batch of its own; nothing is removed.

CREATE FUNCTION ledger_undo_allocations(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    undone bigint[], on_day date, why text, OUT posted_batch bigint, OUT replayed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    known posting_batch;
    touched bigint[];
BEGIN
    INSERT INTO posting_batch (book_id, source_system, source_ref, request_hash, entry_count,
        line_count, item_count, allocation_count, debit_totals, first_date, last_date, created_by)
    VALUES (of_book, from_system, from_ref, content_hash, 0, 0, 0, cardinality(undone), '{}',
        on_day, on_day, by_actor)
    ON CONFLICT (source_system, source_ref) DO NOTHING RETURNING batch_id INTO posted_batch;
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
    PERFORM pg_advisory_xact_lock_shared(fence) FROM (
        SELECT ledger_period_fence(of_book, m, date_trunc('month', on_day)::date) AS fence
        FROM unnest(ARRAY['AR', 'GL']) m ORDER BY fence OFFSET 0) fences;
    CALL ledger_require_open(of_book, 'AR', on_day, by_actor);
    CALL ledger_require_open(of_book, 'GL', on_day, by_actor);
    SELECT array_agg(DISTINCT item) INTO touched
    FROM allocation, LATERAL (VALUES (credit_item_id), (debit_item_id)) v (item)
    WHERE allocation_id = ANY (undone);
    PERFORM FROM open_item WHERE open_item_id = ANY (touched)
    ORDER BY open_item_id FOR NO KEY UPDATE;
    CALL ledger_check_undone(of_book, undone, on_day);
    INSERT INTO allocation (allocation_id, credit_item_id, debit_item_id, amount_minor,
        reverses_allocation_id, batch_id, effective_date, book_id, rule)
    SELECT (posted_batch << 20) + place - 1, a.credit_item_id, a.debit_item_id, -a.amount_minor,
        a.allocation_id, posted_batch, on_day, of_book, why
    FROM unnest(undone) WITH ORDINALITY AS u (undone_id, place)
    JOIN allocation a ON a.allocation_id = u.undone_id;
    CALL ledger_check_outstanding(touched);
    INSERT INTO event_outbox (batch_id, event_type, content)
    VALUES (posted_batch, 'batch.posted', jsonb_build_object('book', book_code,
        'source_system', from_system, 'source_ref', from_ref, 'entries', 0));
END $$;

CREATE PROCEDURE ledger_check_undone(of_book smallint, undone bigint[], on_day date)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT u.undone_id, a.allocation_id, a.amount_minor, a.effective_date, r.allocation_id AS by_id
    INTO bad
    FROM unnest(undone) u (undone_id)
    LEFT JOIN allocation a ON a.allocation_id = u.undone_id AND a.book_id = of_book
    LEFT JOIN allocation r ON r.reverses_allocation_id = a.allocation_id
    WHERE a.allocation_id IS NULL OR a.amount_minor < 0 OR on_day < a.effective_date
        OR r.allocation_id IS NOT NULL
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF bad.allocation_id IS NULL THEN
        CALL ledger_refuse('HB030', format('The book has no allocation %s.', bad.undone_id),
            jsonb_build_object('allocation_id', bad.undone_id));
    ELSIF bad.by_id IS NOT NULL THEN
        CALL ledger_refuse('HB031', format('Allocation %s was undone by allocation %s. Allocate '
            'anew instead.', bad.undone_id, bad.by_id),
            jsonb_build_object('allocation_id', bad.undone_id, 'undone_by', bad.by_id));
    END IF;
    CALL ledger_refuse('HB032', format(CASE WHEN bad.amount_minor < 0
        THEN 'Allocation %s undoes another one; allocate anew instead.'
        ELSE 'Allocation %s is of %s; it is undone on that day or later.' END,
        bad.undone_id, bad.effective_date), jsonb_build_object('allocation_id', bad.undone_id));
END $$;
