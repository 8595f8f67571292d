-- What this revision added. What it changed gets its earlier definition back by the revision's script.

DROP TABLE check_waiver, close_checklist;
DROP FUNCTION ledger_keep_checklist(), ledger_keep_waiver(),
    ledger_record_checklist(text, text, text, bigint, jsonb, bytea, text),
    ledger_waive_check(bigint, text, bytea, text, text),
    ledger_hold_period(text, text), ledger_hold_year(text, integer),
    ledger_close_period(text, text, text, text, bigint, jsonb, bytea),
    ledger_year_admits(smallint, text), ledger_open_month(smallint, integer),
    ledger_year_end(smallint, integer), ledger_voucher_of(bigint),
    ledger_result_left(smallint, date, date);
DROP PROCEDURE ledger_require_year_end(smallint, date),
    ledger_require_unclosed_year(smallint, text),
    ledger_hold_months(smallint, text[], date, date),
    ledger_check_stored_year_end(posting_batch);
UPDATE account SET class = 'Q' WHERE class = 'D';
UPDATE voucher_series SET module = 'GL' WHERE module = 'YEAR';
ALTER TABLE account DROP CONSTRAINT ck_account_class,
    ADD CONSTRAINT ck_account_class CHECK (class IN ('A', 'L', 'Q', 'I', 'E'));
ALTER TABLE voucher_series DROP CONSTRAINT ck_voucher_series_module,
    ADD CONSTRAINT ck_voucher_series_module CHECK (module IN ('GL', 'AR', 'BILLING', 'VAT'));
