-- Who may still post into a month that is soft-closed, until when, and who said so.
-- An exception is from one lock event: whatever is recorded after it for that module ends it.

CREATE TABLE period_lock_exception (
    exception_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_period_lock_exception PRIMARY KEY,
    lock_event_id bigint NOT NULL
        CONSTRAINT fk_period_lock_exception_lock_event_id REFERENCES period_lock_event,
    book_id smallint NOT NULL,
    period_code text COLLATE "C" NOT NULL,
    module text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL CONSTRAINT ck_period_lock_exception_reason CHECK (btrim(reason) <> ''),
    granted_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ck_period_lock_exception_four_eyes CHECK (granted_by <> actor),
    CONSTRAINT ck_period_lock_exception_term CHECK (
        expires_at > recorded_at AND expires_at <= recorded_at + interval '31 days')
);
CREATE INDEX ix_period_lock_exception_event ON period_lock_exception (lock_event_id);
CALL ledger_guard_fact('period_lock_exception');

-- A reopening with a term falls back to soft by itself. The instant is that of the transaction's start,
-- so that what a posting was told holds until it commits.
CREATE OR REPLACE FUNCTION ledger_period_level(of_book smallint, of_period text, of_module text)
RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce((
        SELECT CASE WHEN level = 'open' AND expires_at <= now() THEN 'soft' ELSE level END
        FROM period_lock_event
        WHERE book_id = of_book AND period_code = of_period AND module = of_module
        ORDER BY lock_event_id DESC LIMIT 1), 'open')
$$;

-- Whether an actor may post: an open month takes everybody, a soft one whom an exception names.
CREATE FUNCTION ledger_period_admits(
    of_book smallint, of_period text, of_module text, by_actor text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT CASE ledger_period_level(of_book, of_period, of_module)
        WHEN 'open' THEN true
        WHEN 'soft' THEN EXISTS (
            SELECT FROM period_lock_exception x
            WHERE x.actor = by_actor AND x.expires_at > now() AND x.lock_event_id = (
                SELECT max(lock_event_id) FROM period_lock_event
                WHERE book_id = of_book AND period_code = of_period AND module = of_module))
        ELSE false END
$$;

CREATE FUNCTION ledger_keep_exception() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    standing bigint;
BEGIN
    NEW.recorded_at := clock_timestamp();
    SELECT max(lock_event_id) INTO standing FROM period_lock_event
    WHERE book_id = NEW.book_id AND period_code = NEW.period_code AND module = NEW.module;
    IF standing IS DISTINCT FROM NEW.lock_event_id
            OR ledger_period_level(NEW.book_id, NEW.period_code, NEW.module) <> 'soft'
            OR ledger_period_level(NEW.book_id, NEW.period_code, 'GL') = 'hard' THEN
        CALL ledger_refuse('HB026', format('%s is not soft-closed for %s, so there is nothing to '
            'make an exception from.', NEW.period_code, NEW.module), jsonb_build_object(
            'period', NEW.period_code, 'module', NEW.module,
            'level', ledger_period_level(NEW.book_id, NEW.period_code, NEW.module)));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_exception BEFORE INSERT ON period_lock_exception
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_exception();

CREATE FUNCTION ledger_grant_exception(book_code text, of_period text, of_module text,
    for_actor text, why text, by_actor text, until timestamptz)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    month date;
    granted bigint;
BEGIN
    SELECT starts_on INTO month FROM period WHERE book_id = of_book AND code = of_period;
    IF month IS NULL THEN
        CALL ledger_refuse('HB012', format('Book %s has no period %s. Open its year first.',
            book_code, of_period), jsonb_build_object('period', of_period));
    END IF;
    -- The lock that it is from must still stand when this commits.
    PERFORM pg_advisory_xact_lock_shared(ledger_period_fence(of_book, of_module, month));
    INSERT INTO period_lock_exception (lock_event_id, book_id, period_code, module, actor, reason,
        granted_by, expires_at)
    SELECT coalesce(max(lock_event_id), 0), of_book, of_period, of_module, for_actor, why,
        by_actor, until
    FROM period_lock_event
    WHERE book_id = of_book AND period_code = of_period AND module = of_module
    RETURNING exception_id INTO granted;
    RETURN granted;
END $$;
