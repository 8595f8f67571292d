"""API clients and their tokens: which there are, and the next one of a client in place of the last.

The client stays who it is: its name, scopes and books, and so what is written in its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ledger.access import Actor, BookNotPermitted, check_book, split_token
from ledger.errors import Invalid, NotFound
from ledger.service.access import issue_token, record_event
from ledger.service.access_tables import (
    TOKEN_ENDS_AT,
    client_table,
    is_valid_token,
    token_table,
)
from ledger.service.book_access import books_of
from ledger.service.turns import take_turn

OVERLAP = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class ClientToken:
    """A token by its public half; None as its end is no end."""

    prefix: str
    created_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Client:
    """An API client as lists show it, with every token it was given; no secret is in it."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None
    tokens: tuple[ClientToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Rotation:
    """A client's new token, and the older ones that it replaces, with the end they have now."""

    client: str
    token: str
    prefix: str
    expires_at: datetime | None
    ending: tuple[ClientToken, ...]


def list_clients(session: Session) -> list[Client]:
    """List the API clients by name, with their tokens in the order in which they were given."""
    columns = client_table.c
    rows = session.execute(
        select(columns.id, columns.name, columns.scopes, columns.created_at, columns.disabled_at)
        .order_by(columns.name)
    )  # fmt: skip
    found = {
        number: Client(name, tuple(scopes), created, disabled)
        for number, name, scopes, created, disabled in rows
    }
    tokens = session.execute(
        select(
            token_table.c.api_client_id, token_table.c.prefix, token_table.c.created_at,
            TOKEN_ENDS_AT,
        ).order_by(token_table.c.created_at, token_table.c.prefix)
    )  # fmt: skip
    for number, *told in tokens:
        one = found[number]
        found[number] = replace(one, tokens=(*one.tokens, ClientToken(*told)))
    return list(found.values())


def rotate_token(
    session: Session, name: str, *, actor: str, now: datetime, by: Actor | None = None,
    old_until: datetime | None = None, expires_at: datetime | None = None,
) -> Rotation:  # fmt: skip
    """Give a client its next token; those it has end at once, or are valid until a time at most.

    Parameters
    ----------
    by : whoever asks, where books may be closed to them; they get no token into such a book.
    old_until : aware, at most 31 days ahead; None is now. A token that ends before keeps its end.
    expires_at : when the new one ends by itself; None is never.

    Raises
    ------
    NotFound : no active client has the name.
    Invalid : a time is past, or the old tokens would be valid for longer than 31 days.
    BookNotPermitted : the client may see a book that `by` may not.
    """
    take_turn(session, f"client/{name}")
    client_id = session.scalar(
        select(client_table.c.id)
        .where(client_table.c.name == name, client_table.c.disabled_at.is_(None))
    )  # fmt: skip
    if client_id is None:
        raise NotFound(
            f"No active API client is called {name}. See hovedbok access client list.", client=name
        )
    _check_times(now, old_until, expires_at)
    if by is not None:
        _check_books(session, name, by, now)
    ends_at = old_until or now
    columns = token_table.c
    ended = session.execute(
        update(token_table)
        .where(
            columns.api_client_id == client_id,
            is_valid_token(now),
        )
        .values(revoked_at=func.least(columns.revoked_at, columns.expires_at, ends_at))
        .returning(columns.prefix, columns.created_at, columns.revoked_at)
    )  # fmt: skip
    ending = tuple(sorted((ClientToken(*row) for row in ended), key=lambda one: one.created_at))
    token = issue_token(session, client_id, now=now, expires_at=expires_at)
    prefix, _ = split_token(token)
    record_event(
        session, actor, "token rotated", f"client:{name}", prefix=prefix,
        expires_at=expires_at and expires_at.isoformat(),
        ending={one.prefix: one.ends_at and one.ends_at.isoformat() for one in ending},
    )  # fmt: skip
    return Rotation(name, token, prefix, expires_at, ending)


def _check_times(now: datetime, old_until: datetime | None, expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid("The new token would have expired already. Let it end later, or never.")
    if old_until is not None and not now < old_until <= now + OVERLAP:
        raise Invalid(
            f"The old tokens end at once or within {OVERLAP.days} days, not at "
            f"{old_until.isoformat()}. Leave the time out to end them at once."
        )


def _check_books(session: Session, name: str, by: Actor, now: datetime) -> None:
    """Refuse whoever would get a key to a book that is closed to them."""
    if by.books is None:
        return
    theirs = books_of(session, f"client:{name}", now=now)
    if theirs is None:
        raise BookNotPermitted(
            f"client:{name} may see every book, {by.reference} may not. Ask an administrator who "
            "does.",
            client=name,
        )
    for book in sorted(theirs):
        check_book(by, book)
