-- Remove the restrictions to books, and the withdrawals: those drafts are open again.

DROP FUNCTION ledger_withdraw_draft;
DROP TABLE draft_withdrawn;
DROP FUNCTION ledger_keep_withdrawal;
DROP TABLE book_access;
DROP FUNCTION ledger_keep_access_dates;
