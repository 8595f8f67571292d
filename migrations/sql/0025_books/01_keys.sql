-- Keys of requests end after three days. They are no facts: what they posted is, and is found for ever
-- by its reference. So rows may go, but only here, only when their time is over, and few at a time.

CREATE INDEX ix_idempotency_key_expires_at ON idempotency_key (expires_at);

-- Removes expired keys, the oldest first, at most so many and never over 10,000; gives how many.
-- One that a request takes over at this moment is passed by: it is that request's now.
CREATE FUNCTION ledger_sweep_keys(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH expired AS MATERIALIZED (
        SELECT client_id, key FROM idempotency_key WHERE expires_at <= clock_timestamp()
        ORDER BY expires_at LIMIT least(greatest(most, 0), 10000) FOR UPDATE SKIP LOCKED),
    gone AS (
        DELETE FROM idempotency_key k USING expired e
        WHERE k.client_id = e.client_id AND k.key = e.key RETURNING 1)
    SELECT count(*) FROM gone
$$;

GRANT EXECUTE ON FUNCTION ledger_sweep_keys(integer) TO hovedbok_service;
