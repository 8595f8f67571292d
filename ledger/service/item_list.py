"""Open items and allocations as lists: filtered, by pages, at two clocks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.cursors import read_cursor, write_cursor
from ledger.service.clocks import known_only
from ledger.service.reading.statement import find_account
from ledger.service.receivables import (
    ALLOCATIONS,
    ITEM_COLUMNS,
    USED_OF_EACH,
    AllocationView,
    OpenItem,
)
from ledger.undoing import UnknownAllocation

PAGE = 100
PAGE_MAX = 1000
ItemState = Literal["open", "settled", "all"]


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which open items are wanted; None wants all. Days are included.

    `state` is that at the end of the day: open is whatever has something left of it.
    """

    effective_as_of: date | None = None
    state: ItemState = "open"
    party_id: int | None = None
    account: str | None = None
    currency: str | None = None
    kind: str | None = None
    document_ref: str | None = None
    kid: str | None = None
    due_from: date | None = None
    due_to: date | None = None


@dataclass(frozen=True, slots=True)
class AllocationFilter:
    """Which allocations are wanted; None wants all. Days are included.

    `party_id` and `open_item_id` may be those of either side.
    """

    first_day: date | None = None
    effective_as_of: date | None = None
    party_id: int | None = None
    open_item_id: int | None = None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of open items, and the cursor of the next; None at the end."""

    rows: tuple[OpenItem, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class AllocationPage:
    """A page of allocations, and the cursor of the next; None at the end."""

    rows: tuple[AllocationView, ...]
    next_cursor: str | None


def list_items(
    session: Session,
    book: str,
    wanted: ItemFilter,
    known_as_of: int | None = None,
    *,
    after: str | None = None,
    limit: int = PAGE,
    frozen: int | None = None,
) -> ItemPage:
    """Give a page of items by id, each with what is outstanding at the end of the day.

    Parameters
    ----------
    after : the cursor of the page before; it must come with the same other arguments.
    limit : items of a page, 1 to 1000.
    frozen : the position at which the next page is to be read, where all is sealed now: this page
        reads the same at once without looking for it.

    Raises
    ------
    UnknownAccount, NotYetKnown, CursorInvalid
    """
    arguments = {"list": "items", "book": book, **asdict(wanted)}
    bound: dict[str, Any] = {**asdict(wanted), "book": book, "day": wanted.effective_as_of}
    if wanted.account is not None:
        bound["account_id"], _ = find_account(session, book, wanted.account)
    conditions = [_ITEM[name] for name in _ITEM if getattr(wanted, name) is not None]
    known = known_only(session, "i.open_item_id >> 20", known_as_of)
    used = USED_OF_EACH.replace("{known}", known_only(session, "batch_id", known_as_of))
    statement = (
        f"SELECT * FROM (SELECT {ITEM_COLUMNS} FROM open_item i {used}"
        "  JOIN account a USING (account_id)"
        "  WHERE i.book_id = (SELECT book_id FROM book WHERE code = :book)"
        "  AND i.effective_date <= coalesce(CAST(:day AS date), 'infinity')"
        f"  AND i.open_item_id > :place AND {' AND '.join(conditions)}{known}) x"
        f" WHERE {_STATE[wanted.state]} ORDER BY open_item_id LIMIT :n"
    )
    rows, cursor = _page(session, statement, bound, arguments, known_as_of, after, limit, frozen)
    return ItemPage(tuple(OpenItem(*row) for row in rows), cursor)


def list_allocations(
    session: Session,
    book: str,
    wanted: AllocationFilter,
    known_as_of: int | None = None,
    *,
    after: str | None = None,
    limit: int = PAGE,
    frozen: int | None = None,
) -> AllocationPage:
    """Give a page of allocations by id; parameters and refusals as for `list_items`."""
    arguments = {"list": "allocations", "book": book, **asdict(wanted)}
    conditions = [_ALLOCATION[n] for n in _ALLOCATION if getattr(wanted, n) is not None]
    statement = (
        f"{ALLOCATIONS} WHERE x.book_id = (SELECT book_id FROM book WHERE code = :book)"
        f" AND {' AND '.join(['allocation_id > :place', *conditions])}"
        f"{known_only(session, 'batch_id', known_as_of)} ORDER BY allocation_id LIMIT :n"
    )
    bound = {**asdict(wanted), "book": book}
    rows, cursor = _page(session, statement, bound, arguments, known_as_of, after, limit, frozen)
    return AllocationPage(tuple(AllocationView(*row) for row in rows), cursor)


def read_allocation(
    session: Session,
    book: str,
    allocation_id: int,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
) -> AllocationView:
    """Read one allocation of a book. Raises `UnknownAllocation`, `NotYetKnown`."""
    row = session.execute(
        text(
            f"{ALLOCATIONS} WHERE allocation_id = :id"
            " AND x.book_id = (SELECT book_id FROM book WHERE code = :book)"
            " AND effective_date <= coalesce(CAST(:day AS date), 'infinity')"
            f"{known_only(session, 'batch_id', known_as_of)}"
        ),
        {"id": allocation_id, "book": book, "day": effective_as_of, "known": known_as_of},
    ).one_or_none()
    if row is None:
        raise UnknownAllocation(
            f"Book {book} has no allocation {allocation_id}.", allocation_id=allocation_id
        )
    return AllocationView(*row)


def allocations_of_batch(session: Session, batch_id: int) -> list[AllocationView]:
    """List the allocations that a batch brought, in the order in which they were sent."""
    rows = session.execute(
        text(f"{ALLOCATIONS} WHERE batch_id = :batch ORDER BY allocation_id"), {"batch": batch_id}
    )
    return [AllocationView(*row) for row in rows]


_ITEM = {
    "state": "true",
    "party_id": "i.party_id = CAST(:party_id AS bigint)",
    "account": "i.account_id = :account_id",
    "currency": "i.currency = :currency",
    "kind": "i.kind = :kind",
    "document_ref": "i.document_ref = :document_ref",
    "kid": "i.kid = :kid",
    "due_from": "i.due_date >= :due_from",
    "due_to": "i.due_date <= :due_to",
}
_STATE: Mapping[ItemState, str] = {
    "open": "outstanding <> 0", "settled": "outstanding = 0", "all": "true",
}  # fmt: skip
_ALLOCATION = {
    "first_day": "effective_date >= :first_day",
    "effective_as_of": "effective_date <= :effective_as_of",
    "open_item_id": "(credit_item_id = :open_item_id OR debit_item_id = :open_item_id)",
    "party_id": (
        "(credit_item_id = ANY (ARRAY(SELECT open_item_id FROM open_item"
        "  WHERE party_id = CAST(:party_id AS bigint)))"
        " OR debit_item_id = ANY (ARRAY(SELECT open_item_id FROM open_item"
        "  WHERE party_id = CAST(:party_id AS bigint))))"
    ),
}


def _page(
    session: Session, statement: str, bound: dict[str, Any], arguments: dict[str, Any],
    known_as_of: int | None, after: str | None, limit: int, frozen: int | None,
) -> tuple[list[Any], str | None]:  # fmt: skip
    """Read one row more than a page; the first column is the place of a row in its list."""
    limit = max(1, min(limit, PAGE_MAX))
    place: Any = 0
    if after is not None:
        (place,) = read_cursor(after, {**arguments, "known": known_as_of})
    rows = session.execute(
        text(statement), {**bound, "known": known_as_of, "place": place, "n": limit + 1}
    ).all()
    if len(rows) <= limit:
        return list(rows), None
    bound_to = known_as_of if frozen is None else frozen
    cursor = write_cursor((rows[limit - 1][0],), {**arguments, "known": bound_to})
    return list(rows[:limit]), cursor
