ALTER PROCEDURE ledger_check_stored_days(posting_batch) SET plan_cache_mode = force_custom_plan;
ALTER PROCEDURE ledger_check_stored_days(posting_batch) RESET enable_seqscan;
