-- Refuse a day that lies in no period, or in one that is closed to the actor.
CREATE OR REPLACE PROCEDURE ledger_require_open(
    of_book smallint, of_module text, of_day date, by_actor text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    held text;
    first_open date;
BEGIN
    SELECT code INTO held FROM period
    WHERE book_id = of_book AND of_day >= starts_on AND of_day < ends_on;
    IF held IS NULL THEN
        CALL ledger_refuse('HB012', format('No accounting period holds %s. Open the periods of '
            'that year first.', of_day), jsonb_build_object('effective_date', of_day));
    ELSIF of_module = 'YEAR' THEN
        CALL ledger_require_year_end(of_book, of_day);
        RETURN;
    ELSIF ledger_period_admits(of_book, held, of_module, by_actor) THEN
        RETURN;
    END IF;
    first_open := ledger_next_open_day(of_book, ARRAY[of_module, 'GL'], of_day);
    CALL ledger_refuse('HB013', format('%s is in %s, which is closed (%s) for %s. %s', of_day,
        held, ledger_period_level(of_book, held, of_module), of_module,
        coalesce('Use ' || first_open || ' or later.', 'Open a later period first.')),
        jsonb_build_object('effective_date', of_day, 'period', held,
            'level', ledger_period_level(of_book, held, of_module),
            'module', of_module, 'first_open_day', first_open));
END $$;
