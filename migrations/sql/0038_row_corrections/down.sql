ALTER TABLE suspense_release DROP CONSTRAINT ck_suspense_release_bucket,
    ADD CONSTRAINT ck_suspense_release_bucket CHECK (bucket IN ('accepted', 'merged', 'filtered'));
DROP TABLE row_correction;
