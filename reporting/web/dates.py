"""Which day the desk shows when nobody says: the newest day the books know, never the future."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from ledger.web import now
from reporting.service.aging import OSLO, newest_day

__all__ = ["OSLO", "default_day", "today"]


def today() -> date:
    """Give the day on the wall in Oslo."""
    return now().astimezone(OSLO).date()


def default_day(session: Session, book: str, known_as_of: int | None = None) -> date:
    """Give the newest day with a known posting, at most today; books at rest are shown so.

    Raises `NotYetKnown`.
    """
    return newest_day(session, book, known_as_of, now=now())
