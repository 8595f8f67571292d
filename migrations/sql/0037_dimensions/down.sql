-- What was registered stays: sealed rows are not taken back.
DROP TRIGGER require_registered ON dimension_set;
DROP FUNCTION ledger_require_registered();
