-- A reversal takes back one entry, whole: the same lines with the opposite sign, on that day or later.

-- Lines as a set: order and texts may differ, amounts and what they are booked on may not. The VAT code
-- is compared by its name, since the row behind it may be a later one.
CREATE FUNCTION ledger_is_mirror(reversal bigint, on_day date, original bigint, of_day date)
RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH mirror AS (
        SELECT l.account_id, l.amount_minor, l.base_minor, l.currency, l.party_id, l.dim_set_id,
            v.code, l.tax_base_minor
        FROM journal_line l LEFT JOIN vat_code v USING (vat_code_id)
        WHERE l.entry_id = reversal AND l.effective_date = on_day),
    wanted AS (
        SELECT l.account_id, -l.amount_minor, -l.base_minor, l.currency, l.party_id, l.dim_set_id,
            v.code, -l.tax_base_minor
        FROM journal_line l LEFT JOIN vat_code v USING (vat_code_id)
        WHERE l.entry_id = original AND l.effective_date = of_day)
    SELECT NOT EXISTS ((TABLE mirror EXCEPT ALL TABLE wanted)
        UNION ALL (TABLE wanted EXCEPT ALL TABLE mirror))
$$;

-- The same before there is anything stored, by the names on the stage.
CREATE FUNCTION ledger_stage_is_mirror(of_book smallint, reversal integer, original bigint,
    of_day date)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (WITH mirror AS (
        SELECT l.account, l.amount_minor, l.base_minor, l.currency, l.party_id, l.dim_set_id,
            l.vat_code, l.tax_base_minor
        FROM pg_temp.ledger_stage_line l WHERE l.entry_index = reversal),
    wanted AS (
        SELECT a.number, -l.amount_minor, -l.base_minor, l.currency, l.party_id, l.dim_set_id,
            v.code, -l.tax_base_minor
        FROM journal_line l JOIN account a USING (account_id) LEFT JOIN vat_code v USING (vat_code_id)
        WHERE l.entry_id = original AND l.effective_date = of_day)
    SELECT NOT EXISTS ((TABLE mirror EXCEPT ALL TABLE wanted)
        UNION ALL (TABLE wanted EXCEPT ALL TABLE mirror)));
END $$;

CREATE PROCEDURE ledger_check_reversals(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    near record;
    facts jsonb;
BEGIN
    FOR near IN
        SELECT e.entry_index, e.effective_date AS day, e.reverses_entry_id, r.entry_id,
            r.entry_type, r.effective_date
        FROM pg_temp.ledger_stage_entry e
        LEFT JOIN journal_entry r ON r.entry_id = e.reverses_entry_id AND r.book_id = of_book
        WHERE e.reverses_entry_id IS NOT NULL ORDER BY e.entry_index
    LOOP
        facts := jsonb_build_object('entry', near.entry_index, 'reverses', near.reverses_entry_id);
        IF near.entry_id IS NULL THEN
            CALL ledger_refuse('HB020', format('Entry %s reverses entry %s, which the book does '
                'not have.', near.entry_index, near.reverses_entry_id), facts);
        ELSIF near.entry_type = 'reversal' THEN
            CALL ledger_refuse('HB028', format('Entry %s reverses entry %s, which is a reversal '
                'itself. Post what was reversed anew instead.', near.entry_index, near.entry_id),
                facts);
        ELSIF near.day < near.effective_date THEN
            CALL ledger_refuse('HB029', format('Entry %s is dated %s, before the entry of %s that '
                'it reverses. Use that day or a later one.', near.entry_index, near.day,
                near.effective_date), facts);
        ELSIF NOT ledger_stage_is_mirror(of_book, near.entry_index, near.entry_id,
                near.effective_date) THEN
            CALL ledger_refuse('HB027', format('Entry %s is not the mirror of entry %s: a reversal '
                'has the same lines with the opposite sign, all of them.', near.entry_index,
                near.entry_id), facts);
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE PROCEDURE ledger_check_series(of_book smallint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT e.entry_index, e.series INTO bad
    FROM pg_temp.ledger_stage_entry e
    LEFT JOIN voucher_series s ON s.book_id = of_book AND s.code = e.series
    WHERE s.series_id IS NULL ORDER BY e.entry_index LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB011', format('Entry %s: the book has no voucher series %s.',
            bad.entry_index, bad.series),
            jsonb_build_object('entry', bad.entry_index, 'series', bad.series));
    END IF;
    IF EXISTS (SELECT FROM pg_temp.ledger_stage_entry WHERE reverses_entry_id IS NOT NULL) THEN
        CALL ledger_check_reversals(of_book);
    END IF;
END $$;
