-- The grants that 0001_ledger gave to what its scripts have just made anew.

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

GRANT EXECUTE ON FUNCTION ledger_open_stage(integer) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_post_staged(
    text, text, text, text, bytea, integer, integer, jsonb) TO hovedbok_service;
