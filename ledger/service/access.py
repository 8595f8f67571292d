"""Staff, sessions, API clients and the audit log: who is asking, proved on the server.

The clock is an argument (`now`, aware), so that expiry and throttling can be tested. Secrets are
returned once, to the door that hands them over, and stored only as hashes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ledger.access import (
    ROLES,
    TOKEN_PREFIX,
    Actor,
    TokenInvalid,
    books_after,
    check_allowed,
    check_book,
    check_scopes,
    digest,
    proves,
    scopes_of,
    split_token,
)
from ledger.errors import Conflict, Invalid, NotFound
from ledger.service.access_tables import (
    attempt_table,
    client_table,
    event_table,
    is_valid_token,
    session_table,
    staff_table,
    token_table,
)
from ledger.service.book_access import book_facts_of, books_of
from ledger.service.turns import take_turn

SESSION_LASTS = timedelta(hours=10)
THROTTLE_WINDOW = timedelta(minutes=15)
FAILURES_PER_NAME = 5
FAILURES_PER_ADDRESS = 50
PASSWORD_LENGTH_MIN = 12

_SECRET_BYTES = 32  # 256 bits.


class UsernameTaken(Conflict):
    """A member of staff has this user name, or had it: names are never given twice.

    Raise as: f"There is a member of staff called {username}. Choose another name.".
    """

    title = "User name is taken"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff as lists show them; no secret is in it."""

    staff_id: int
    username: str
    roles: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Login:
    """What came of a login: a session token, or the seconds to wait, or neither (wrong words)."""

    token: str | None = None
    retry_after_s: int = 0


def add_staff(
    session: Session, username: str, roles: Iterable[str], password: str, *,
    actor: str, now: datetime,
) -> int:  # fmt: skip
    """Add a member of staff and give their number; the password is stored as an argon2id hash.

    Raises `Invalid` for an unknown role or a short password, `UsernameTaken` for a known name.
    """
    names = sorted(set(roles))
    scopes_of(names)
    if len(password) < PASSWORD_LENGTH_MIN:
        raise Invalid(f"A password has at least {PASSWORD_LENGTH_MIN} characters.")
    staff_id = session.execute(
        insert(staff_table)
        .values(username=username, roles=names, password_hash=_hasher().hash(password),
                created_at=now)
        .on_conflict_do_nothing()
        .returning(staff_table.c.id)
    ).scalar_one_or_none()  # fmt: skip
    if staff_id is None:
        raise UsernameTaken(f"There is a member of staff called {username}. Choose another name.")
    record_event(session, actor, "staff added", f"staff:{username}", roles=names)
    return int(staff_id)


def disable_staff(session: Session, username: str, *, actor: str, now: datetime) -> None:
    """End a member of staff's access at once: no new logins, and every open session is revoked."""
    staff_id = session.execute(
        update(staff_table)
        .where(staff_table.c.username == username)
        .values(disabled_at=func.coalesce(staff_table.c.disabled_at, now))
        .returning(staff_table.c.id)
    ).scalar_one_or_none()
    if staff_id is None:
        raise NotFound(f"There is no member of staff called {username}.", username=username)
    session.execute(
        update(session_table)
        .where(session_table.c.staff_id == staff_id, session_table.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    record_event(session, actor, "staff disabled", f"staff:{username}")


def named_staff(
    session: Session, username: str, scope: str, book: str | None, *, now: datetime
) -> str:
    """Let a command act in the name of a member of staff; gives how the books name them.

    Raises `NotFound` where nobody active has the name, `ScopeMissing` where no role of theirs
    carries the scope, `BookNotPermitted` where the book that the command names is not theirs.
    """
    member = next((m for m in list_staff(session) if m.username == username), None)
    if member is None or member.disabled_at is not None:
        raise NotFound(
            f"No active member of staff is called {username}. See hovedbok access staff list.",
            username=username,
        )
    books = books_of(session, f"staff:{username}", now=now)
    who = Actor("staff", member.staff_id, username, scopes_of(member.roles), books=books)
    check_allowed(who, scope)
    if book is not None:
        check_book(who, book)
    return who.reference


def list_staff(session: Session) -> list[StaffMember]:
    """List the members of staff by name."""
    columns = staff_table.c
    rows = session.execute(
        select(columns.id, columns.username, columns.roles, columns.created_at, columns.disabled_at)
        .order_by(columns.username)
    )  # fmt: skip
    return [
        StaffMember(number, name, tuple(roles), created, disabled)
        for number, name, roles, created, disabled in rows
    ]


def log_in(session: Session, username: str, password: str, *, address: str, now: datetime) -> Login:
    """Check a password and open a session.

    A refusal is a value, not an exception: the attempt must be on record, so the caller's
    transaction has to commit either way.
    """
    username = username.strip().lower()
    attempt = {"username_sha256": digest(username), "address_sha256": digest(address)}
    take_turn(session, f"login/{username}")  # Guesses that come at once are counted like others.
    if wait := _seconds_to_wait(session, attempt, now):
        return Login(retry_after_s=wait)
    row = session.execute(
        select(staff_table.c.id, staff_table.c.password_hash, staff_table.c.disabled_at)
        .where(staff_table.c.username == username)
    ).one_or_none()  # fmt: skip
    # An unknown name costs as much time as a wrong password, so neither can be told apart.
    matches = _password_matches(row.password_hash if row else _decoy_hash(), password)
    accepted = matches and row is not None and row.disabled_at is None
    session.execute(insert(attempt_table).values(**attempt, attempted_at=now, succeeded=accepted))
    if not accepted or row is None:
        return Login()
    record_event(session, f"staff:{username}", "logged in", f"staff:{username}")
    return Login(token=open_session(session, row.id, now=now))


def open_session(session: Session, staff_id: int, *, now: datetime) -> str:
    """Open a session for a member of staff whose identity is proved; gives its token, once."""
    token = secrets.token_urlsafe(_SECRET_BYTES)
    session.execute(
        insert(session_table).values(
            token_sha256=digest(token), staff_id=staff_id,
            created_at=now, expires_at=now + SESSION_LASTS,
        )
    )  # fmt: skip
    return token


def revoke_session(session: Session, token: str, *, now: datetime) -> None:
    """End a session; ending it again changes nothing."""
    session.execute(
        update(session_table)
        .where(session_table.c.token_sha256 == digest(token), session_table.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def staff_actor(session: Session, token: str, *, now: datetime) -> Actor | None:
    """Find who holds a session token; None when it is unknown, over, or its owner is disabled."""
    row = session.execute(
        select(
            staff_table.c.id,
            staff_table.c.username,
            staff_table.c.roles,
            book_facts_of(literal("staff:").concat(staff_table.c.username), now),
        )
        .join(session_table, session_table.c.staff_id == staff_table.c.id)
        .where(
            session_table.c.token_sha256 == digest(token),
            session_table.c.revoked_at.is_(None),
            session_table.c.expires_at > now,
            staff_table.c.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    # A role that a later release dropped carries nothing; it must not lock its holders out.
    roles = frozenset(row.roles) & ROLES.keys()
    books = books_after(row.book_facts or ())
    return Actor("staff", row.id, row.username, scopes_of(roles), roles, books)


def add_client(
    session: Session, name: str, scopes: Iterable[str], *, actor: str, now: datetime,
    expires_at: datetime | None = None,
) -> str:  # fmt: skip
    """Add an API client with its first token and give that token, once; only its hash is kept."""
    granted = sorted(check_scopes(scopes))
    if not granted:
        raise Invalid("A client without scopes could do nothing. Name at least one.")
    client_id = session.execute(
        insert(client_table)
        .values(name=name, scopes=granted, created_at=now)
        .on_conflict_do_nothing()
        .returning(client_table.c.id)
    ).scalar_one_or_none()
    if client_id is None:
        raise Conflict(f"There is an API client called {name}. Choose another name.")
    token = issue_token(session, client_id, now=now, expires_at=expires_at)
    record_event(
        session, actor, "client added", f"client:{name}", scopes=granted,
        prefix=split_token(token)[0],
    )  # fmt: skip
    return token


def issue_token(
    session: Session, client_id: int, *, now: datetime, expires_at: datetime | None
) -> str:
    """Make a client's next token and give it, once; who calls tells the audit log."""
    prefix = f"{TOKEN_PREFIX}_{secrets.token_hex(6)}"
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    session.execute(
        insert(token_table).values(
            prefix=prefix, api_client_id=client_id, secret_sha256=digest(secret),
            created_at=now, expires_at=expires_at,
        )
    )  # fmt: skip
    return f"{prefix}.{secret}"


def client_actor(session: Session, token: str, *, now: datetime) -> Actor:
    """Find the API client that a bearer token belongs to.

    Raises `TokenInvalid` when it is malformed, unknown, revoked or expired, without saying which.
    """
    prefix, secret = split_token(token)
    row = session.execute(
        select(token_table.c.secret_sha256, client_table.c.id, client_table.c.name,
               client_table.c.scopes,
               book_facts_of(literal("client:").concat(client_table.c.name), now))
        .join(client_table, client_table.c.id == token_table.c.api_client_id)
        .where(
            token_table.c.prefix == prefix,
            is_valid_token(now),
            client_table.c.disabled_at.is_(None),
        )
    ).one_or_none()  # fmt: skip
    if row is None or not proves(secret, row.secret_sha256):
        raise TokenInvalid("The bearer token is unknown, revoked or expired. Ask for a new one.")
    books = books_after(row.book_facts or ())
    return Actor("client", row.id, row.name, frozenset(row.scopes), books=books)


def revoke_token(session: Session, prefix: str, *, actor: str, now: datetime) -> None:
    """End one token by its prefix at once; raises `NotFound` for a prefix that no token has."""
    found = session.execute(
        update(token_table)
        .where(token_table.c.prefix == prefix)
        .values(revoked_at=func.least(token_table.c.revoked_at, now))
        .returning(token_table.c.prefix)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound(f"No token has the prefix {prefix}.", prefix=prefix)
    record_event(session, actor, "token revoked", f"token:{prefix}")


def record_event(session: Session, actor: str, act: str, subject: str, **facts: Any) -> None:
    """Write a privileged act to the audit log, in the transaction of the act itself."""
    session.execute(insert(event_table).values(actor=actor, act=act, subject=subject, facts=facts))


def audit_log(
    session: Session, limit: int = 100, *, before: int | None = None
) -> list[dict[str, Any]]:
    """Give the newest privileged acts, newest first; `before` an act: those older than it."""
    query = select(event_table).order_by(event_table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(event_table.c.id < before)
    rows = session.execute(query)
    return [dict(row) for row in rows.mappings()]


def seed_demo_staff(session: Session, home: Path, *, now: datetime) -> list[tuple[str, str, str]]:
    """Give one demo user per role as (user name, role, password), adding those that are missing.

    The passwords are random per home and kept in `home`/demo-users.txt, readable by its owner only:
    a demo has to be usable again tomorrow, and no two demos share a password.
    """
    users = _demo_users(home)
    known = {member.username for member in list_staff(session)}
    for username, role, password in users:
        if username not in known:
            add_staff(session, username, [role], password, actor="system:demo", now=now)
    return users


def _demo_users(home: Path) -> list[tuple[str, str, str]]:
    path = home / "demo-users.txt"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        lines = [f"{role}\t{role}\t{secrets.token_hex(8)}\n" for role in ROLES]
        draft = home / f"demo-users.{os.getpid()}.draft"
        draft.touch(mode=0o600)
        draft.write_text("".join(lines))
        draft.replace(path)
    fields = (line.split("\t") for line in path.read_text().splitlines())
    return [(username, role, password) for username, role, password in fields]


def _seconds_to_wait(session: Session, attempt: dict[str, bytes], now: datetime) -> int:
    """Say how long until the oldest failure that counts leaves the window; 0 to go on."""
    columns = attempt_table.c
    waits = [0]
    for column, most in (
        (columns.username_sha256, FAILURES_PER_NAME),
        (columns.address_sha256, FAILURES_PER_ADDRESS),
    ):
        failures = session.scalars(
            select(columns.attempted_at)
            .where(
                column == attempt[column.name],
                columns.attempted_at > now - THROTTLE_WINDOW,
                columns.succeeded.is_(False),
            )
            .order_by(columns.attempted_at.desc())
            .limit(most)
        ).all()
        if len(failures) == most:
            waits.append(int((failures[-1] + THROTTLE_WINDOW - now).total_seconds()) + 1)
    return max(waits)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache(maxsize=1)
def _decoy_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(_SECRET_BYTES))


def _password_matches(stored: str, password: str) -> bool:
    try:
        return _hasher().verify(stored, password)
    except VerifyMismatchError:
        return False
