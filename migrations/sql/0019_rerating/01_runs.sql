-- A run may correct another: it rates a month again with the tariff that it names. From then on the
-- month keeps that tariff until it is rated again. The counters of allowances lie in the vault.

ALTER TABLE rating_run
    ADD COLUMN corrects_run_id bigint
        CONSTRAINT fk_rating_run_corrects_run_id REFERENCES rating_run (run_id),
    ADD COLUMN actor text NOT NULL DEFAULT 'system:rating',
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN counters_sha256 text
        CONSTRAINT ck_rating_run_counters_sha256 CHECK (counters_sha256 ~ '^[0-9a-f]{64}$'),
    ADD CONSTRAINT ck_rating_run_correction_has_reason
        CHECK (corrects_run_id IS NULL OR (reason <> '' AND corrects_run_id < run_id));
