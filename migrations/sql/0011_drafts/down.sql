-- Remove drafts with everything in them; only while unreleased. What was posted from them stays.

DROP TRIGGER refuse_manual ON journal_entry;
DROP TRIGGER seed_approval_policy ON book;
DROP TABLE approval_policy, draft_posted, draft_approval, draft_attachment, draft_version,
    journal_draft;
DROP FUNCTION ledger_set_approval_policy, ledger_close_draft, ledger_judge_draft,
    ledger_write_draft, ledger_open_draft, ledger_refuse_manual, ledger_seed_approval_policy,
    ledger_keep_policy_dates, ledger_require_approval, ledger_policy_day, ledger_approval_needed,
    ledger_require_other_eyes, ledger_keep_draft_order, ledger_draft_latest;
DROP PROCEDURE ledger_hold_draft;
