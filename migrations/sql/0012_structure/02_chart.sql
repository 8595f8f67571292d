-- Changes of the chart: by these functions only. Each leaves a version and an audit event behind.

CREATE FUNCTION ledger_account_of(of_book smallint, of_number text) RETURNS account
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    found account;
BEGIN
    SELECT * INTO found FROM account WHERE book_id = of_book AND number = of_number FOR UPDATE;
    IF found.account_id IS NULL THEN
        CALL ledger_refuse('HB004', format('The chart has no account %s.', of_number),
            jsonb_build_object('account', of_number));
    END IF;
    RETURN found;
END $$;

CREATE FUNCTION ledger_name_account(
    book_code text, account_number text, new_name text, new_category text, new_code text,
    by_actor text, why text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    named account := ledger_account_of(ledger_book_id(book_code), account_number);
BEGIN
    UPDATE account SET name = coalesce(new_name, name),
        grouping_category = coalesce(new_category, grouping_category),
        grouping_code = coalesce(new_code, grouping_code)
    WHERE account_id = named.account_id;
    INSERT INTO audit_event (actor, action, subject, content)
    VALUES (by_actor, 'account named', format('%s/%s', book_code, account_number),
        jsonb_build_object('name', new_name, 'grouping_category', new_category,
            'grouping_code', new_code, 'reason', why));
END $$;

-- Closing is fenced: it waits for postings under way in any month that lies after it.
CREATE FUNCTION ledger_close_account(
    book_code text, account_number text, last_day date, by_actor text, why text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    closed account;
    left_over record;
BEGIN
    LOCK TABLE posting_batch IN SHARE ROW EXCLUSIVE MODE;
    closed := ledger_account_of(ledger_book_id(book_code), account_number);
    SELECT currency, sum(debit_minor - credit_minor) AS balance,
        max(effective_date) AS last_used
    INTO left_over
    FROM balance_delta WHERE account_id = closed.account_id
    GROUP BY currency
    HAVING sum(debit_minor - credit_minor) <> 0 OR max(effective_date) > last_day
    LIMIT 1;
    IF FOUND THEN
        CALL ledger_refuse('HB060', format('Account %s has a balance of %s minor units of %s and '
            'was last used on %s. Move the balance, or close it later.', account_number,
            left_over.balance, left_over.currency, left_over.last_used),
            jsonb_build_object('account', account_number,
                'balance_minor', left_over.balance::text, 'last_used', left_over.last_used));
    END IF;
    UPDATE account SET valid_to = last_day + 1 WHERE account_id = closed.account_id;
    INSERT INTO audit_event (actor, action, subject, content)
    VALUES (by_actor, 'account closed', format('%s/%s', book_code, account_number),
        jsonb_build_object('last_day', last_day, 'reason', why));
END $$;
