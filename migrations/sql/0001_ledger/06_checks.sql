-- What a stage must satisfy before it becomes facts. Each check is one pass over the stage and names the
-- first offender. `ledger.journal.check_batch` refuses the same in Python, with the same words.

CREATE PROCEDURE ledger_check_totals(
    declared_entries integer, declared_lines integer, declared_debits jsonb)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    entries integer;
    lines integer;
    debits jsonb;
BEGIN
    SELECT count(*) INTO entries FROM pg_temp.ledger_stage_entry;
    IF entries = 0 AND NOT EXISTS (SELECT FROM pg_temp.ledger_stage_allocation) THEN
        CALL ledger_refuse('HB002', 'The batch has neither entries nor allocations.', '{}');
    END IF;
    SELECT coalesce(sum(n), 0), coalesce(jsonb_object_agg(currency, debit)
        FILTER (WHERE debit > 0), '{}')
    INTO lines, debits
    FROM (SELECT currency, count(*) AS n, sum(greatest(amount_minor, 0)) AS debit
        FROM pg_temp.ledger_stage_line GROUP BY currency) s;
    IF (entries, lines, debits) IS DISTINCT FROM
            (declared_entries, declared_lines, declared_debits) THEN
        CALL ledger_refuse('HB015', format('The batch declares %s entries, %s lines and debits %s '
            'but holds %s, %s and %s.', declared_entries, declared_lines, declared_debits,
            entries, lines, debits),
            jsonb_build_object('entries', entries, 'lines', lines, 'debits_minor', debits));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_balance()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    WITH by_currency AS (
        SELECT entry_index, currency, sum(amount_minor) AS amount, sum(base_minor) AS base,
            count(*) AS n, min(line_no) AS low, max(line_no) AS high
        FROM pg_temp.ledger_stage_line GROUP BY entry_index, currency),
    by_entry AS (
        SELECT entry_index, sum(base) AS base, sum(n) AS n, min(low) AS low, max(high) AS high,
            min(currency) FILTER (WHERE amount <> 0) AS currency, max(abs(amount)) AS amount
        FROM by_currency GROUP BY entry_index)
    SELECT entry_index, e.source_ref, s.currency, s.amount, s.base,
        e.entry_index IS NOT NULL AND s.entry_index IS NOT NULL AND s.n = e.line_count
            AND s.low = 1 AND s.high = s.n AS complete
    INTO bad
    FROM by_entry s FULL JOIN pg_temp.ledger_stage_entry e USING (entry_index)
    WHERE s.amount <> 0 OR s.base <> 0 OR s.n IS DISTINCT FROM e.line_count
        OR s.low <> 1 OR s.high <> s.n OR s.entry_index IS NULL OR e.entry_index IS NULL
        OR entry_index NOT BETWEEN 0 AND 1048575
    ORDER BY entry_index LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    ELSIF NOT bad.complete THEN
        CALL ledger_refuse('HB002', format('Entry %s (%s) must have its lines numbered from 1 '
            'without holes, and a header.', bad.entry_index, bad.source_ref),
            jsonb_build_object('entry', bad.entry_index, 'source_ref', bad.source_ref));
    END IF;
    CALL ledger_refuse('HB001', format('Entry %s (%s) is off by %s minor units in %s: debits and '
        'credits must be equal.', bad.entry_index, bad.source_ref,
        coalesce(nullif(bad.amount, 0), bad.base), coalesce(bad.currency, 'the base currency')),
        jsonb_build_object('entry', bad.entry_index, 'source_ref', bad.source_ref,
            'currency', bad.currency));
END $$;

-- Every line against the chart, the VAT codes and the dimension sets of the book.
CREATE PROCEDURE ledger_check_lines(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    base_currency text;
    bad record;
BEGIN
    SELECT functional_currency INTO base_currency FROM book WHERE book_id = of_book;
    SELECT l.entry_index, l.line_no, l.account, l.currency, l.vat_code, l.dim_set_id,
        e.effective_date, a.party_required, a.open_item,
        CASE
            WHEN a.account_id IS NULL THEN 'HB004'
            WHEN e.effective_date < a.valid_from OR e.effective_date >= a.valid_to THEN 'HB005'
            WHEN a.party_required AND l.party_id IS NULL THEN 'HB006'
            WHEN a.open_item <> (l.item_index IS NOT NULL) THEN 'HB007'
            WHEN l.vat_code IS NOT NULL AND v.vat_code_id IS NULL THEN 'HB008'
            WHEN c.code IS NULL OR l.currency <> a.currency
                OR (l.currency = base_currency AND l.amount_minor <> l.base_minor) THEN 'HB009'
            WHEN l.dim_set_id <> 0 AND d.dim_set_id IS NULL THEN 'HB010'
        END AS fault
    INTO bad
    FROM pg_temp.ledger_stage_line l
    JOIN pg_temp.ledger_stage_entry e USING (entry_index)
    LEFT JOIN account a ON a.book_id = of_book AND a.number = l.account
    LEFT JOIN currency c ON c.code = l.currency
    LEFT JOIN vat_code v ON v.book_id = of_book AND v.code = l.vat_code
        AND e.effective_date >= v.valid_from
        AND (v.valid_to IS NULL OR e.effective_date < v.valid_to)
    LEFT JOIN dimension_set d ON d.book_id = of_book AND d.dim_set_id = l.dim_set_id
    WHERE a.account_id IS NULL OR e.effective_date < a.valid_from
        OR e.effective_date >= a.valid_to OR (a.party_required AND l.party_id IS NULL)
        OR a.open_item <> (l.item_index IS NOT NULL)
        OR (l.vat_code IS NOT NULL AND v.vat_code_id IS NULL)
        OR c.code IS NULL OR l.currency <> a.currency
        OR (l.currency = base_currency AND l.amount_minor <> l.base_minor)
        OR (l.dim_set_id <> 0 AND d.dim_set_id IS NULL)
    ORDER BY l.entry_index, l.line_no LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse(bad.fault, format('Entry %s line %s: %s', bad.entry_index, bad.line_no,
            CASE bad.fault
                WHEN 'HB004' THEN format('the chart has no account %s.', bad.account)
                WHEN 'HB005' THEN format('account %s is not open on %s.', bad.account,
                    bad.effective_date)
                WHEN 'HB006' THEN format('account %s needs a party on every line.', bad.account)
                WHEN 'HB007' THEN format(CASE WHEN bad.open_item
                    THEN 'every line on account %s must carry an open item.'
                    ELSE 'account %s does not take open items.' END, bad.account)
                WHEN 'HB008' THEN format('there is no VAT code %s on %s.', bad.vat_code,
                    bad.effective_date)
                WHEN 'HB009' THEN format('currency %s is unknown, not allowed on account %s, or its '
                    'amount differs from its base amount.', bad.currency, bad.account)
                ELSE format('dimension set %s is not of this book.', bad.dim_set_id)
            END),
            jsonb_build_object('entry', bad.entry_index, 'line', bad.line_no,
                'account', bad.account, 'effective_date', bad.effective_date));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_items()
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT coalesce(i.entry_index, l.entry_index) AS entry_index,
        coalesce(i.line_no, l.line_no) AS line_no
    INTO bad
    FROM pg_temp.ledger_stage_item i
    FULL JOIN (SELECT * FROM pg_temp.ledger_stage_line WHERE item_index IS NOT NULL) l
        USING (item_index)
    WHERE (i.entry_index, i.line_no) IS DISTINCT FROM (l.entry_index, l.line_no)
        OR item_index NOT BETWEEN 0 AND 1048575
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB007', format('Entry %s line %s and its open item do not agree.',
            bad.entry_index, bad.line_no),
            jsonb_build_object('entry', bad.entry_index, 'line', bad.line_no));
    END IF;
END $$;

CREATE PROCEDURE ledger_check_series(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT e.entry_index, e.series INTO bad
    FROM pg_temp.ledger_stage_entry e
    LEFT JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
    WHERE s.series_id IS NULL ORDER BY e.entry_index LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB011', format('Entry %s: the book has no voucher series %s.',
            bad.entry_index, bad.series),
            jsonb_build_object('entry', bad.entry_index, 'series', bad.series));
    END IF;
    SELECT e.entry_index, e.reverses_entry_id INTO bad
    FROM pg_temp.ledger_stage_entry e
    LEFT JOIN journal_entry r ON r.entry_id = e.reverses_entry_id AND r.book_id = of_book
    WHERE e.reverses_entry_id IS NOT NULL AND r.entry_id IS NULL
    ORDER BY e.entry_index LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB020', format('Entry %s reverses entry %s, which the book does not have.',
            bad.entry_index, bad.reverses_entry_id),
            jsonb_build_object('entry', bad.entry_index, 'reverses', bad.reverses_entry_id));
    END IF;
END $$;

-- The days of a stage with the module each belongs to; GL stands over every module.
CREATE FUNCTION ledger_staged_days(of_book smallint)
RETURNS TABLE (module text, day date)
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH staged AS (
        SELECT DISTINCT s.module, e.effective_date AS day
        FROM (SELECT DISTINCT series, effective_date FROM pg_temp.ledger_stage_entry) e
        JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
        UNION
        SELECT 'AR', effective_date FROM pg_temp.ledger_stage_allocation)
    SELECT staged.module, staged.day FROM staged UNION SELECT 'GL', staged.day FROM staged;
END $$;

CREATE PROCEDURE ledger_check_periods(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
    first_open date;
BEGIN
    SELECT d.day INTO bad FROM ledger_staged_days(of_book) d
    WHERE NOT EXISTS (SELECT FROM period p WHERE p.book_id = of_book
        AND d.day >= p.starts_on AND d.day < p.ends_on)
    ORDER BY d.day LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB012', format('No accounting period holds %s. Open the periods of '
            'that year first.', bad.day), jsonb_build_object('effective_date', bad.day));
    END IF;
    -- Locked in one order by everybody, and looked at only once held.
    PERFORM pg_advisory_xact_lock_shared(fence) FROM (
        SELECT DISTINCT ledger_period_fence(of_book, d.module, date_trunc('month', d.day)::date)
            AS fence
        FROM ledger_staged_days(of_book) d ORDER BY fence OFFSET 0) fences;
    SELECT d.module, d.day, p.code, ledger_period_level(of_book, p.code, d.module) AS level
    INTO bad
    FROM ledger_staged_days(of_book) d
    JOIN period p ON p.book_id = of_book AND d.day >= p.starts_on AND d.day < p.ends_on
    WHERE ledger_period_level(of_book, p.code, d.module) <> 'open'
    ORDER BY d.day LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT min(starts_on) INTO first_open FROM period p
    WHERE p.book_id = of_book AND p.starts_on > bad.day
        AND ledger_period_level(of_book, p.code, bad.module) = 'open'
        AND ledger_period_level(of_book, p.code, 'GL') = 'open';
    CALL ledger_refuse('HB013', format('%s is in %s, which is closed (%s) for %s. %s', bad.day,
        bad.code, bad.level, bad.module, coalesce(format('Use %s or later.', first_open),
        'Open a later period first.')),
        jsonb_build_object('effective_date', bad.day, 'period', bad.code, 'level', bad.level,
            'module', bad.module, 'first_open_day', first_open));
END $$;
