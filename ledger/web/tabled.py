"""Lists in the form that `Accept` asks for: JSON, CSV, and what higher rooms offer, such as Excel.

A view gives its body as ever; its shape says which table that is. The table holds the whole list,
not a page, with the book, the clocks and the seal that it was read under beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import Any, Protocol

from flask import Response, request
from sqlalchemy import text

from ledger.db import transaction
from ledger.errors import Problem
from ledger.tables import Table, Value, clock_cells, write_csv
from ledger.web.gate import current_actor, now
from ledger.web.openapi import Blueprint

CSV = "text/csv"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
JSON = "application/json"
ROWS_MAX = 100_000
TABLES_AT_ONCE = 4  # In a process: a long one takes seconds of a thread, and postings need some.
_PAGE = 1000
_BINARY = {"type": "string", "format": "binary"}

Parameters = Sequence[tuple[str, Value]]
Renderer = Callable[[Sequence[Table], Parameters], bytes]
Shape = Callable[[Mapping[str, Any]], Sequence[Table]]
View = Callable[..., Any]


class TableTooLarge(Problem):
    """A list is too long to be given as one table over the web.

    Raise as: f"The list has more than {ROWS_MAX} rows. Narrow it ...".
    """

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Table is too large"


class TablesBusy(Problem):
    """As many tables as this server makes at once are being made; postings are not held up by them.

    Raise as: "As many tables are being made as this server makes at once. Ask again in ...".
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Tables are being made for others"


class Page(Protocol):
    """A page of a list."""

    @property
    def rows(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def next_cursor(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class TablePage:
    """A page of rows, and the cursor of the next; None at the end."""

    rows: Sequence[Any]
    next_cursor: str | None


_offered: dict[str, tuple[str, Renderer]] = {
    CSV: ("csv", lambda tables, _parameters: write_csv(tables).encode())
}


_places = BoundedSemaphore(TABLES_AT_ONCE)


@contextmanager
def table_place() -> Iterator[None]:
    """Take one of the places for tables while one is read and made. Raises `TablesBusy`."""
    if not _places.acquire(blocking=False):
        raise TablesBusy(
            "As many tables are being made as this server makes at once. Ask again in a few "
            "seconds.", retry_after_s=5,
        )  # fmt: skip
    try:
        yield
    finally:
        _places.release()


def offer(media_type: str, ending: str, renderer: Renderer) -> None:
    """Let tables be had in another form; `ending` is that of the file's name."""
    _offered[media_type] = (ending, renderer)


def wanted_form() -> str | None:
    """Give the media type of the table that the caller asks for; None where it is JSON."""
    forms = [JSON, *_offered]
    best = request.accept_mimetypes.best_match(forms, JSON)
    return None if best == JSON else best


def tabled(blueprint: Blueprint, name: str, shape: Shape) -> Callable[[View], View]:
    """Let a list be had as a table too; put it directly above the view.

    Parameters
    ----------
    name : of the file, without its ending.
    shape : gives the tables of what the view gives; more than one where parts have their own sums.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def answered(*args: Any, **kwargs: Any) -> Any:
            form = wanted_form()
            if form is None:
                return view(*args, **kwargs)
            with table_place():
                body = view(*args, **kwargs)
                return _answer(form, name, shape(body), body)

        documented: View = answered
        for media_type, schema in ((CSV, {"type": "string"}), (EXCEL, _BINARY)):
            documented = blueprint.alt_response(
                HTTPStatus.OK, schema=schema, content_type=media_type, success=True
            )(documented)
        return documented

    return wrap


def whole(read: Callable[[str | None, int], Page], after: str | None, limit: int) -> Any:
    """Read a page, or for a table the list from there to its end; gives (rows, next cursor).

    Raises `TableTooLarge`.
    """
    if wanted_form() is None:
        page = read(after, limit)
        return page.rows, page.next_cursor
    return every_row(read, after), None


def every_row(read: Callable[[str | None, int], Page], after: str | None = None) -> list[Any]:
    """Read a list from a place to its end, page by page. Raises `TableTooLarge`."""
    rows: list[Any] = []
    while True:
        page = read(after, _PAGE)
        rows += page.rows
        if len(rows) > ROWS_MAX:
            raise TableTooLarge(
                f"The list has more than {ROWS_MAX} rows. Narrow it by dates, accounts or parties, "
                "page through it as JSON, or run hovedbok ledger export.",
                rows_max=ROWS_MAX,
            )
        after = page.next_cursor
        if after is None:
            return rows


def _answer(form: str, name: str, tables: Sequence[Table], body: Mapping[str, Any]) -> Response:
    ending, renderer = _offered[form]
    response = Response(renderer(tables, _parameters(body)), mimetype=form)
    day = body.get("effective_as_of") or "latest"
    filename = f"{name}-{body['book']}-{day}.{ending}"
    response.headers.set("Content-Disposition", "attachment", filename=filename)
    response.headers["Vary"] = "Accept"
    return response


def _parameters(body: Mapping[str, Any]) -> Parameters:
    """Say what the figures depend on: enough to ask for the very same table again."""
    known = body.get("known_as_of")
    told: list[tuple[str, Value]] = [
        ("Book", body["book"]),
        *clock_cells(body.get("effective_as_of"), known, sealed=bool(body.get("sealed"))),
        *_seal(known),
        ("Asked for", request.full_path.rstrip("?")),
        ("Made by", current_actor().reference),
        ("Made at", now().isoformat(timespec="seconds")),
        ("Amounts", "Debit positive, credit negative, where nothing else is said"),
    ]
    return told


def _seal(position: int | None) -> Sequence[tuple[str, Value]]:
    """Name the block that a position lies in, by its number, hash and time."""
    if not position:
        return ()
    with transaction() as session:
        row = session.execute(
            text(
                "SELECT block_no, encode(block_hash, 'hex') AS hash, signed_at FROM seal_block"
                " WHERE :position BETWEEN first_position AND last_position"
            ),
            {"position": position},
        ).one()
    return [
        ("Seal block", row.block_no), ("Seal block's hash", row.hash),
        ("Seal signed at", row.signed_at.isoformat(timespec="seconds")),
    ]  # fmt: skip
