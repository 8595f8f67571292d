GRANT EXECUTE ON FUNCTION ledger_name_account(text, text, text, text, text, text, text)
    TO hovedbok_service;
GRANT EXECUTE ON FUNCTION ledger_close_account(text, text, date, text, text) TO hovedbok_service;
