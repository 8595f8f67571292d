-- Months, orders, discounts and settlements are explained as usage is: by codes in the vault, which a
-- run names by their hash. Runs from before have none.

ALTER TABLE rating_run
    ADD COLUMN explained_sha256 text
        CONSTRAINT ck_rating_run_explained_sha256 CHECK (explained_sha256 ~ '^[0-9a-f]{64}$');
