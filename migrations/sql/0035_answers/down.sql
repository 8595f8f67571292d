ALTER TABLE idempotency_key ALTER COLUMN response TYPE jsonb USING response::jsonb;
