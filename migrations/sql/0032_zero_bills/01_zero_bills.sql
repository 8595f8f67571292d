-- A price of 125.00 with VAT and a credit of 125.00 without are nothing to pay, and yet 25.00 of VAT
-- and as much of unbilled revenue. The document that says so claims nothing, so it has no open item.

ALTER TABLE invoice ALTER COLUMN open_item_id DROP NOT NULL,
    DROP CONSTRAINT ck_invoice_gross_not_zero,
    ADD CONSTRAINT ck_invoice_claims_its_gross CHECK ((gross_minor = 0) = (open_item_id IS NULL));
