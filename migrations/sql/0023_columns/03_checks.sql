-- Only a batch that fails is looked at by itself, to name its first offender.

-- Why a stage did not become a sound batch: refuses with the first offender, or returns.
CREATE PROCEDURE ledger_name_fault(of_book smallint, declared_entries integer,
    declared_lines integer, declared_debits jsonb)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    CALL ledger_check_totals(declared_entries, declared_lines, declared_debits);
    CALL ledger_check_balance();
    CALL ledger_check_lines(of_book);
    CALL ledger_check_items();
END $$;
