-- Who may call what this revision made.

GRANT EXECUTE ON FUNCTION
    ledger_record_checklist(text, text, text, bigint, jsonb, bytea, text),
    ledger_waive_check(bigint, text, bytea, text, text),
    ledger_hold_period(text, text), ledger_hold_year(text, integer),
    ledger_close_period(text, text, text, text, bigint, jsonb, bytea)
    TO hovedbok_service;
GRANT SELECT ON close_checklist, check_waiver TO hovedbok_service, hovedbok_auditor;
