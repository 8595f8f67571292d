"""The turnover between two days, for any known position, without reading all of history.

Whole months of sealed batches are summed beforehand (`balance_month`, see `fold_balances`). What is
left is the deltas of the months that are cut by the first or the last day, and those of batches
that were sealed after the last fold, or not yet: the sum is exact at any pair of clocks, whenever
the folds were made. Backdating costs a later reader one delta.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.service.clocks import known_only

# A fold is worth its rows once it spares a reader so many deltas; a balance never reads many more.
FOLD_DELTAS = 10_000


@dataclass(frozen=True, slots=True)
class Turnover:
    """A source of rows for SQL: sums that add up to the turnover of a book between two days.

    `sql` : a query of account_id, currency, debit_minor, credit_minor, base_minor, line_count;
        several rows an account are normal. To be put in parentheses after FROM.
    `bound` : the values of its parameters; their names begin with "t_".
    """

    sql: str
    bound: dict[str, Any]


def turnover(
    session: Session,
    book: str,
    first_day: date | None,
    last_day: date | None,
    known_as_of: int | None,
    *,
    condition: str = "",
) -> Turnover:
    """Give the source of a book's turnover from the first to the last day, both included.

    Parameters
    ----------
    first_day, last_day : None is without limit.
    condition : SQL that narrows every part by `account_id`, such as " AND account_id = 7"; a
        constant of the caller's code, its parameters bound by the caller.

    Raises `NotYetKnown`.
    """
    first = first_day or date.min
    end = max(first, _after(last_day))
    known = known_only(session, "d.batch_id", known_as_of)
    book_id, folded = session.execute(
        text(
            "SELECT book_id, (SELECT max(position) FROM balance_month m WHERE m.book_id = b.book_id"
            " AND position <= coalesce(CAST(:known AS bigint), position))"
            " FROM book b WHERE code = :book"
        ),
        {"book": book, "known": known_as_of},
    ).one_or_none() or (None, None)
    bound: dict[str, Any] = {
        "t_book": book_id, "t_first": first, "t_end": end, "known": known_as_of,
    }  # fmt: skip
    deltas = f"{_DELTAS}{{joined}} WHERE d.book_id = :t_book{condition}"
    cut = deltas.format(joined="") + " AND d.effective_date >= {low} AND d.effective_date < {high}"
    if folded is None:
        return Turnover(cut.format(low=":t_first", high=":t_end") + known, bound)
    # Whole months lie from the first month that begins within the days to the one that is cut last.
    whole = min(_month_from(first), end)
    bound |= {"t_folded": folded, "t_whole": whole, "t_rest": max(whole, _month_of(end))}
    months = f"{_MONTHS} WHERE book_id = :t_book{condition} AND position <= :t_folded"
    parts = [
        months + " AND month >= :t_whole AND month < :t_rest",
        cut.format(low=":t_first", high=":t_whole") + known,
        cut.format(low=":t_rest", high=":t_end") + known,
        deltas.format(joined=_LATER)
        + " AND d.effective_date >= :t_whole AND d.effective_date < :t_rest",
    ]
    return Turnover(" UNION ALL ".join(parts), bound)


def fold_balances(session: Session, book: str, least_deltas: int = FOLD_DELTAS) -> int:
    """Sum the deltas that were sealed since the last fold by month; gives how many those were.

    Nothing is folded, and 0 given, while there are fewer than `least_deltas`. Can be repeated.
    """
    folded: int = session.scalar(
        text("SELECT ledger_fold_balances(:book, :least)"), {"book": book, "least": least_deltas}
    )
    return folded


def fold_job() -> None:
    """Fold the balances of every book where that is worth it; the worker does it every minute."""
    with transaction() as session:
        books = session.scalars(text("SELECT code FROM book ORDER BY code")).all()
    for book in books:
        with transaction() as session:
            fold_balances(session, book)


def month_after(last_day: date | None) -> date:
    """Give the first month of which some day lies after the last one: all before it are over."""
    return _month_of(_after(last_day))


def _after(last_day: date | None) -> date:
    """Give the day after the last one; the calendar's own end is as good as none."""
    return date.max if last_day in {None, date.max} else last_day + timedelta(1)


def _month_of(day: date) -> date:
    return day.replace(day=1)


def _month_from(day: date) -> date:
    """Give the first month that begins on a day or after it."""
    begun = _month_of(day)
    if begun == day or begun == _month_of(date.max):
        return day
    return _month_of(begun + timedelta(31))


_DELTAS = (
    "SELECT d.account_id, d.currency, d.debit_minor, d.credit_minor,"
    " d.base_debit_minor - d.base_credit_minor AS base_minor, d.line_count FROM balance_delta d"
)
_MONTHS = (
    "SELECT account_id, currency, debit_minor, credit_minor,"
    " base_debit_minor - base_credit_minor AS base_minor, line_count FROM balance_month"
)
# A batch's own dates come first, so that only its months are looked into.
_LATER = (
    " JOIN posting_batch b ON d.batch_id = b.batch_id"
    " AND d.effective_date BETWEEN b.first_date AND b.last_date"
    " AND b.batch_id IN (SELECT ledger_batches_after(:t_folded, :known))"
)
