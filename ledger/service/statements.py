"""The balance sheet and the income statement at two clocks, in the book's own currency."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.service.books import require_book
from ledger.service.clocks import check_span
from ledger.service.reading import AccountBalance, trial_balance
from ledger.statements import Statement
from ledger.statements import balance_sheet as shape_balance_sheet
from ledger.statements import income_statement as shape_income_statement


@dataclass(frozen=True, slots=True)
class BookName:
    """A book and whose it is."""

    book: str
    legal_entity: str
    currency: str


def read_books(session: Session) -> list[BookName]:
    """List the books by code."""
    rows = session.execute(
        text("SELECT code, legal_entity, functional_currency FROM book ORDER BY code")
    )
    return [BookName(*row) for row in rows]


def read_book(session: Session, book: str) -> BookName:
    """Give one book. Raises `UnknownBook`."""
    require_book(session, book)
    return next(found for found in read_books(session) if found.book == book)


def balance_sheet(
    session: Session,
    book: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    *,
    compared_as_of: date | None = None,
) -> Statement:
    """Give assets, liabilities and equity at the end of a day, beside those of another day.

    Raises `NotYetKnown`, `DoesNotTie`.
    """
    now = trial_balance(session, book, effective_as_of, known_as_of)
    then = [] if compared_as_of is None else trial_balance(
        session, book, compared_as_of, known_as_of
    )  # fmt: skip
    return shape_balance_sheet(now, then)


def income_statement(
    session: Session,
    book: str,
    first_day: date,
    effective_as_of: date,
    known_as_of: int | None = None,
    *,
    compared: tuple[date, date] | None = None,
) -> Statement:
    """Give income and expenses of the days from the first to the last, both included.

    `compared` is the first and last day of the comparative period. Raises `NotYetKnown`,
    `DoesNotTie`, and `Invalid` for a period that ends before it begins.
    """
    return shape_income_statement(
        _movements(session, book, first_day, effective_as_of, known_as_of),
        [] if compared is None else _movements(session, book, *compared, known_as_of),
    )


def _movements(
    session: Session, book: str, first: date, last: date, known_as_of: int | None
) -> list[AccountBalance]:
    check_span(first, last)
    return trial_balance(session, book, last, known_as_of, first_day=first)
