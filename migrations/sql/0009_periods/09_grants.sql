-- Who may call what this revision made.

DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'ledger\_%' AND proacl IS NULL
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION ledger_lock_period(text, text, text, text, text, text, timestamptz),
    ledger_grant_exception(text, text, text, text, text, text, timestamptz),
    ledger_first_open_day(text, text, date, boolean),
    ledger_undo_allocations(text, text, text, text, bytea, bigint[], date, text),
    ledger_hold_items(bigint[]), ledger_hold_counter(text, text, smallint)
    TO hovedbok_service;
GRANT SELECT ON period_lock_exception TO hovedbok_service, hovedbok_auditor;
