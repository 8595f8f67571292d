"""Options that the commands of the books share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.journal import Voucher

ACTOR = "system:command-line"  # whom the books name where no person is named

BOOK = "NO01"
book_option = click.option("--book", default=BOOK, show_default=True, help="The book's code.")
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def _known(_context: click.Context, _parameter: click.Parameter, given: str | None) -> int | None:
    """Resolve a time to its seal position at once: the figures say which one it was."""
    if given is None:
        return None
    with transaction() as session:
        return service.known_position(session, service.read_known(given))


known_option = click.option(
    "--known-as-of", callback=_known, metavar="POSITION|TIME",
    help="Only what was sealed up to this position, or by this time (ISO 8601 with offset).",
)  # fmt: skip


def voucher_argument(_context: click.Context, _parameter: click.Parameter, given: str) -> Voucher:
    """Take a voucher number as people write it, SAL/2026/17."""
    try:
        return Voucher.read(given)
    except Invalid as refusal:
        raise click.BadParameter(str(refusal)) from None


def now() -> datetime:
    """Read the clock, here at the door."""
    return datetime.now(UTC)


def day_option(name: str, meaning: str, *also: str, **more: Any) -> Callable[[Any], Any]:
    """Declare an option that takes a day, YYYY-MM-DD, as a date; `also` are its other names."""

    def as_date(_context: click.Context, _parameter: click.Parameter, given: Any) -> date | None:
        return None if given is None else given.date()

    kind = click.DateTime(["%Y-%m-%d"])
    return click.option(name, *also, type=kind, callback=as_date, help=meaning, **more)


as_of_option = day_option(
    "--as-of", "Count postings up to and including this day; every posting by default."
)
from_option = day_option("--from", "The first day; everything by default.")
# Where there is a first day, the effective clock is the last one; it goes by both names.
to_option = day_option("--to", "The last day; everything by default.", "--as-of")


def begin_reading(
    session: Session, book: str, as_of: date | None, known_as_of: int | None
) -> service.Clocks:
    """Read everything of one moment, of a book that exists, by clocks that can be met."""
    service.hold_snapshot(session)
    service.require_book(session, book)
    return service.resolve_clocks(session, as_of, known_as_of)


def clocks_json(clocks: service.Clocks) -> dict[str, object]:
    """Echo what was counted: null is no limit of days, and everything committed."""
    day = clocks.effective_as_of
    return {
        "effective_as_of": None if day is None else day.isoformat(),
        "known_as_of": clocks.known_as_of,
        "sealed": clocks.sealed,
    }


def clocks_line(clocks: service.Clocks) -> str:
    """Say what was counted in a sentence, below what is printed for people."""
    days = "All days" if clocks.effective_as_of is None else f"Up to {clocks.effective_as_of}"
    if clocks.known_as_of is None:
        return f"{days}, everything committed; not all of it is sealed yet."
    return f"{days}, as known at seal position {clocks.known_as_of}."
