"""Who may do what: roles, the scopes they carry, and the shape of an API token.

Pure: passwords, sessions and clients live in `ledger.service.access`, routes in the doors.
A route names exactly one scope; a role is a set of scopes; an API client has scopes one by one.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus

from ledger.errors import Forbidden, Invalid, Problem, Unauthorised

SCOPES: Mapping[str, str] = {
    "ledger:read": "read accounts, entries, statements and balances",
    "ledger:post": "post journal entries",
    "ledger:approve": "approve drafts made by others",
    "periods:close": "run the checks of a month, close and reopen it, open and close a year",
    "periods:waive": "waive a check of a close, explain a number that is missing, and let somebody "
    "into a closed month",
    "chart:write": "change the chart, dimensions and rates of exchange",
    "registers:write": "change VAT codes and posting rules",
    "webhooks:write": "be told of events",
    "receivables:read": "read open items, aging lists and unallocated payments",
    "receivables:write": "allocate payments and undo allocations",
    "party:read": "read customers, their accounts and subscriptions",
    "mediation:read": "read feeds, control totals and suspense",
    "mediation:run": "run feeds, rating and corrections of suspense",
    "tariffs:read": "read tariffs and their versions, and ask what something would cost",
    "tariffs:write": "propose versions of tariffs",
    "tariffs:approve": "approve versions of tariffs that others proposed",
    "documents:read": "read invoices and their archived documents",
    "desk:read": "see the front page of the desk",
    "access:read": "read staff, API clients and the audit log",
    "access:write": "add and disable staff and API clients",
}

_READS = frozenset(name for name in SCOPES if name.endswith(":read"))
_BOOKS = frozenset(
    {"desk:read", "ledger:read", "receivables:read", "party:read", "documents:read", "tariffs:read"}
)

ROLES: Mapping[str, frozenset[str]] = {
    "accountant": _BOOKS
    | {"ledger:post", "periods:close", "receivables:write", "chart:write"}
    | {"registers:write", "mediation:read"},
    "collector": _BOOKS - {"ledger:read"} | {"receivables:write"},
    "operations": frozenset(
        {
            "desk:read",
            "party:read",
            "documents:read",
            "mediation:read",
            "mediation:run",
            "tariffs:read",
        }
    ),
    "product": frozenset({"desk:read", "tariffs:read", "tariffs:write"}),
    "approver": _BOOKS | {"ledger:approve", "periods:waive", "tariffs:approve"},
    "auditor": _READS,
    "administrator": frozenset({"desk:read", "access:read", "access:write"}),
}

# One token is `<prefix>.<secret>`: the prefix finds the row, the secret proves the bearer.
TOKEN_PREFIX = "hvb"  # noqa: S105 - the public half


class ScopeMissing(Forbidden):
    """The caller is known, but no role or token of theirs carries the scope of this route.

    Raise as: f"This needs the scope {scope}; {actor} does not have it.".
    """

    title = "Scope is missing"


class BookNotPermitted(Forbidden):
    """The caller may see some books, and this one is not among them, whether it exists or not.

    Raise as: f"{actor} may not see book {book}; theirs: {books}. Ask an administrator for it.".
    """

    title = "Book is not permitted"


class AccessReachesBack(Invalid):
    """Access changes from now or a later time on; what somebody could see before is on record."""

    title = "Access reaches back"


class ProgramsOnly(Forbidden):
    """A person tried to post directly; what a person posts is drafted, so that another can look.

    Raise as: f"{actor} is a person: write a draft instead (POST /api/v1/drafts).".
    """

    title = "Programs only"


class TokenInvalid(Unauthorised):
    """The bearer token is malformed, unknown, revoked or expired; which one is not said.

    Raise as: "The bearer token is unknown, revoked or expired. Ask for a new one.".
    """

    title = "Token is not valid"


class TooManyAttempts(Problem):
    """So many logins failed for one name or from one place that the next has to wait.

    Raise as: f"Too many failed logins. Try again in {seconds} seconds.".
    """

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many attempts"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever makes a request: a member of staff or an API client, with the scopes they carry."""

    kind: str  # staff or client.
    number: int
    name: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    books: frozenset[str] | None = None  # None: every book there is or will be.

    @property
    def reference(self) -> str:
        """Name the actor in batches and in the audit log, e.g. "staff:accountant"."""
        return f"{self.kind}:{self.name}"

    def may(self, scope: str) -> bool:
        """Tell whether the actor carries a scope."""
        return scope in self.scopes

    def may_see(self, book: str) -> bool:
        """Tell whether a book is among those of the actor."""
        return self.books is None or book in self.books


def scopes_of(roles: Iterable[str]) -> frozenset[str]:
    """Join the scopes of several roles.

    Raises `Invalid` for a role that does not exist.
    """
    names = frozenset(roles)
    if unknown := sorted(names - ROLES.keys()):
        raise Invalid(
            f"{', '.join(unknown)}: no such role. Choose among {', '.join(ROLES)}.", roles=unknown
        )
    return frozenset().union(*(ROLES[name] for name in names))


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Give scopes as a set; raises `Invalid` for one that does not exist."""
    names = frozenset(scopes)
    if unknown := sorted(names - SCOPES.keys()):
        raise Invalid(
            f"{', '.join(unknown)}: no such scope. Choose among {', '.join(SCOPES)}.",
            scopes=unknown,
        )
    return names


def check_allowed(actor: Actor, scope: str) -> None:
    """Refuse the actor that lacks a scope, with `ScopeMissing`."""
    if not actor.may(scope):
        raise ScopeMissing(
            f"This needs the scope {scope}, {SCOPES[scope]}; {actor.reference} does not have it. "
            "Ask an administrator for a role that carries it.",
            scope=scope,
        )


def books_after(facts: Iterable[tuple[str | None, bool]]) -> frozenset[str] | None:
    """Give the books that somebody may see after what was granted to and withdrawn from them.

    Parameters
    ----------
    facts : (book, granted) in the order of time; None as the book is every book.

    Returns
    -------
    The codes of the books, or None for every book, which is also where everybody begins. The first
    grant of one book is a restriction to it.
    """
    books: frozenset[str] | None = None
    for book, granted in facts:
        if book is None:
            books = None if granted else frozenset()
        else:
            books = (books or frozenset()) | {book} if granted else (books or frozenset()) - {book}
    return books


def check_book(actor: Actor, book: str) -> None:
    """Refuse the actor that may not see a book, with `BookNotPermitted`."""
    if not actor.may_see(book):
        theirs = ", ".join(sorted(actor.books or ())) or "none"
        raise BookNotPermitted(
            f"{actor.reference} may not see book {book}; theirs: {theirs}. Ask an administrator "
            "for it (hovedbok access book grant).",
            book=book,
        )


def check_program(actor: Actor) -> None:
    """Refuse a person, with `ProgramsOnly`, where only a program may post without a draft."""
    if actor.kind == "staff":
        raise ProgramsOnly(
            f"{actor.reference} is a person: write a draft instead, at the desk (/journal/new) or "
            "by POST /api/v1/drafts.",
            actor=actor.reference,
        )


def digest(secret: str) -> bytes:
    """Hash a random 256-bit secret for storage; no salt or stretching is needed at that length."""
    return sha256(secret.encode()).digest()


def proves(secret: str, stored: bytes) -> bool:
    """Compare a secret with its stored hash in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def split_token(token: str) -> tuple[str, str]:
    """Split a bearer token into the prefix that finds it and the secret that proves it.

    Raises `TokenInvalid` for anything of another shape; the token itself is never echoed.
    """
    prefix, dot, secret = token.partition(".")
    if not dot or not secret or not prefix.startswith(TOKEN_PREFIX):
        raise TokenInvalid("The bearer token is malformed: it reads <prefix>.<secret>.")
    return prefix, secret
