-- Items of exchange differences are facts: where there are any, the way down is refused here.
ALTER TABLE open_item DROP CONSTRAINT ck_open_item_original,
    ADD CONSTRAINT ck_open_item_original CHECK (original_minor <> 0);
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'journal_line'::regclass LOOP
        EXECUTE format('DROP TRIGGER require_dimensions ON %s', part);
    END LOOP;
END $$;
DROP TRIGGER require_dimensions ON journal_line;

DROP PROCEDURE ledger_guard_dimensions(regclass);
DROP FUNCTION ledger_require_dimensions();
DROP FUNCTION ledger_close_account(text, text, date, text, text);
DROP FUNCTION ledger_name_account(text, text, text, text, text, text, text);
DROP FUNCTION ledger_account_of(smallint, text);
DROP TABLE balance_assertion, exchange_rate, dimension_rule;
