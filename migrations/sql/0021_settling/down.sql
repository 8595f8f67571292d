DROP TRIGGER require_settling ON allocation;
DROP FUNCTION ledger_require_settling();
