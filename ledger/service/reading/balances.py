"""Balances from the sums of batches and months: any day costs the same, however old the books."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.service.clocks import known_only
from ledger.service.reading.turnover import month_after, turnover


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """The turnover and balance of one account in one currency. Debit positive. [minor units]

    `base_minor` is the balance in the book's own currency; `account_class` is A, L, Q, I, E or D.
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
    are the movements from that day on. Accounts are grouped as they were when the position was
    sealed. Sorted by account and currency; the balances sum to zero per currency, and so does the
    base. Raises `NotYetKnown`.
    """
    summed = turnover(session, book, first_day, effective_as_of, known_as_of)
    grouped = "account" if known_as_of is None else _ACCOUNT_AS_SEALED
    rows = session.execute(
        text(
            "SELECT number, name, t.currency, debit::bigint, credit::bigint,"
            " (debit - credit)::bigint, base::bigint, class, grouping_category, grouping_code"
            " FROM (SELECT account_id, currency, sum(debit_minor) AS debit,"
            "  sum(credit_minor) AS credit, sum(base_minor) AS base"
            f"  FROM ({summed.sql}) s GROUP BY account_id, currency) t"
            f" JOIN {grouped} a USING (account_id) ORDER BY number, t.currency"
        ),
        summed.bound,
    )
    return [AccountBalance(*row) for row in rows]


# Sums per grouping are figures, so an account that is grouped anew does not move them in what was
# known before. A state is known with the block that sealed it; every account was sealed by then.
_ACCOUNT_AS_SEALED = """(
    SELECT a.account_id, a.number, a.name, a.class,
        coalesce(v.category, a.grouping_category) AS grouping_category,
        coalesce(v.code, a.grouping_code) AS grouping_code
    FROM account a LEFT JOIN LATERAL (
        SELECT content ->> 'grouping_category' AS category, content ->> 'grouping_code' AS code
        FROM account_version s WHERE s.account_id = a.account_id AND EXISTS (
            SELECT FROM seal_master m WHERE m.history = 'account_version'
                AND m.row_key = s.account_id || '/' || s.version_no
                AND m.block_no <= (SELECT block_no FROM seal_member WHERE position = :known))
        ORDER BY s.version_no DESC LIMIT 1) v ON true)"""


def last_effective_date(
    session: Session, book: str, known_as_of: int | None = None, *, by: date | None = None
) -> date | None:
    """Give the last day, at most `by`, that a posting of the book is effective on; None if none."""
    found: date | None = session.scalar(
        text(
            "SELECT max(effective_date) FROM balance_delta d JOIN book b USING (book_id)"
            " WHERE b.code = :book AND effective_date <= :by AND effective_date >= coalesce("
            # Nothing before the last folded month that is over by then can be the last day; of one
            # that is not over, all postings may be on later days.
            "  (SELECT max(month) FROM balance_month m WHERE m.book_id = b.book_id"
            "   AND month < :cut AND position <= coalesce(CAST(:known AS bigint), position)),"
            f"  '-infinity'){known_only(session, 'd.batch_id', known_as_of)}"
        ),
        {"book": book, "by": by or date.max, "cut": month_after(by), "known": known_as_of},
    )
    return found
