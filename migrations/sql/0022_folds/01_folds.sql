-- Deltas of sealed batches, summed by month and account. A fold covers the seal positions after the
-- fold before it up to its own, so folds never overlap: any prefix of them plus the deltas of later
-- positions is every delta, each once. Backdating makes a row in the next fold and changes none.

CREATE TABLE balance_month (
    debit_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    base_debit_minor bigint NOT NULL,
    base_credit_minor bigint NOT NULL,
    line_count bigint NOT NULL,
    position bigint NOT NULL CONSTRAINT fk_balance_month_position REFERENCES seal_member,
    month date NOT NULL CONSTRAINT ck_balance_month_month
        CHECK (month = date_trunc('month', month)::date),
    account_id integer NOT NULL CONSTRAINT fk_balance_month_account_id REFERENCES account,
    book_id smallint NOT NULL CONSTRAINT fk_balance_month_book_id REFERENCES book,
    currency varchar(3) COLLATE "C" NOT NULL,
    CONSTRAINT pk_balance_month PRIMARY KEY (book_id, position, month, account_id, currency)
);
CALL ledger_guard_fact('balance_month');

-- Batches sealed after a position, and up to another where one is given; else all that came later.
CREATE FUNCTION ledger_batches_after(folded bigint, known bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT batch_id FROM seal_member WHERE position > folded AND position <= coalesce(known, position)
    UNION ALL
    SELECT batch_id FROM ledger_unsealed_batches() WHERE known IS NULL
$$;

-- Folds what was sealed since the last fold, if that is at least so many deltas; gives how many.
CREATE FUNCTION ledger_fold_balances(of_book text, least_deltas integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of_book_id smallint := (SELECT book_id FROM book WHERE code = of_book);
    head bigint := (SELECT coalesce(max(position), 0) FROM seal_member);
    folded bigint;
    deltas bigint;
BEGIN
    -- One at a time: two folds of the same positions would count them twice.
    PERFORM pg_advisory_xact_lock(x'666f6c64'::integer, of_book_id);
    SELECT coalesce(max(position), 0) INTO folded FROM balance_month WHERE book_id = of_book_id;
    SELECT coalesce(sum(n), 0) INTO deltas
    FROM ledger_batches_after(folded, head) batch_id
    JOIN posting_batch b USING (batch_id)
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM balance_delta d WHERE d.batch_id = b.batch_id
        AND d.effective_date BETWEEN b.first_date AND b.last_date) d
    WHERE b.book_id = of_book_id;
    IF deltas < greatest(least_deltas, 1) THEN
        RETURN 0;
    END IF;
    INSERT INTO balance_month (book_id, position, month, account_id, currency, debit_minor,
        credit_minor, base_debit_minor, base_credit_minor, line_count)
    SELECT of_book_id, head, date_trunc('month', d.effective_date)::date, d.account_id, d.currency,
        sum(d.debit_minor), sum(d.credit_minor), sum(d.base_debit_minor), sum(d.base_credit_minor),
        sum(d.line_count)
    FROM ledger_batches_after(folded, head) batch_id
    JOIN posting_batch b USING (batch_id)
    CROSS JOIN LATERAL (SELECT * FROM balance_delta d WHERE d.batch_id = b.batch_id
        AND d.effective_date BETWEEN b.first_date AND b.last_date) d
    WHERE b.book_id = of_book_id
    GROUP BY 3, 4, 5;
    RETURN deltas;
END $$;
