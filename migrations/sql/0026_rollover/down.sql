ALTER TABLE rating_run DROP COLUMN remainder_out_sha256, DROP COLUMN remainder_in_sha256;
