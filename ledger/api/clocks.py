"""What every read over REST takes and echoes: the book, the two clocks, and a place in a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from flask import request
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.web.fields import AsOfSchema, BookSchema, Day
from ledger.web.tabled import Page, wanted_form, whole

PAGE_MAX = 1000


class KnownAsOf(fields.Field[int | datetime]):
    """A seal position, or a time with its offset; `reading` resolves it to a position."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_kwargs: Any
    ) -> int | datetime:
        del attr, data
        try:
            return service.read_known(str(value))
        except Invalid as refusal:
            raise ValidationError(str(refusal)) from refusal


class KnownArguments(BookSchema):
    """The book, and the last seal position that counts."""

    known_as_of = KnownAsOf(
        load_default=None,
        metadata={
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
                {"type": "string", "format": "date-time"},
                {"type": "null"},
            ],
            "description": "Only what was sealed up to this position, or by this time (ISO 8601 "
            "with offset: the last block signed by then); left out, everything committed. Figures "
            "of a position never change.",
        },
    )


class ClockArguments(AsOfSchema, KnownArguments):
    """The book, the last day, and the last seal position that counts."""


class PageArguments(Schema):
    """A place in a list: the cursor of the page before, and how many rows are wanted."""

    after = fields.String(load_default=None, validate=validate.Length(1, 2000))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, PAGE_MAX))


class ResolvedSchema(Schema):
    """The clocks as they were resolved: what the figures count."""

    book = fields.String(required=True)
    effective_as_of = Day(
        required=True, allow_none=True, metadata={"description": "Null: no limit of days."}
    )
    known_as_of = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "The seal position. Null: everything committed, of which something is "
            "not sealed yet, so that the same request may see more later."
        },
    )
    sealed = fields.Boolean(
        required=True, metadata={"description": "Everything that counts is sealed."}
    )


class NextSchema(Schema):
    """Where a list goes on; null at its end."""

    next = fields.String(required=True, allow_none=True)


@contextmanager
def reading(wanted: dict[str, Any]) -> Iterator[tuple[Session, dict[str, Any]]]:
    """Open a transaction that reads one moment of a known book; gives the resolved clocks too.

    Where `known_as_of` is a time, `wanted` holds its position from then on.
    """
    if isinstance(wanted["known_as_of"], datetime):
        with transaction() as session:  # Before the snapshot: it may wait for a seal.
            wanted["known_as_of"] = service.known_position(session, wanted["known_as_of"])
    with transaction() as session:
        service.hold_snapshot(session)
        service.require_book(session, wanted["book"])
        clocks = service.resolve_clocks(session, wanted["effective_as_of"], wanted["known_as_of"])
        yield (
            session,
            {
                "book": wanted["book"],
                "effective_as_of": clocks.effective_as_of,
                "known_as_of": clocks.known_as_of,
                "sealed": clocks.sealed,
            },
        )


def next_link(cursor: str | None, known_as_of: int | None = None) -> str | None:
    """Give the address of the next page: this request with the cursor; None at the end.

    With a position the pages that follow are frozen there, whatever is posted meanwhile.
    """
    if cursor is None:
        return None
    arguments: dict[str, str | int] = {**request.args.to_dict(), "after": cursor}
    if known_as_of is not None:
        arguments["known_as_of"] = known_as_of
    return f"{request.path}?{urlencode(arguments)}"


class ListReader(Protocol):
    """Reads a page of a list: (session, book, known position) and where in the list."""

    def __call__(
        self, session: Session, book: str, known_as_of: int | None, /, *,
        after: str | None, limit: int, frozen: int | None,
    ) -> Page:  # fmt: skip
        """Read the page."""
        ...


def read_list(
    wanted: dict[str, Any], read: ListReader
) -> tuple[dict[str, Any], Sequence[Any], str | None]:
    """Read a page of a list, or for a table all of it; pages that follow are frozen.

    Takes the clocks and the place out of `wanted`, so that only the filter is left when `read` is
    called. Gives the resolved clocks, the rows, and the address of the next page.
    """
    start, size = wanted.pop("after"), wanted.pop("limit")
    with reading(wanted) as (session, resolved):
        book, known = wanted.pop("book"), wanted.pop("known_as_of")
        frozen = None if wanted_form() else resolved["known_as_of"]
        rows, cursor = whole(
            lambda after, limit: read(
                session, book, known, after=after, limit=limit, frozen=frozen
            ), start, size,
        )  # fmt: skip
    return resolved, rows, next_link(cursor, resolved["known_as_of"])
