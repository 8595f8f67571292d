ALTER TRIGGER refuse_change ON access_event RENAME TO access_event_refuse_change;
ALTER TRIGGER refuse_truncate ON access_event RENAME TO access_event_refuse_truncate;

DO $$
DECLARE
    written text;
BEGIN
    FOREACH written IN ARRAY ARRAY['access_event', 'audit_event', 'balance_assertion',
        'book_access', 'dimension_rule', 'exchange_rate', 'posting_request',
        'posting_request_step', 'webhook', 'webhook_delivery', 'webhook_ended', 'webhook_replay']
    LOOP
        EXECUTE format('REVOKE INSERT ON %I FROM hovedbok_service', written);
        EXECUTE format('GRANT INSERT ON %I TO hovedbok_service', written);
    END LOOP;
END $$;
