DROP PROCEDURE ledger_check_stored_lines(posting_batch), ledger_check_used_days(posting_batch),
    ledger_lock_items(), ledger_check_allocations(smallint);
