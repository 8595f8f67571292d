DROP FUNCTION ledger_explain_gap(text, text, integer, bigint, text, text);
DROP TRIGGER keep_rule_dates ON posting_rule;
DROP FUNCTION ledger_keep_rule_dates();
