"""What a page of the books is read by: the book, the last day, and what was known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from flask import request
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.db import transaction
from reporting.web.dates import OSLO, default_day
from reporting.web.frame import book, wanted_day


@dataclass(frozen=True, slots=True)
class Reading:
    """How a page reads: `day` and `known` are asked of the books, `clocks` is told to the reader.

    They differ where everything is asked for and all of it is sealed: the clocks then name the
    last position, and the books are read without looking for it.
    """

    session: Session
    book: str
    day: date | None
    known: int | None
    clocks: ledger.Clocks


@contextmanager
def reading(*, newest: bool = False) -> Iterator[Reading]:
    """Open a transaction that reads one moment by the clocks that the page is asked for.

    `newest` puts the newest day with a known posting where none is asked for.

    Raises `Invalid` for what is no clock, `NotYetKnown` for what has not come yet.
    """
    of, day = book(), wanted_day()
    with transaction() as session:  # Before the page's snapshot: it may wait for a seal.
        known = wanted_known(session)
    with transaction() as session:
        ledger.hold_snapshot(session)
        if day is None and newest:
            day = default_day(session, of, known)
        yield Reading(session, of, day, known, ledger.resolve_clocks(session, day, known))


def wanted_known(session: Session) -> int | None:
    """Read what the page is to know: a seal position, or a time as people or programs write it.

    People write 31.03.2026 18:00 and mean the clock in Oslo. Gives the position; None where it is
    absent or empty: everything committed.

    Raises `Invalid` for anything else, `NotYetKnown` for what has not come yet.
    """
    written = request.args.get("known_as_of", "").strip()
    if not written:
        return None
    try:
        moment = datetime.strptime(written, "%d.%m.%Y %H:%M").replace(tzinfo=OSLO)
    except ValueError:
        return ledger.known_position(session, ledger.read_known(written))
    return ledger.known_position(session, moment)
