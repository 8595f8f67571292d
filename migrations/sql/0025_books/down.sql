ALTER TABLE idempotency_key DROP COLUMN holder;
ALTER TABLE suspense DROP COLUMN used_on;
DROP FUNCTION ledger_sweep_keys(integer);
DROP INDEX ix_idempotency_key_expires_at;
