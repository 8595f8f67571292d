ALTER TABLE invoice DROP CONSTRAINT ck_invoice_claims_its_gross,
    ADD CONSTRAINT ck_invoice_gross_not_zero CHECK (gross_minor <> 0),
    ALTER COLUMN open_item_id SET NOT NULL;
