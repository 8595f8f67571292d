-- Remove the seals; the batches stay.

DROP FUNCTION ledger_record_anchor, ledger_seal_block, ledger_register_key, ledger_lock_seals;
DROP PROCEDURE ledger_check_members;
DROP FUNCTION ledger_unsealed_batches, ledger_is_certain;
DROP TABLE seal_anchor, seal_master, seal_member, seal_block, signing_key;
DROP INDEX ix_posting_batch_xid;
