-- The stage becomes facts: joins by hashing whatever the sizes, since a plan outlives the batch it was
-- made for.

-- Lines are judged by the join that resolves them: what may not be posted is not inserted, and then the
-- batch is not what it declares.
CREATE OR REPLACE PROCEDURE ledger_insert_lines(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_nestloop = off AS $$
DECLARE
    base_currency text;
BEGIN
    SELECT functional_currency INTO base_currency FROM book WHERE book_id = of_book;
    -- The conditions are those of `ledger_check_lines`. The deltas are the lines by account and day.
    WITH stored AS (
        INSERT INTO journal_line (entry_id, line_no, effective_date, account_id, amount_minor,
            base_minor, currency, party_id, open_item_id, vat_code_id, tax_base_minor, dim_set_id,
            text)
        SELECT (new_batch << 20) + l.entry_index, l.line_no, e.effective_date, a.account_id,
            l.amount_minor, l.base_minor, l.currency, l.party_id, (new_batch << 20) + l.item_index,
            v.vat_code_id, l.tax_base_minor, l.dim_set_id, l.text
        FROM pg_temp.ledger_stage_line l
        JOIN pg_temp.ledger_stage_entry e USING (entry_index)
        JOIN account a ON a.book_id = of_book AND a.number = l.account
        JOIN currency c ON c.code = l.currency
        LEFT JOIN vat_code v ON v.book_id = of_book AND v.code = l.vat_code
            AND e.effective_date >= v.valid_from
            AND (v.valid_to IS NULL OR e.effective_date < v.valid_to)
        LEFT JOIN dimension_set d ON d.book_id = of_book AND d.dim_set_id = l.dim_set_id
        WHERE e.effective_date >= a.valid_from
            AND (a.valid_to IS NULL OR e.effective_date < a.valid_to)
            AND NOT (a.party_required AND l.party_id IS NULL)
            AND a.open_item = (l.item_index IS NOT NULL)
            AND (l.vat_code IS NULL OR v.vat_code_id IS NOT NULL)
            AND (a.currency IS NULL OR l.currency = a.currency)
            AND (l.currency <> base_currency OR l.amount_minor = l.base_minor)
            AND (l.dim_set_id = 0 OR d.dim_set_id IS NOT NULL)
        RETURNING account_id, currency, dim_set_id, effective_date, amount_minor, base_minor)
    INSERT INTO balance_delta (batch_id, book_id, account_id, currency, dim_set_id,
        effective_date, debit_minor, credit_minor, base_debit_minor, base_credit_minor, line_count)
    SELECT new_batch, of_book, account_id, currency, dim_set_id, effective_date, debit,
        debit - net, base_debit, base_debit - base_net, n
    FROM (
        SELECT account_id, currency, dim_set_id, effective_date,
            sum(greatest(amount_minor, 0)) AS debit, sum(amount_minor) AS net,
            sum(greatest(base_minor, 0)) AS base_debit, sum(base_minor) AS base_net, count(*) AS n
        FROM stored GROUP BY account_id, currency, dim_set_id, effective_date) s;
    IF EXISTS (SELECT FROM pg_temp.ledger_stage_item) THEN
        INSERT INTO open_item (open_item_id, entry_id, line_no, book_id, party_id, account_id,
            currency, kind, document_ref, kid, document_date, due_date, effective_date,
            original_minor, base_minor)
        SELECT (new_batch << 20) + i.item_index, (new_batch << 20) + i.entry_index, i.line_no,
            of_book, l.party_id, a.account_id, l.currency, i.kind, i.document_ref, i.kid,
            i.document_date, i.due_date, e.effective_date, l.amount_minor, l.base_minor
        FROM pg_temp.ledger_stage_item i
        JOIN pg_temp.ledger_stage_line l USING (item_index)
        JOIN pg_temp.ledger_stage_entry e ON e.entry_index = l.entry_index
        JOIN account a ON a.book_id = of_book AND a.number = l.account;
    END IF;
END $$;

-- Numbers are taken in one block per series and year, and given in the order of the entries.
CREATE OR REPLACE PROCEDURE ledger_insert_headers(
    new_batch bigint, of_book smallint, from_system text)
LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_nestloop = off AS $$
BEGIN
    WITH month AS MATERIALIZED (
        SELECT s.code, p.starts_on, p.ends_on, s.series_id, p.fiscal_year
        FROM voucher_series s, period p WHERE s.book_id = of_book AND p.book_id = of_book),
    used AS MATERIALIZED (
        SELECT e.series, e.effective_date, count(*) AS n
        FROM pg_temp.ledger_stage_entry e GROUP BY e.series, e.effective_date),
    day AS MATERIALIZED (
        SELECT u.series, u.effective_date, m.series_id, m.fiscal_year, u.n
        FROM used u JOIN month m ON m.code = u.series
            AND m.starts_on = date_trunc('month', u.effective_date)::date),
    counted AS (
        SELECT series_id, fiscal_year, sum(n)::bigint AS n
        FROM day GROUP BY series_id, fiscal_year),
    block AS (
        INSERT INTO voucher_counter AS c (series_id, fiscal_year, last_no)
        SELECT series_id, fiscal_year, n FROM counted ORDER BY series_id, fiscal_year
        ON CONFLICT (series_id, fiscal_year) DO UPDATE SET last_no = c.last_no + EXCLUDED.last_no
        RETURNING series_id, fiscal_year, last_no),
    numbered AS (
        SELECT d.series, d.effective_date, d.series_id, d.fiscal_year, b.last_no - c.n AS before,
            convert_to('/' || d.series || '/' || d.fiscal_year || '/', 'UTF8') AS named
        FROM day d JOIN counted c USING (series_id, fiscal_year)
        JOIN block b USING (series_id, fiscal_year))
    INSERT INTO journal_entry (entry_id, book_id, series_id, fiscal_year, voucher_no,
        effective_date, document_date, entry_type, reverses_entry_id, source_system, source_ref,
        document_ref, text, line_count, leaf)
    SELECT (new_batch << 20) + entry_index, of_book, series_id, fiscal_year, voucher_no,
        effective_date, document_date, entry_type, reverses_entry_id, from_system, source_ref,
        document_ref, text, line_count, sha256(entry_hash || named || voucher_no::text::bytea)
    FROM (
        SELECT e.*, n.series_id, n.fiscal_year, n.named, n.before + row_number() OVER (
            PARTITION BY n.series_id, n.fiscal_year ORDER BY e.entry_index) AS voucher_no
        FROM pg_temp.ledger_stage_entry e JOIN numbered n
            ON n.series = e.series AND n.effective_date = e.effective_date) placed;
END $$;

-- The allocations of a stage: existing items, one account and currency, opposite signs, not too early.
-- Items of earlier batches are locked here, sorted, so that two batches never both use what is left;
-- those of this batch nobody else can see.
CREATE OR REPLACE PROCEDURE ledger_check_allocations(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_nestloop = off AS $$
DECLARE
    named bigint[];
    bad record;
BEGIN
    SELECT array_agg(DISTINCT item) INTO named
    FROM pg_temp.ledger_stage_allocation s, LATERAL (VALUES
        (coalesce(s.credit_item_id, (new_batch << 20) + s.credit_index)),
        (coalesce(s.debit_item_id, (new_batch << 20) + s.debit_index))) v (item);
    PERFORM FROM open_item WHERE open_item_id = ANY (named) AND open_item_id >> 20 <> new_batch
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

CREATE OR REPLACE PROCEDURE ledger_insert_allocations(new_batch bigint, of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO allocation (allocation_id, credit_item_id, debit_item_id, amount_minor, batch_id,
        effective_date, book_id, rule)
    SELECT (new_batch << 20) + allocation_index,
        coalesce(credit_item_id, (new_batch << 20) + credit_index),
        coalesce(debit_item_id, (new_batch << 20) + debit_index),
        amount_minor, new_batch, effective_date, of_book, rule
    FROM pg_temp.ledger_stage_allocation;
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
            CALL ledger_check_allocations(posted_batch, posted_book);
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
        WHEN SQLSTATE 'HB091' OR SQLSTATE 'HB017' OR integrity_constraint_violation
                OR numeric_value_out_of_range THEN
            CALL ledger_name_fault(posted_book, declared_entries, declared_lines, declared_debits);
            RAISE;
    END;
END $$;
