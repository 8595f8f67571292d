-- The service seals through the functions alone; whoever reads the books may read the seals.

DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname IN (
            'ledger_unsealed_batches', 'ledger_is_certain', 'ledger_lock_seals',
            'ledger_register_key', 'ledger_check_members', 'ledger_seal_block',
            'ledger_record_anchor')
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION ledger_lock_seals(), ledger_register_key(text, bytea),
    ledger_seal_block(jsonb, bigint[], bytea[], jsonb),
    ledger_record_anchor(bigint, bytea, text, text) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_unsealed_batches(), ledger_is_certain(xid8)
    TO hovedbok_service, hovedbok_auditor;
GRANT SELECT ON signing_key, seal_block, seal_member, seal_master, seal_anchor
    TO hovedbok_service, hovedbok_auditor;
