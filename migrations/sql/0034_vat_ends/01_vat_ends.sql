-- The end of a VAT code: by this function only, after its last use, with an audit event.
-- Fenced like the end of an account: it waits for postings under way.
CREATE FUNCTION ledger_end_vat_code(
    book_code text, of_code text, last_day date, by_actor text, why text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book smallint := ledger_book_id(book_code);
    ended vat_code;
    used_on date;
BEGIN
    LOCK TABLE posting_batch IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO ended FROM vat_code
    WHERE book_id = of_book AND code = of_code AND valid_to IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        CALL ledger_refuse('HB008', format('Book %s has no VAT code %s that goes on.', book_code,
            of_code), jsonb_build_object('vat_code', of_code));
    END IF;
    SELECT max(effective_date) INTO used_on FROM journal_line
    WHERE vat_code_id = ended.vat_code_id AND effective_date > last_day;
    IF used_on IS NOT NULL OR last_day < ended.valid_from THEN
        CALL ledger_refuse('HB062', format('VAT code %s cannot end on %s: %s.', of_code, last_day,
            coalesce('it was used on ' || used_on, 'it begins on ' || ended.valid_from)),
            jsonb_build_object('vat_code', of_code, 'last_used', used_on,
                'valid_from', ended.valid_from));
    END IF;
    UPDATE vat_code SET valid_to = last_day + 1 WHERE vat_code_id = ended.vat_code_id;
    INSERT INTO audit_event (actor, action, subject, content)
    VALUES (by_actor, 'VAT code ended', format('%s/%s', book_code, of_code),
        jsonb_build_object('last_day', last_day, 'reason', why));
END $$;

GRANT EXECUTE ON FUNCTION ledger_end_vat_code(text, text, date, text, text) TO hovedbok_service;
