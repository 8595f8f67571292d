-- The grant that 0001_ledger gave to what is defined as it was.
GRANT EXECUTE ON FUNCTION ledger_lock_period(text, text, text, text, text, text)
    TO hovedbok_service;
