-- A rule that began in a closed month would say of what was posted there that it went to the wrong
-- account. It waits for a lock that is under way, as a posting does. A rule that is there already is
-- no new one, so this looks after the insert: what was left out as a duplicate is not asked about.
CREATE FUNCTION ledger_keep_rule_dates() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_month period;
    level text;
BEGIN
    SELECT * INTO of_month FROM period WHERE book_id = NEW.book_id
        AND starts_on <= NEW.valid_from AND NEW.valid_from < ends_on;
    IF of_month.code IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(
        ledger_period_fence(of_month.book_id, 'GL', of_month.starts_on));
    level := ledger_period_level(of_month.book_id, of_month.code, 'GL');
    IF level <> 'open' THEN
        CALL ledger_refuse('HB013', format('%s is closed (%s) for GL, and was posted by the rule it '
            'had. Let the new one begin later.', of_month.code, level),
            jsonb_build_object('period', of_month.code, 'level', level));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_rule_dates AFTER INSERT ON posting_rule
    FOR EACH ROW EXECUTE FUNCTION ledger_keep_rule_dates();
