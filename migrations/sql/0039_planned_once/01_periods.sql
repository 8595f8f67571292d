-- Whether a month is open is asked some ten times by every batch. A function of SQL is planned anew for
-- each statement that calls it, one of PL/pgSQL once in a session. What they answer is as it was.

CREATE OR REPLACE FUNCTION ledger_period_level(of_book smallint, of_period text, of_module text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    -- A reopening with a term falls back to soft by itself, as of the start of the transaction.
    RETURN coalesce((
        SELECT CASE WHEN level = 'open' AND expires_at <= now() THEN 'soft' ELSE level END
        FROM period_lock_event
        WHERE book_id = of_book AND period_code = of_period AND module = of_module
        ORDER BY lock_event_id DESC LIMIT 1), 'open');
END $$;

CREATE OR REPLACE FUNCTION ledger_period_admits(
    of_book smallint, of_period text, of_module text, by_actor text)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    IF of_module = 'YEAR' THEN
        RETURN ledger_year_admits(of_book, of_period);
    END IF;
    CASE ledger_period_level(of_book, of_period, of_module)
        WHEN 'open' THEN
            RETURN true;
        WHEN 'soft' THEN
            RETURN EXISTS (
                SELECT FROM period_lock_exception x
                WHERE x.actor = by_actor AND x.expires_at > now() AND x.lock_event_id = (
                    SELECT max(lock_event_id) FROM period_lock_event
                    WHERE book_id = of_book AND period_code = of_period AND module = of_module))
                AND ledger_year_end(of_book, (SELECT fiscal_year FROM period
                    WHERE book_id = of_book AND code = of_period)) IS NULL;
        ELSE
            RETURN false;
    END CASE;
END $$;

-- A plan that outlives the batch it was made for goes by the indexes, however small the tables were then.
ALTER PROCEDURE ledger_check_stored_days(posting_batch) SET plan_cache_mode = force_generic_plan;
ALTER PROCEDURE ledger_check_stored_days(posting_batch) SET enable_seqscan = off;
