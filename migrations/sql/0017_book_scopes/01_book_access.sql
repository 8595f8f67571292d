-- Which books a member of staff or an API client may see and post to, as dated facts.
-- Whoever has none may see every book.

CREATE TABLE book_access (
    book_access_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_book_access PRIMARY KEY,
    holder text COLLATE "C" NOT NULL CONSTRAINT ck_book_access_holder
        CHECK (holder ~ '^(staff|client):[a-z][a-z0-9._-]{1,62}$'),
    -- NULL: every book there is or will be.
    book_id smallint CONSTRAINT fk_book_access_book_id REFERENCES book,
    is_granted boolean NOT NULL,
    valid_from timestamptz NOT NULL,
    reason text NOT NULL CONSTRAINT ck_book_access_reason CHECK (reason <> ''),
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_book_access_holder ON book_access (holder, valid_from);
CALL ledger_guard_fact('book_access');

-- What somebody could see in the past is not written afterwards.
CREATE FUNCTION ledger_keep_access_dates() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.valid_from < now() THEN
        CALL ledger_refuse('HB045', format('Access cannot change from %s on, which is past. Leave '
            'the time out to change it now.', NEW.valid_from),
            jsonb_build_object('valid_from', NEW.valid_from));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_access_dates BEFORE INSERT ON book_access
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_access_dates();

GRANT SELECT, INSERT ON book_access TO hovedbok_service;
GRANT SELECT ON book_access TO hovedbok_auditor;
