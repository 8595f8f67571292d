-- When a fact was recorded, and under which number, is for the database to say: the service may
-- write every other column of what it writes itself. A column that is added later is granted there.
DO $$
DECLARE
    written text;
    columns text;
BEGIN
    FOREACH written IN ARRAY ARRAY['access_event', 'audit_event', 'balance_assertion',
        'book_access', 'dimension_rule', 'exchange_rate', 'posting_request',
        'posting_request_step', 'webhook', 'webhook_delivery', 'webhook_ended', 'webhook_replay']
    LOOP
        SELECT string_agg(quote_ident(attname), ', ') INTO columns
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = written::regclass AND attnum > 0 AND NOT attisdropped
            AND attidentity = '' AND coalesce(pg_get_expr(adbin, adrelid), '')
                NOT LIKE '%clock_timestamp()%';
        EXECUTE format('REVOKE INSERT ON %I FROM hovedbok_service', written);
        EXECUTE format('GRANT INSERT (%s) ON %I TO hovedbok_service', columns, written);
    END LOOP;
END $$;

-- The log of privileged acts is guarded as every fact is, and under the same names, so that verify
-- looks after it and blocks seal it.
ALTER TRIGGER access_event_refuse_change ON access_event RENAME TO refuse_change;
ALTER TRIGGER access_event_refuse_truncate ON access_event RENAME TO refuse_truncate;
