-- Who may what. Facts are reached by functions alone; master data may be added to, not changed.

DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'ledger\_%'
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION ledger_open_stage(integer) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_post_staged(
    text, text, text, text, bytea, integer, integer, jsonb) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_open_periods(text, integer) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_lock_period(text, text, text, text, text, text)
    TO hovedbok_service;

GRANT SELECT ON currency, book, account, account_version, dimension, dimension_value,
    dimension_set, vat_code, posting_rule, voucher_series, voucher_counter, voucher_gap, period,
    period_lock_event, posting_batch, batch_closed, journal_entry, journal_line, balance_delta,
    open_item, allocation, event_outbox, audit_event, idempotency_key
    TO hovedbok_service, hovedbok_auditor;
GRANT INSERT ON book, account, dimension, dimension_value, dimension_set, vat_code, posting_rule,
    voucher_series, audit_event TO hovedbok_service;
GRANT INSERT, UPDATE ON idempotency_key TO hovedbok_service;
