-- Periods: opening them makes the partitions with their guards; locking them is fenced against posting.

CREATE FUNCTION ledger_book_id(book_code text) RETURNS smallint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    found_id smallint;
BEGIN
    SELECT book_id INTO found_id FROM book WHERE code = book_code;
    IF found_id IS NULL THEN
        CALL ledger_refuse('HB003', format('There is no book %s. Seed it first.', book_code),
            jsonb_build_object('book', book_code));
    END IF;
    RETURN found_id;
END $$;

CREATE PROCEDURE ledger_make_partition(fact text, month date)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    part text := format('%s_%s', fact, to_char(month, 'YYYY_MM'));
    named text := CASE fact WHEN 'journal_line' THEN 'entry_id >> 20' ELSE 'batch_id' END;
BEGIN
    IF to_regclass('public.' || part) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
        part, fact, month, (month + interval '1 month')::date);
    CALL ledger_guard_fact(part::regclass, true);
    CALL ledger_guard_ownership(part::regclass, named, 'effective_date');
    EXECUTE format('GRANT SELECT ON public.%I TO hovedbok_service, hovedbok_auditor', part);
END $$;

-- Open the twelve months of a fiscal year; months that are there already are left alone.
CREATE FUNCTION ledger_open_periods(book_code text, opened_year integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    opened_book smallint := ledger_book_id(book_code);
    first_month date;
    month date;
    made integer := 0;
BEGIN
    IF opened_year NOT BETWEEN 2000 AND 2999 THEN
        CALL ledger_refuse('HB012', format('%s is not a year that can be opened.', opened_year),
            jsonb_build_object('year', opened_year));
    END IF;
    -- Two books opening one month at once must not both make its partition.
    PERFORM pg_advisory_xact_lock(x'4c6564676572'::bigint);
    SELECT make_date(opened_year, fiscal_year_start, 1) INTO first_month
    FROM book WHERE book_id = opened_book;
    FOR i IN 0..11 LOOP
        month := (first_month + make_interval(months => i))::date;
        CALL ledger_make_partition('journal_line', month);
        CALL ledger_make_partition('balance_delta', month);
        INSERT INTO period (book_id, code, starts_on, ends_on, fiscal_year)
        VALUES (opened_book, to_char(month, 'YYYY-MM'), month,
            (month + interval '1 month')::date, opened_year)
        ON CONFLICT DO NOTHING;
        made := made + (CASE WHEN FOUND THEN 1 ELSE 0 END);
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION ledger_period_level(of_book smallint, of_period text, of_module text)
RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce((
        SELECT level FROM period_lock_event
        WHERE book_id = of_book AND period_code = of_period AND module = of_module
        ORDER BY lock_event_id DESC LIMIT 1), 'open')
$$;

-- One lock number per book, module and month: posting takes it shared, locking takes it alone.
CREATE FUNCTION ledger_period_fence(of_book smallint, of_module text, starts_on date)
RETURNS bigint LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT (x'4c'::bigint << 48) + (of_book::bigint << 32)
        + (array_position(ARRAY['GL', 'AR', 'BILLING', 'VAT'], of_module)::bigint << 24)
        + extract(year FROM starts_on)::bigint * 12 + extract(month FROM starts_on)::bigint
$$;

CREATE FUNCTION ledger_keep_hard_lock() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF ledger_period_level(NEW.book_id, NEW.period_code, NEW.module) = 'hard' THEN
        CALL ledger_refuse('HB014', format('Period %s is locked for good for %s.',
            NEW.period_code, NEW.module),
            jsonb_build_object('period', NEW.period_code, 'module', NEW.module));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_hard_lock BEFORE INSERT ON period_lock_event
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_hard_lock();

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
