-- The service seals through the functions alone; whoever reads the books may read the seals.

GRANT EXECUTE ON FUNCTION ledger_lock_seals(), ledger_register_key(text, bytea),
    ledger_seal_block(jsonb, bigint[], bytea[], jsonb),
    ledger_record_anchor(bigint, bytea, text, text) TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_unsealed_batches(), ledger_is_certain(xid8)
    TO hovedbok_service, hovedbok_auditor;
GRANT SELECT ON signing_key, seal_block, seal_member, seal_master, seal_anchor
    TO hovedbok_service, hovedbok_auditor;
