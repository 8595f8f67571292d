ALTER TABLE rating_run DROP COLUMN explained_sha256;
