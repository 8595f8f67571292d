"""Options that the commands of the books share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import click

from ledger import service
from ledger.db import transaction

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


def now() -> datetime:
    """Read the clock, here at the door."""
    return datetime.now(UTC)


def day_option(name: str, meaning: str, **more: Any) -> Callable[[Any], Any]:
    """Declare an option that takes a day, YYYY-MM-DD, as a date."""

    def as_date(_context: click.Context, _parameter: click.Parameter, given: Any) -> date | None:
        return None if given is None else given.date()

    kind = click.DateTime(["%Y-%m-%d"])
    return click.option(name, type=kind, callback=as_date, help=meaning, **more)
