DROP FUNCTION ledger_fold_balances(text, integer);
DROP FUNCTION ledger_batches_after(bigint, bigint);
DROP TABLE balance_month;
