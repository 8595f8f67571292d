ALTER TABLE rating_run
    DROP CONSTRAINT ck_rating_run_correction_has_reason,
    DROP COLUMN counters_sha256, DROP COLUMN reason, DROP COLUMN actor,
    DROP COLUMN corrects_run_id;
