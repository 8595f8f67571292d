-- Rows of one batch, as nearly all that are added, are told by their least and greatest, without a group.

CREATE OR REPLACE FUNCTION ledger_require_own_batch() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    -- Argument 0 says how a row names its batch, argument 1 its date where the batch bounds it.
    named text := TG_ARGV[0];
    dated text := coalesce(TG_ARGV[1], 'NULL::date');
    low bigint;
    high bigint;
    first_day date;
    last_day date;
    stranger bigint;
BEGIN
    EXECUTE format('SELECT min(%1$s), max(%1$s), min(%2$s), max(%2$s) FROM added', named, dated)
    INTO low, high, first_day, last_day;
    IF low = high THEN
        SELECT low INTO stranger
        WHERE ledger_is_strange(low, first_day, last_day);
    ELSE
        EXECUTE format('SELECT batch_id FROM (
            SELECT %1$s AS batch_id, min(%2$s) AS first_day, max(%2$s) AS last_day
            FROM added GROUP BY 1) a
            WHERE ledger_is_strange(batch_id, first_day, last_day) LIMIT 1', named, dated)
        INTO stranger;
    END IF;
    IF stranger IS NOT NULL THEN
        CALL ledger_refuse('HB091',
            format('Rows of %s name batch %s, which is closed, dated otherwise or of another '
                'transaction.', TG_TABLE_NAME, stranger),
            jsonb_build_object('table', TG_TABLE_NAME, 'batch_id', stranger));
    END IF;
    RETURN NULL;
END $$;

-- Whether this transaction may not add to a batch: it made none such, closed it, or dated it otherwise.
CREATE FUNCTION ledger_is_strange(named bigint, first_day date, last_day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (
            SELECT FROM posting_batch b
            WHERE b.batch_id = named AND b.xid = pg_current_xact_id()
                AND (first_day < b.first_date OR last_day > b.last_date) IS NOT TRUE)
        OR EXISTS (SELECT FROM batch_closed c WHERE c.batch_id = named);
END $$;
