"""The close of a year: its result is moved to equity, and its accounts stay as they are.

One entry takes the result from the account of disposals (8960) to equity (2050), by posting rule.
Income and expenses are not zeroed: the income statement of a closed year is what it was, and all
balances are sums of what was posted. What the accounts of a new year open with follows.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.closing import YearResultLeft
from ledger.journal import BatchDraft, EntryDraft, Line, Voucher
from ledger.money import format_amount
from ledger.refusals import UnknownPeriod, UnknownSeries
from ledger.service.access import record_event
from ledger.service.books import functional_currency, open_periods, posting_account
from ledger.service.clocks import known_only
from ledger.service.posting import post_batch
from ledger.service.reading import read_entry, trial_balance
from ledger.service.refused import translated

SYSTEM = "ledger:closing"
_RESULT = frozenset("IED")


@dataclass(frozen=True, slots=True)
class ClosedYear:
    """How a year stands closed. `result_minor` is its profit, a loss is negative. [minor units]

    `voucher` is the entry that moved it; None where the year has no result. `already` where nothing
    was left to do, and nothing was written.
    """

    year: int
    result_minor: int
    voucher: Voucher | None
    already: bool


@dataclass(frozen=True, slots=True)
class YearBalance:
    """An account in a year, in the book's own currency; debit positive. [minor units]

    Income, expenses and disposals open at nothing, everything else with what it was.
    """

    account: str
    name: str
    account_class: str
    opening_minor: int
    movement_minor: int

    @property
    def closing_minor(self) -> int:
        """Give the balance at the end of the year."""
        return self.opening_minor + self.movement_minor


@dataclass(frozen=True, slots=True)
class Year:
    """A fiscal year as auditors read it. [minor units]

    `closed_by` : the entry that moved its result to equity; None while none is known that stands.
    `result_minor` : income less expenses of the year.
    `left_before_minor` : results of earlier years that nobody has moved to equity; the openings sum
        to nothing exactly when this is nothing.
    """

    year: int
    first_day: date
    last_day: date
    closed_by: Voucher | None
    result_minor: int
    left_before_minor: int
    balances: tuple[YearBalance, ...]


def open_year(session: Session, book: str, year: int, *, actor: str) -> int:
    """Open the twelve periods of a fiscal year; returns how many were new.

    Raises `UnknownBook`, or `UnknownPeriod` for a year outside 2000 to 2999.
    """
    opened = open_periods(session, book, year)
    if opened:
        record_event(session, actor, "year opened", f"year/{book}/{year}", periods=opened)
    return opened


def close_year(session: Session, book: str, year: int, *, actor: str) -> ClosedYear:
    """Move the result of a year to equity, once; a second call finds the first and writes nothing.

    Raises
    ------
    YearNotReady : a month of the year is open.
    PeriodLockedForGood : the last month is locked for good, so it is too late.
    YearResultLeft : an earlier year has a result that is not moved yet.
    YearIsClosed : a later year is closed already.
    UnknownBook, UnknownPeriod, UnknownSeries, NoPostingRule : the book lacks what a close needs.
    """
    own = functional_currency(session, book)
    with translated():
        known = session.scalar(
            text("SELECT ledger_hold_year(:book, CAST(:year AS integer))"),
            {"book": book, "year": year},
        )
    seen = read_year(session, book, year)
    if known is not None:
        return ClosedYear(year, seen.result_minor, seen.closed_by, already=True)
    if seen.left_before_minor:
        raise YearResultLeft(
            f"A result of {format_amount(-seen.left_before_minor)} from before {seen.first_day} is "
            f"not moved to equity. Close that year first: hovedbok ledger close-year {year - 1}.",
            year=year, left=format_amount(-seen.left_before_minor),
        )  # fmt: skip
    left = sum(one.movement_minor for one in seen.balances if one.account_class in _RESULT)
    if not left:
        return ClosedYear(year, seen.result_minor, None, already=True)
    draft = _draft(session, book, seen, left, own, actor)
    posted = post_batch(session, draft)
    record_event(
        session, actor, "year closed", f"year/{book}/{year}", voucher=str(posted.vouchers[0])
    )
    return ClosedYear(year, seen.result_minor, posted.vouchers[0], already=False)


def read_year(session: Session, book: str, year: int, known_as_of: int | None = None) -> Year:
    """Give every account of a year with what it opened with and what was posted on it.

    Raises `UnknownBook`, `UnknownPeriod`, `NotYetKnown`.
    """
    functional_currency(session, book)
    first, after = session.execute(text(_YEAR), {"book": book, "year": year}).one()
    if first is None:
        raise UnknownPeriod(
            f"Book {book} has no periods of {year}. Open the year first: hovedbok ledger init "
            f"--year {year}.",
            year=year,
        )
    last = after - timedelta(days=1)
    openings: dict[str, int] = {}
    moves: dict[str, int] = {}
    names: dict[str, tuple[str, str]] = {}
    left_before = 0
    for one in trial_balance(session, book, first - timedelta(days=1), known_as_of):
        if one.account_class in _RESULT:
            left_before += one.base_minor
            continue
        names[one.account] = (one.name, one.account_class)
        openings[one.account] = openings.get(one.account, 0) + one.base_minor
    for one in trial_balance(session, book, last, known_as_of, first_day=first):
        names[one.account] = (one.name, one.account_class)
        moves[one.account] = moves.get(one.account, 0) + one.base_minor
    balances = tuple(
        YearBalance(account, *names[account], openings.get(account, 0), moves.get(account, 0))
        for account in sorted(names)
    )
    result = -sum(one.movement_minor for one in balances if one.account_class in "IE")
    closed_by = _closed_by(session, book, year, known_as_of)
    return Year(year, first, last, closed_by, result, left_before, balances)


def _draft(
    session: Session, book: str, year: Year, left: int, currency: str, actor: str
) -> BatchDraft:
    """Draft the entry: what is left goes from disposals to equity, on the last day."""
    day = year.last_day
    disposal = posting_account(session, book, "year_end", "disposal", "*", day)
    equity = posting_account(session, book, "year_end", "equity", "*", day)
    series, turn = session.execute(
        text(_SERIES), {"book": book, "year": year.year}
    ).one_or_none() or (None, 0)  # fmt: skip
    if series is None:
        raise UnknownSeries(
            f"Book {book} has no voucher series for the close of a year. Add what the seed has and "
            f"the book lacks: hovedbok ledger init --year {year.year}.",
            book=book,
        )
    ref = f"year/{book}/{year.year}/{turn + 1}"
    entry = EntryDraft(
        series, day, day, "year_end", ref, f"Årsresultat {year.year} overført til egenkapital",
        (Line(disposal, -left, currency), Line(equity, left, currency)),
    )  # fmt: skip
    return BatchDraft(book, SYSTEM, ref, actor, (entry,))


def _closed_by(session: Session, book: str, year: int, known_as_of: int | None) -> Voucher | None:
    """Find the close that stood at a position: one that was known, and no reversal of it yet."""
    standing = _STANDING.format(
        known=known_only(session, "e.entry_id >> 20", known_as_of),
        known_reversal=known_only(session, "r.entry_id >> 20", known_as_of),
    )
    found = session.scalar(text(standing), {"book": book, "year": year, "known": known_as_of})
    return None if found is None else read_entry(session, found).voucher


_YEAR = """
    SELECT min(p.starts_on), max(p.ends_on) FROM period p JOIN book k USING (book_id)
    WHERE k.code = :book AND p.fiscal_year = :year"""
_SERIES = """
    SELECT s.code, (SELECT count(*) FROM journal_entry e WHERE e.book_id = s.book_id
        AND e.series_id = s.series_id AND e.fiscal_year = :year
        AND e.reverses_entry_id IS NULL) AS turn
    FROM voucher_series s JOIN book k USING (book_id)
    WHERE k.code = :book AND s.module = 'YEAR' ORDER BY s.code LIMIT 1"""
_STANDING = """
    SELECT e.entry_id FROM journal_entry e JOIN voucher_series s USING (series_id)
    JOIN book k ON k.book_id = e.book_id
    WHERE k.code = :book AND s.module = 'YEAR' AND e.fiscal_year = :year
        AND e.reverses_entry_id IS NULL{known} AND NOT EXISTS (
            SELECT FROM journal_entry r WHERE r.reverses_entry_id = e.entry_id{known_reversal})
    ORDER BY e.entry_id LIMIT 1"""
