"""Which books a member of staff or an API client may see, as dated facts that are only added to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Label, column, exists, func, select, table, text
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from ledger.access import books_after
from ledger.errors import Invalid, NotFound
from ledger.service.access_tables import (
    book_access_table,
    client_table,
    event_table,
    is_valid_token,
    staff_table,
    token_table,
)
from ledger.service.books import require_book
from ledger.service.refused import translated

_book = table("book", column("book_id"), column("code"))
# The book of what a placeholder of a route names; other ids are looked for within a book.
_BOOK_OF: Mapping[str, str] = {
    "draft_id": "SELECT code FROM journal_draft JOIN book USING (book_id) WHERE draft_id = :id",
    "request_id": "SELECT code FROM posting_request JOIN book USING (book_id)"
                  " WHERE request_id = :id",
    "checklist_id": "SELECT code FROM close_checklist JOIN book USING (book_id)"
                    " WHERE checklist_id = :id",
    "webhook_id": "SELECT code FROM webhook JOIN book USING (book_id) WHERE webhook_id = :id",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BookFact:
    """A book that was granted to somebody or withdrawn; None as the book is every book."""

    holder: str
    book: str | None
    is_granted: bool
    valid_from: datetime
    reason: str
    recorded_by: str
    recorded_at: datetime


def book_facts_of(holder: ColumnElement[str], now: datetime) -> Label[Any]:
    """Write the column `book_facts` of a holder: what has begun, in order, for `books_after`."""
    facts = book_access_table.c
    pair = func.jsonb_build_array(_book.c.code, facts.is_granted)
    in_order = func.jsonb_agg(aggregate_order_by(pair, facts.valid_from, facts.book_access_id))
    return (
        select(in_order)
        .select_from(book_access_table.outerjoin(_book, _book.c.book_id == facts.book_id))
        .where(facts.holder == holder, facts.valid_from <= now)
        .scalar_subquery()
        .label("book_facts")
    )


def books_of(session: Session, holder: str, *, now: datetime) -> frozenset[str] | None:
    """Give the books that "staff:kari" or "client:billing" may see; None is every book."""
    begun = [fact for fact in book_facts(session, holder) if fact.valid_from <= now]
    return books_after((fact.book, fact.is_granted) for fact in begun)


def is_shut_out(session: Session, holder: str, *, now: datetime) -> bool:
    """Tell whether a holder was let in once and is no more: no valid token, or disabled."""
    kind, _, name = holder.partition(":")
    if kind == "staff":
        out = exists().where(staff_table.c.username == name, staff_table.c.disabled_at.is_not(None))
    elif kind == "client":
        known, client = token_table.c, client_table.c
        has_token = exists().where(known.api_client_id == client.id, is_valid_token(now))
        out = exists().where(client.name == name, client.disabled_at.is_not(None) | ~has_token)
    else:
        return False  # The program itself, or another system: nobody let them in.
    return bool(session.scalar(select(out)))


def book_facts(session: Session, holder: str | None = None) -> list[BookFact]:
    """List what was granted and withdrawn, of one holder or of all, in the order of time."""
    rows = session.execute(
        text(
            "SELECT holder, code, is_granted, valid_from, reason, recorded_by, recorded_at"
            " FROM book_access LEFT JOIN book USING (book_id)"
            " WHERE CAST(:holder AS text) IS NULL OR holder = :holder"
            " ORDER BY holder, valid_from, book_access_id"
        ),
        {"holder": holder},
    )
    return [BookFact(*row) for row in rows]


def set_book_access(
    session: Session, holder: str, book: str | None, *, granted: bool, reason: str, actor: str,
    valid_from: datetime | None = None,
) -> bool:  # fmt: skip
    """Grant a book to somebody or withdraw it, from now or from a later time on.

    Parameters
    ----------
    holder : "staff:<user name>" or "client:<name>".
    book : None is every book. The first grant of one book restricts its holder to it.
    valid_from : aware; None is now.

    Returns
    -------
    Whether anything changed: what is so already at that time is not written again.

    Raises
    ------
    NotFound, UnknownBook : there is no such holder or book.
    Invalid : no reason, or one book is to be withdrawn from somebody who may see every book.
    AccessReachesBack : the time is past.
    """
    _require_holder(session, holder)
    if book is not None:
        require_book(session, book)
    if not reason.strip():
        raise Invalid("Say why: an auditor reads the reason of every change of access.")
    at: datetime = valid_from or session.execute(select(func.clock_timestamp())).scalar_one()
    before = books_of(session, holder, now=at)
    if book is not None and not granted and before is None:
        raise Invalid(
            f"{holder} may see every book. Grant the books that stay theirs, and no others will."
        )
    if _is_so(before, book, granted=granted):
        return False
    with translated():
        session.execute(
            text(
                "INSERT INTO book_access (holder, book_id, is_granted, valid_from, reason,"
                " recorded_by) VALUES (:holder, (SELECT book_id FROM book WHERE code = :book),"
                " :granted, coalesce(:valid_from, clock_timestamp()), :reason, :actor)"
            ),
            {"holder": holder, "book": book, "granted": granted, "valid_from": valid_from,
             "reason": reason, "actor": actor},
        )  # fmt: skip
    session.execute(
        event_table.insert().values(
            actor=actor, act="book granted" if granted else "book withdrawn", subject=holder,
            facts={"book": book or "every book", "from": at.isoformat(), "reason": reason},
        )
    )  # fmt: skip
    return True


def book_named_by(session: Session, names: Mapping[str, Any]) -> Iterable[str]:
    """Give the books of what the placeholders of a route name; what does not exist has none."""
    for placeholder, value in names.items():
        if placeholder == "book":
            yield str(value)
        elif placeholder in _BOOK_OF:
            yield from session.scalars(text(_BOOK_OF[placeholder]), {"id": value})


def _is_so(books: frozenset[str] | None, book: str | None, *, granted: bool) -> bool:
    """Tell whether a fact would change nothing."""
    if book is None:
        return books is None if granted else books == frozenset()
    return books is not None and (book in books) == granted


def _require_holder(session: Session, holder: str) -> None:
    kind, _, name = holder.partition(":")
    column_of = {"staff": "staff WHERE username", "client": "api_client WHERE name"}.get(kind)
    found = column_of and session.scalar(
        text(f"SELECT count(*) FROM {column_of} = :name"), {"name": name}
    )
    if not found:
        raise NotFound(
            f"{holder} is nobody. Name staff:<user name> or client:<name>; see hovedbok access "
            "staff list.",
            holder=holder,
        )
