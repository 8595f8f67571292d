-- Remove staging, checks, posting and the commit check; the scripts of 0001_ledger make them anew.

DROP TRIGGER check_batch ON posting_batch;
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND (
            proname LIKE 'ledger\_stage%' OR proname LIKE 'ledger\_check\_%'
            OR proname LIKE 'ledger\_insert\_%' OR proname LIKE 'ledger\_post\_%'
            OR proname IN ('ledger_open_stage', 'ledger_make_stage', 'ledger_break'))
    LOOP
        EXECUTE format('DROP ROUTINE %s', routine);
    END LOOP;
END $$;
