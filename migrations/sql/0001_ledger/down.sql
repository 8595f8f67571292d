-- Remove the ledger with everything in it; only while unreleased.

DROP TABLE idempotency_key, audit_event, event_outbox, allocation, open_item, balance_delta,
    journal_line, journal_entry, batch_closed, posting_batch, period_lock_event, period, voucher_gap,
    voucher_counter, voucher_series, posting_rule, vat_code, dimension_set, dimension_value,
    dimension, account_version, account, book, currency CASCADE;
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'ledger\_%'
    LOOP
        EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', routine);
    END LOOP;
END $$;
