-- What is left of allowances at the end of a month is a fact of the run that rated it, in the vault.
-- The run of the next month names the very remainder that it took: where the two differ, something
-- came late, and the later month is rated again.

ALTER TABLE rating_run
    ADD COLUMN remainder_in_sha256 text
        CONSTRAINT ck_rating_run_remainder_in_sha256
        CHECK (remainder_in_sha256 ~ '^[0-9a-f]{64}$'),
    ADD COLUMN remainder_out_sha256 text
        CONSTRAINT ck_rating_run_remainder_out_sha256
        CHECK (remainder_out_sha256 ~ '^[0-9a-f]{64}$');
