-- Charges of an account that sum to less than nothing become a credit note: a document of the sales
-- series like an invoice, with the opposite sign. Only nothing at all is no document.

ALTER TABLE invoice
    DROP CONSTRAINT ck_invoice_gross_positive,
    ADD CONSTRAINT ck_invoice_gross_not_zero CHECK (gross_minor <> 0);
