-- Posting: the stage becomes facts, in one fixed order of locks: batch reference, period fences, lines,
-- items in sorted order, and as the last step the counters in sorted order, just before the headers.

CREATE PROCEDURE ledger_insert_lines(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO journal_line (entry_id, line_no, effective_date, account_id, amount_minor,
        base_minor, currency, party_id, open_item_id, vat_code_id, tax_base_minor, dim_set_id, text)
    SELECT (new_batch << 20) + l.entry_index, l.line_no, e.effective_date, a.account_id,
        l.amount_minor, l.base_minor, l.currency, l.party_id, (new_batch << 20) + l.item_index,
        v.vat_code_id, l.tax_base_minor, l.dim_set_id, l.text
    FROM pg_temp.ledger_stage_line l
    JOIN pg_temp.ledger_stage_entry e USING (entry_index)
    JOIN account a ON a.book_id = of_book AND a.number = l.account
    LEFT JOIN vat_code v ON v.book_id = of_book AND v.code = l.vat_code
        AND e.effective_date >= v.valid_from
        AND (v.valid_to IS NULL OR e.effective_date < v.valid_to);
    INSERT INTO balance_delta (batch_id, book_id, account_id, currency, dim_set_id,
        effective_date, debit_minor, credit_minor, base_debit_minor, base_credit_minor, line_count)
    SELECT new_batch, of_book, a.account_id, s.currency, s.dim_set_id, s.effective_date,
        s.debit, s.credit, s.base_debit, s.base_credit, s.n
    FROM (
        SELECT l.account, l.currency, l.dim_set_id, e.effective_date,
            sum(greatest(l.amount_minor, 0)) AS debit, sum(greatest(-l.amount_minor, 0)) AS credit,
            sum(greatest(l.base_minor, 0)) AS base_debit,
            sum(greatest(-l.base_minor, 0)) AS base_credit, count(*) AS n
        FROM pg_temp.ledger_stage_line l
        JOIN pg_temp.ledger_stage_entry e USING (entry_index)
        GROUP BY l.account, l.currency, l.dim_set_id, e.effective_date) s
    JOIN account a ON a.book_id = of_book AND a.number = s.account;
    INSERT INTO open_item (open_item_id, entry_id, line_no, book_id, party_id, account_id,
        currency, kind, document_ref, kid, document_date, due_date, effective_date,
        original_minor, base_minor)
    SELECT (new_batch << 20) + i.item_index, (new_batch << 20) + i.entry_index, i.line_no, of_book,
        l.party_id, a.account_id, l.currency, i.kind, i.document_ref, i.kid, i.document_date,
        i.due_date, e.effective_date, l.amount_minor, l.base_minor
    FROM pg_temp.ledger_stage_item i
    JOIN pg_temp.ledger_stage_line l USING (item_index)
    JOIN pg_temp.ledger_stage_entry e ON e.entry_index = l.entry_index
    JOIN account a ON a.book_id = of_book AND a.number = l.account;
END $$;

-- Numbers are taken in one block per series and year, and given in the order of the entries.
CREATE PROCEDURE ledger_insert_headers(new_batch bigint, of_book smallint, from_system text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    WITH numbered AS (
        SELECT e.*, s.series_id, p.fiscal_year, row_number() OVER (
            PARTITION BY s.series_id, p.fiscal_year ORDER BY e.entry_index) AS place
        FROM pg_temp.ledger_stage_entry e
        JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
        JOIN period p ON p.book_id = of_book
            AND p.starts_on = date_trunc('month', e.effective_date)::date),
    block AS (
        INSERT INTO voucher_counter AS c (series_id, fiscal_year, last_no)
        SELECT series_id, fiscal_year, count(*) FROM numbered
        GROUP BY series_id, fiscal_year ORDER BY series_id, fiscal_year
        ON CONFLICT (series_id, fiscal_year) DO UPDATE SET last_no = c.last_no + EXCLUDED.last_no
        RETURNING series_id, fiscal_year, last_no),
    last_place AS (
        SELECT series_id, fiscal_year, count(*) AS n FROM numbered GROUP BY 1, 2)
    INSERT INTO journal_entry (entry_id, book_id, series_id, fiscal_year, voucher_no,
        effective_date, document_date, entry_type, reverses_entry_id, source_system, source_ref,
        document_ref, text, line_count, leaf)
    SELECT (new_batch << 20) + n.entry_index, of_book, n.series_id, n.fiscal_year,
        b.last_no - l.n + n.place, n.effective_date, n.document_date, n.entry_type,
        n.reverses_entry_id, from_system, n.source_ref, n.document_ref, n.text, n.line_count,
        sha256(n.entry_hash || convert_to('/' || n.series || '/' || n.fiscal_year || '/'
            || (b.last_no - l.n + n.place), 'UTF8'))
    FROM numbered n JOIN block b USING (series_id, fiscal_year)
    JOIN last_place l USING (series_id, fiscal_year)
    ORDER BY n.entry_index;
END $$;

CREATE PROCEDURE ledger_insert_allocations(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    touched bigint[];
BEGIN
    INSERT INTO allocation (allocation_id, credit_item_id, debit_item_id, amount_minor, batch_id,
        effective_date, book_id, rule)
    SELECT (new_batch << 20) + allocation_index,
        coalesce(credit_item_id, (new_batch << 20) + credit_index),
        coalesce(debit_item_id, (new_batch << 20) + debit_index),
        amount_minor, new_batch, effective_date, of_book, rule
    FROM pg_temp.ledger_stage_allocation ORDER BY allocation_index;
    SELECT array_agg(DISTINCT item) INTO touched
    FROM allocation, LATERAL (VALUES (credit_item_id), (debit_item_id)) v (item)
    WHERE batch_id = new_batch;
    CALL ledger_check_outstanding(touched);
END $$;

-- The allocations of a stage: existing items, one account and currency, opposite signs, not too early.
-- Items of earlier batches are locked here, sorted, so that two batches never both use what is left.
CREATE PROCEDURE ledger_check_allocations(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    named bigint[];
    bad record;
BEGIN
    SELECT array_agg(DISTINCT item) INTO named
    FROM pg_temp.ledger_stage_allocation s, LATERAL (VALUES
        (coalesce(s.credit_item_id, (new_batch << 20) + s.credit_index)),
        (coalesce(s.debit_item_id, (new_batch << 20) + s.debit_index))) v (item);
    PERFORM FROM open_item WHERE open_item_id = ANY (named)
    ORDER BY open_item_id FOR NO KEY UPDATE;
    WITH item AS MATERIALIZED (SELECT * FROM open_item WHERE open_item_id = ANY (named))
    SELECT s.allocation_index, c.open_item_id AS credit_id, d.open_item_id AS debit_id,
        coalesce(s.credit_item_id, (new_batch << 20) + s.credit_index) AS credit_named,
        coalesce(s.debit_item_id, (new_batch << 20) + s.debit_index) AS debit_named
    INTO bad
    FROM pg_temp.ledger_stage_allocation s
    LEFT JOIN item c ON c.book_id = of_book
        AND c.open_item_id = coalesce(s.credit_item_id, (new_batch << 20) + s.credit_index)
    LEFT JOIN item d ON d.book_id = of_book
        AND d.open_item_id = coalesce(s.debit_item_id, (new_batch << 20) + s.debit_index)
    WHERE c.open_item_id IS NULL OR d.open_item_id IS NULL OR s.amount_minor <= 0
        OR c.account_id <> d.account_id OR c.currency <> d.currency
        OR c.original_minor > 0 OR d.original_minor < 0
        OR s.effective_date < greatest(c.effective_date, d.effective_date)
    ORDER BY s.allocation_index LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF bad.credit_id IS NULL OR bad.debit_id IS NULL THEN
        CALL ledger_refuse('HB017', format('Allocation %s names open item %s, which the book does '
            'not have.', bad.allocation_index, CASE WHEN bad.credit_id IS NULL
            THEN bad.credit_named ELSE bad.debit_named END),
            jsonb_build_object('allocation', bad.allocation_index));
    END IF;
    CALL ledger_refuse('HB018', format('Allocation %s of item %s to item %s: both must be on one '
        'account in one currency, a credit and a debit, and neither later than the allocation.',
        bad.allocation_index, bad.credit_id, bad.debit_id),
        jsonb_build_object('allocation', bad.allocation_index, 'credit_item', bad.credit_id,
            'debit_item', bad.debit_id));
END $$;

-- The items are found by their ids, used amounts summed once; a plan made for few is not kept for many.
CREATE PROCEDURE ledger_check_outstanding(items bigint[])
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
DECLARE
    bad record;
BEGIN
    SELECT i.open_item_id, i.original_minor, u.used INTO bad
    FROM (
        SELECT item, sum(amount_minor) AS used FROM (
            SELECT credit_item_id AS item, amount_minor FROM allocation
            WHERE credit_item_id = ANY (items)
            UNION ALL
            SELECT debit_item_id, amount_minor FROM allocation
            WHERE debit_item_id = ANY (items)) both_sides
        GROUP BY item) u
    JOIN open_item i ON i.open_item_id = u.item AND i.open_item_id = ANY (items)
    WHERE u.used > abs(i.original_minor) OR u.used < 0
    ORDER BY i.open_item_id LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB019', format('Open item %s is of %s minor units; %s would be '
            'allocated. Allocate at most what is outstanding.', bad.open_item_id,
            abs(bad.original_minor), bad.used),
            jsonb_build_object('open_item', bad.open_item_id,
                'original_minor', abs(bad.original_minor)::text, 'allocated_minor', bad.used::text));
    END IF;
END $$;

-- The one way into the journal. Answers with the batch, and whether it was there already.
CREATE FUNCTION ledger_post_staged(
    book_code text, from_system text, from_ref text, by_actor text, content_hash bytea,
    declared_entries integer, declared_lines integer, declared_debits jsonb,
    OUT posted_batch bigint, OUT replayed boolean)
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
        line_count, item_count, allocation_count, debit_totals, first_date, last_date, created_by)
    SELECT posted_book, from_system, from_ref, content_hash, declared_entries, declared_lines,
        (SELECT count(*) FROM pg_temp.ledger_stage_item), n_allocations, declared_debits,
        least(e_first, a_first), greatest(e_last, a_last), by_actor
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
