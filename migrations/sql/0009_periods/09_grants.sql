-- Who may call what this revision made.

GRANT EXECUTE ON FUNCTION ledger_lock_period(text, text, text, text, text, text, timestamptz),
    ledger_grant_exception(text, text, text, text, text, text, timestamptz),
    ledger_first_open_day(text, text, date, boolean),
    ledger_undo_allocations(text, text, text, text, bytea, bigint[], date, text)
    TO hovedbok_service;
GRANT SELECT ON period_lock_exception TO hovedbok_service, hovedbok_auditor;
