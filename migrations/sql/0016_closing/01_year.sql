-- The close of a year: one entry moves its result to equity, in a series that takes nothing else, on
-- the last day, while every month is closed and the last one not for good. While it stands, the year
-- takes nothing more: no month of it is reopened, and no exception lets anybody in.

-- D: disposal of the result. Neither income nor expense, so an income statement stays as it was.
ALTER TABLE account DROP CONSTRAINT ck_account_class,
    ADD CONSTRAINT ck_account_class CHECK (class IN ('A', 'L', 'Q', 'I', 'E', 'D'));
ALTER TABLE voucher_series DROP CONSTRAINT ck_voucher_series_module,
    ADD CONSTRAINT ck_voucher_series_module CHECK (
        module IN ('GL', 'AR', 'BILLING', 'VAT', 'YEAR'));
-- What the way down called otherwise.
UPDATE account SET class = 'D' WHERE class = 'Q' AND grouping_category = 'resultatdisponering';
UPDATE voucher_series SET module = 'YEAR' WHERE document_type = 'year_end';

-- A year-end entry stands under the locks of the general ledger, so it has no fence of its own.
CREATE OR REPLACE FUNCTION ledger_period_fence(of_book smallint, of_module text, starts_on date)
RETURNS bigint LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT (x'4c'::bigint << 48) + (of_book::bigint << 32)
        + (array_position(ARRAY['GL', 'AR', 'BILLING', 'VAT'],
            CASE of_module WHEN 'YEAR' THEN 'GL' ELSE of_module END)::bigint << 24)
        + extract(year FROM starts_on)::bigint * 12 + extract(month FROM starts_on)::bigint
$$;

-- The entry that moved the result of a year, unless it was taken back; a handful of rows per book.
CREATE FUNCTION ledger_year_end(of_book smallint, of_year integer) RETURNS bigint
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT e.entry_id FROM journal_entry e JOIN voucher_series s USING (series_id)
    WHERE e.book_id = of_book AND s.book_id = of_book AND s.module = 'YEAR'
        AND e.fiscal_year = of_year AND e.reverses_entry_id IS NULL
        AND NOT EXISTS (SELECT FROM journal_entry r WHERE r.reverses_entry_id = e.entry_id)
    ORDER BY e.entry_id LIMIT 1
$$;

CREATE FUNCTION ledger_voucher_of(of_entry bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT s.code || '/' || e.fiscal_year || '/' || e.voucher_no
    FROM journal_entry e JOIN voucher_series s USING (series_id) WHERE e.entry_id = of_entry
$$;

-- What income, expenses and disposals of a span of days sum to, in the book's own currency. Debit
-- positive: a profit that is not moved yet is negative, and a year that is closed gives zero.
CREATE FUNCTION ledger_result_left(of_book smallint, first_day date, after_day date)
RETURNS bigint LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(sum(d.base_debit_minor - d.base_credit_minor), 0)::bigint
    FROM balance_delta d JOIN account a USING (account_id)
    WHERE d.book_id = of_book AND a.class IN ('I', 'E', 'D')
        AND d.effective_date >= first_day AND d.effective_date < after_day
$$;

-- The first month of a year that is open to everybody; none when the year can be closed.
CREATE FUNCTION ledger_open_month(of_book smallint, of_year integer) RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT code FROM period WHERE book_id = of_book AND fiscal_year = of_year
        AND ledger_period_level(of_book, code, 'GL') = 'open' ORDER BY starts_on LIMIT 1
$$;

CREATE FUNCTION ledger_year_admits(of_book smallint, of_period text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT ledger_period_level(of_book, code, 'GL') = 'soft'
        AND ledger_open_month(of_book, fiscal_year) IS NULL
        AND NOT EXISTS (SELECT FROM period l WHERE l.book_id = of_book
            AND l.fiscal_year = p.fiscal_year AND l.starts_on > p.starts_on)
    FROM period p WHERE book_id = of_book AND code = of_period
$$;

CREATE OR REPLACE FUNCTION ledger_period_admits(
    of_book smallint, of_period text, of_module text, by_actor text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN of_module = 'YEAR' THEN ledger_year_admits(of_book, of_period)
        ELSE CASE ledger_period_level(of_book, of_period, of_module)
        WHEN 'open' THEN true
        WHEN 'soft' THEN EXISTS (
            SELECT FROM period_lock_exception x
            WHERE x.actor = by_actor AND x.expires_at > now() AND x.lock_event_id = (
                SELECT max(lock_event_id) FROM period_lock_event
                WHERE book_id = of_book AND period_code = of_period AND module = of_module))
            AND ledger_year_end(of_book, (SELECT fiscal_year FROM period
                WHERE book_id = of_book AND code = of_period)) IS NULL
        ELSE false END END
$$;

-- Refuse a day on which no year-end entry, nor its reversal, may stand.
CREATE PROCEDURE ledger_require_year_end(of_book smallint, of_day date)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    held period;
    last_month period;
    open_month text;
    later bigint;
BEGIN
    SELECT * INTO held FROM period
    WHERE book_id = of_book AND of_day >= starts_on AND of_day < ends_on;
    SELECT * INTO last_month FROM period
    WHERE book_id = of_book AND fiscal_year = held.fiscal_year ORDER BY starts_on DESC LIMIT 1;
    open_month := ledger_open_month(of_book, held.fiscal_year);
    SELECT ledger_year_end(of_book, y.fiscal_year) INTO later
    FROM (SELECT DISTINCT fiscal_year FROM period
        WHERE book_id = of_book AND fiscal_year > held.fiscal_year) y
    WHERE ledger_year_end(of_book, y.fiscal_year) IS NOT NULL ORDER BY y.fiscal_year DESC LIMIT 1;
    IF of_day <> last_month.ends_on - 1 THEN
        CALL ledger_refuse('HB033', format('The close of %s, and its reversal, are dated %s.',
            held.fiscal_year, last_month.ends_on - 1), jsonb_build_object('year', held.fiscal_year,
            'effective_date', of_day));
    ELSIF ledger_period_level(of_book, last_month.code, 'GL') = 'hard' THEN
        CALL ledger_refuse('HB014', format('Period %s is locked for good for GL, so the close of '
            '%s is final.', last_month.code, held.fiscal_year),
            jsonb_build_object('period', last_month.code, 'module', 'GL'));
    ELSIF open_month IS NOT NULL THEN
        CALL ledger_refuse('HB033', format('%s is open, so the result of %s can still change. '
            'Close its months first: hovedbok ledger close %s.', open_month, held.fiscal_year,
            open_month), jsonb_build_object('year', held.fiscal_year, 'period', open_month));
    ELSIF later IS NOT NULL THEN
        CALL ledger_refuse('HB034', format('A later year is closed by %s. Reverse that first.',
            ledger_voucher_of(later)), jsonb_build_object('year', held.fiscal_year,
            'closed_by', ledger_voucher_of(later)));
    END IF;
END $$;

-- Nobody posts into a year, or opens a month of it, while its close stands.
CREATE PROCEDURE ledger_require_unclosed_year(of_book smallint, of_period text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    held period;
    closed_by bigint;
BEGIN
    SELECT * INTO held FROM period WHERE book_id = of_book AND code = of_period;
    closed_by := ledger_year_end(of_book, held.fiscal_year);
    IF closed_by IS NOT NULL THEN
        CALL ledger_refuse('HB034', format('The result of %s is moved to equity by %s, and nothing '
            'more goes into that year. Reverse it first: hovedbok ledger reverse %s.',
            held.fiscal_year, ledger_voucher_of(closed_by), ledger_voucher_of(closed_by)),
            jsonb_build_object('year', held.fiscal_year, 'period', of_period,
                'closed_by', ledger_voucher_of(closed_by)));
    END IF;
END $$;
