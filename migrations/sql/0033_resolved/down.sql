DROP PROCEDURE ledger_check_stored_lines(posting_batch),
    ledger_check_used_days(posting_batch, bigint[]), ledger_lock_items(),
    ledger_check_allocations(smallint);
DROP FUNCTION ledger_undone_among(bigint[]);
