"""Balances from the deltas of batches: any day costs the same, whatever the journal holds."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.service.clocks import known_only


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """The turnover and balance of one account in one currency. Debit positive. [minor units]

    `base_minor` is the balance in the book's own currency; `account_class` is A, L, Q, I or E.
    """

    account: str
    name: str
    currency: str
    debit_minor: int
    credit_minor: int
    balance_minor: int
    base_minor: int = 0
    account_class: str = ""
    grouping_category: str = ""
    grouping_code: str = ""


def trial_balance(
    session: Session,
    book: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    *,
    first_day: date | None = None,
) -> list[AccountBalance]:
    """Sum every account that has postings, up to and including a day; from deltas, not from lines.

    An account whose postings sum to zero is listed: zero is a balance. With `first_day` the sums
    are the movements from that day on. Sorted by account and currency; the balances sum to zero
    per currency, and so does the base. Raises `NotYetKnown`.
    """
    rows = session.execute(
        text(
            "SELECT number, name, d.currency, debit::bigint, credit::bigint,"
            " (debit - credit)::bigint, base::bigint, class, grouping_category, grouping_code"
            " FROM (SELECT account_id, d.currency, sum(debit_minor) AS debit,"
            "  sum(credit_minor) AS credit, sum(base_debit_minor - base_credit_minor) AS base"
            "  FROM balance_delta d"
            "  WHERE d.book_id = (SELECT book_id FROM book WHERE code = :book)"
            "  AND d.effective_date >= coalesce(CAST(:first AS date), '-infinity')"
            "  AND d.effective_date <= coalesce(CAST(:day AS date), 'infinity')"
            f"  {known_only(session, 'd.batch_id', known_as_of)}"
            "  GROUP BY account_id, d.currency) d"
            " JOIN account USING (account_id) ORDER BY number, d.currency"
        ),
        {"book": book, "first": first_day, "day": effective_as_of, "known": known_as_of},
    )
    return [AccountBalance(*row) for row in rows]


def last_effective_date(session: Session, book: str, known_as_of: int | None = None) -> date | None:
    """Give the last day that any posting of the book is effective on; None before the first."""
    found: date | None = session.scalar(
        text(
            "SELECT max(d.effective_date) FROM balance_delta d JOIN book b USING (book_id)"
            f" WHERE b.code = :book{known_only(session, 'd.batch_id', known_as_of)}"
        ),
        {"book": book, "known": known_as_of},
    )
    return found
