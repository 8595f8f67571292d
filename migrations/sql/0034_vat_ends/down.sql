DROP FUNCTION ledger_end_vat_code(text, text, date, text, text);
