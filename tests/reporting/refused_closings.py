"""How the gallery provokes what the close of a month or a year refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from sqlalchemy.orm import Session

from ledger import service
from ledger.journal import BatchDraft, EntryDraft, Line
from ledger.service import closing, year_end
from ledger.service.year_end import ClosedYear
from tests.ledger.conftest import Drafts

BOOK, LAST = "NO01", date(2026, 12, 31)
drafts = Drafts()


def _clearing(session: Session) -> object:
    """Leave 1,250.00 of the first month in clearing."""
    lines = (("1940", 1_250_00), ("3000", -1_250_00))
    entry = drafts.journal("j-1", *lines, day=date(2026, 1, 31))
    return service.post_batch(session, drafts.batch("b-1", entry))


def _close_january(session: Session, **waive: str) -> object:
    _clearing(session)
    return closing.close_period(
        session, BOOK, "2026-01", level="soft", actor="tester", waive=waive
    )  # fmt: skip


def _lock_all(session: Session, level: str = "soft") -> None:
    for month in range(1, 13):
        service.lock_period(
            session, BOOK, f"2026-{month:02d}", module="GL", level=level, actor="tester",
            reason="year end",
        )  # fmt: skip


def _close_year(session: Session, year: int = 2026) -> ClosedYear:
    return year_end.close_year(session, BOOK, year, actor="tester")


def _reopened(session: Session) -> object:
    _clearing(session)
    _lock_all(session)
    _close_year(session)
    return closing.reopen_modules(session, BOOK, "2026-12", actor="tester", reason="late bill")


def _locked_before(session: Session) -> None:
    _clearing(session)
    _lock_all(session, "hard")


def _reserved(session: Session) -> object:
    lines = (Line("8960", 1_250_00), Line("2050", -1_250_00))
    entry = EntryDraft("YEC", LAST, LAST, "year_end", "e-1", "By hand", lines)
    return service.post_batch(session, BatchDraft(BOOK, "test", "b-1", "tester", (entry,)))


REFUSED_CLOSINGS: dict[str, Callable[[Session], object]] = {
    "checks-open": _close_january,
    "check-not-waivable": lambda session: _close_january(session, sealed="no time"),
    "year-not-ready": _close_year,
    "year-is-closed": _reopened,
    "year-result-left": _locked_before,
    "series-reserved": _reserved,
}
