-- A number that is missing is explained once: by this function only, after whoever gives numbers of
-- the series is done. Gives whether it was written now; the same words again write nothing.
CREATE FUNCTION ledger_explain_gap(
    book_code text, of_series text, of_year integer, of_number bigint, by_actor text, why text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    of_id smallint;
    last_given bigint;
    known voucher_gap;
    voucher text := format('%s/%s/%s', of_series, of_year, of_number);
    facts jsonb := jsonb_build_object('voucher', voucher);
BEGIN
    SELECT series_id INTO of_id FROM voucher_series WHERE book_id = of_book AND code = of_series;
    IF of_id IS NULL THEN
        CALL ledger_refuse('HB011', format('Book %s has no voucher series %s.', book_code, of_series),
            jsonb_build_object('series', of_series));
    END IF;
    SELECT last_no INTO last_given FROM voucher_counter
    WHERE series_id = of_id AND fiscal_year = of_year FOR UPDATE;
    SELECT * INTO known FROM voucher_gap
    WHERE series_id = of_id AND fiscal_year = of_year AND voucher_no = of_number;
    IF (known.actor, known.reason) = (by_actor, why) THEN
        RETURN false;
    ELSIF known.actor IS NOT NULL THEN
        CALL ledger_refuse('HB064', format('%s is explained already, by %s: %s', voucher, known.actor,
            known.reason), facts);
    ELSIF of_number < 1 OR of_number > coalesce(last_given, 0) THEN
        CALL ledger_refuse('HB064', format('%s was never given: %s stands at %s in %s.', voucher,
            of_series, coalesce(last_given, 0), of_year), facts);
    ELSIF EXISTS (SELECT FROM journal_entry WHERE book_id = of_book AND series_id = of_id
            AND fiscal_year = of_year AND voucher_no = of_number) THEN
        CALL ledger_refuse('HB064', format('%s is not missing: it is the number of an entry.',
            voucher), facts);
    END IF;
    INSERT INTO voucher_gap (series_id, fiscal_year, voucher_no, reason, actor)
    VALUES (of_id, of_year, of_number, why, by_actor);
    RETURN true;
END $$;

GRANT EXECUTE ON FUNCTION ledger_explain_gap(text, text, integer, bigint, text, text)
    TO hovedbok_service;
