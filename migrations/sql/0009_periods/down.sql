-- What this revision added. What it changed gets its earlier definition back by the revision's script.

DROP TABLE period_lock_exception;
DROP FUNCTION ledger_keep_exception(), ledger_period_admits(smallint, text, text, text),
    ledger_grant_exception(text, text, text, text, text, text, timestamptz),
    ledger_next_open_day(smallint, text[], date), ledger_first_open_day(text, text, date, boolean),
    ledger_in_vat_return(text), ledger_is_mirror(bigint, date, bigint, date),
    ledger_stage_is_mirror(smallint, integer, bigint, date),
    ledger_undo_allocations(text, text, text, text, bytea, bigint[], date, text),
    ledger_lock_period(text, text, text, text, text, text, timestamptz);
DROP PROCEDURE ledger_require_open(smallint, text, date, text),
    ledger_check_reversals(smallint), ledger_check_undone(smallint, bigint[], date),
    ledger_check_stored_reversals(posting_batch), ledger_check_stored_days(posting_batch);
