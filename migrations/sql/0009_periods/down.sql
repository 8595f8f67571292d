-- What 0001_ledger laid down for periods, series and the commit check, and nothing of ours.

CREATE OR REPLACE FUNCTION ledger_period_level(of_book smallint, of_period text, of_module text)
RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce((
        SELECT level FROM period_lock_event
        WHERE book_id = of_book AND period_code = of_period AND module = of_module
        ORDER BY lock_event_id DESC LIMIT 1), 'open')
$$;

CREATE OR REPLACE FUNCTION ledger_keep_hard_lock() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF ledger_period_level(NEW.book_id, NEW.period_code, NEW.module) = 'hard' THEN
        CALL ledger_refuse('HB014', format('Period %s is locked for good for %s.',
            NEW.period_code, NEW.module),
            jsonb_build_object('period', NEW.period_code, 'module', NEW.module));
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE PROCEDURE ledger_check_periods(of_book smallint)
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

CREATE OR REPLACE PROCEDURE ledger_check_series(of_book smallint)
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

CREATE OR REPLACE PROCEDURE ledger_check_stored_numbers(b posting_batch)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT e.series_id, e.fiscal_year INTO bad
    FROM (SELECT series_id, fiscal_year, date_trunc('month', effective_date)::date AS month,
            max(voucher_no) AS high_no
        FROM journal_entry
        WHERE entry_id >= b.batch_id << 20 AND entry_id < (b.batch_id + 1) << 20
        GROUP BY 1, 2, 3) e
    LEFT JOIN voucher_series s ON s.series_id = e.series_id AND s.book_id = b.book_id
    LEFT JOIN voucher_counter c ON c.series_id = e.series_id AND c.fiscal_year = e.fiscal_year
    LEFT JOIN period p ON p.book_id = b.book_id AND p.starts_on = e.month
        AND p.fiscal_year = e.fiscal_year
    WHERE (e.high_no <= c.last_no AND s.series_id IS NOT NULL
        AND ledger_period_level(b.book_id, p.code, s.module) = 'open'
        AND ledger_period_level(b.book_id, p.code, 'GL') = 'open'
        AND p.code IS NOT NULL) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_break(b.batch_id, format('series id %s of %s has a number beyond its counter, '
            'or its period is not open', bad.series_id, bad.fiscal_year));
    END IF;
END $$;

DROP TABLE period_lock_exception;
DROP FUNCTION ledger_keep_exception(), ledger_period_admits(smallint, text, text, text),
    ledger_grant_exception(text, text, text, text, text, text, timestamptz),
    ledger_next_open_day(smallint, text[], date), ledger_first_open_day(text, text, date, boolean),
    ledger_in_vat_return(text), ledger_is_mirror(bigint, date, bigint, date),
    ledger_stage_is_mirror(smallint, integer, bigint, date),
    ledger_undo_allocations(text, text, text, text, bytea, bigint[], date, text),
    ledger_hold_items(bigint[]), ledger_hold_counter(text, text, smallint),
    ledger_lock_period(text, text, text, text, text, text, timestamptz);
DROP PROCEDURE ledger_require_open(smallint, text, date, text),
    ledger_check_reversals(smallint), ledger_check_undone(smallint, bigint[], date),
    ledger_check_stored_reversals(posting_batch), ledger_check_stored_days(posting_batch);

CREATE FUNCTION ledger_lock_period(
    book_code text, locked_code text, locked_module text, new_level text, by_actor text, why text)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    locked_book smallint := ledger_book_id(book_code);
    locked period;
    event bigint;
BEGIN
    SELECT * INTO locked FROM period WHERE book_id = locked_book AND code = locked_code;
    IF locked.code IS NULL THEN
        CALL ledger_refuse('HB012', format('Book %s has no period %s. Open its year first.',
            book_code, locked_code), jsonb_build_object('period', locked_code));
    END IF;
    -- What this transaction itself has posted is checked now, while the period is still open to it.
    SET CONSTRAINTS public.check_batch IMMEDIATE;
    SET CONSTRAINTS public.check_batch DEFERRED;
    -- Waits for every posting that has passed the check; later ones wait for this commit.
    PERFORM pg_advisory_xact_lock(ledger_period_fence(locked_book, locked_module, locked.starts_on));
    INSERT INTO period_lock_event (book_id, period_code, module, level, actor, reason)
    VALUES (locked_book, locked_code, locked_module, new_level, by_actor, why)
    RETURNING lock_event_id INTO event;
    RETURN event;
END $$;

REVOKE ALL ON FUNCTION ledger_lock_period(text, text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_lock_period(text, text, text, text, text, text)
    TO hovedbok_service;
