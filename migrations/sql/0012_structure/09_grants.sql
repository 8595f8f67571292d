DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname IN ('ledger_account_of',
            'ledger_name_account', 'ledger_close_account', 'ledger_require_dimensions',
            'ledger_guard_dimensions')
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION ledger_name_account(text, text, text, text, text, text, text)
    TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_close_account(text, text, date, text, text) TO hovedbok_service;
