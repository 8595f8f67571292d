ALTER TABLE invoice
    DROP CONSTRAINT ck_invoice_gross_not_zero,
    ADD CONSTRAINT ck_invoice_gross_positive CHECK (gross_minor > 0);
ALTER TABLE rating_run DROP COLUMN explained_sha256;
