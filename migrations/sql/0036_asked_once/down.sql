DROP PROCEDURE ledger_check_series(smallint, text[]),
    ledger_check_periods(smallint, text[], date[], date[]),
    ledger_check_closing(smallint, text[], date[]);
DROP FUNCTION ledger_is_strange(bigint, date, date);
