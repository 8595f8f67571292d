GRANT SELECT ON balance_month TO hovedbok_service, hovedbok_auditor;
GRANT EXECUTE ON FUNCTION ledger_batches_after(bigint, bigint)
    TO hovedbok_service, hovedbok_auditor;
GRANT EXECUTE ON FUNCTION ledger_fold_balances(text, integer) TO hovedbok_service;
