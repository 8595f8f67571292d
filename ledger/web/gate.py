"""The gate: who is asking, and whether they may.

A program shows a bearer token; a person's browser shows a session cookie, and then a CSRF token
for anything that changes something. A route that names no scope and does not say `public` is
refused: forgetting is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request
from flask_wtf.csrf import CSRFProtect

from ledger.access import SCOPES, Actor, TokenInvalid, check_allowed, check_book
from ledger.db import glance, transaction
from ledger.errors import Forbidden, Unauthorised
from ledger.service import access
from ledger.service.book_access import book_named_by

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_csrf = CSRFProtect()


def install(app: Flask) -> None:
    """Stand before every view of the application."""
    # The gate itself asks for the CSRF token: only where a cookie speaks for a person.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", int(access.SESSION_LASTS.total_seconds()))
    _csrf.init_app(app)
    app.before_request(_check)
    app.context_processor(lambda: {"actor": g.get("actor")})


def scope(name: str) -> Callable[[View], View]:
    """Name the one scope that a view, or a method of a view class, needs; it enters the docs."""
    if name not in SCOPES:
        raise KeyError(name)

    def mark(view: View) -> View:
        documented = deepcopy(getattr(view, "_apidoc", {}))
        documented.setdefault("manual_doc", {}).update(
            {"security": [{"bearer": []}], "x-scope": name}
        )
        view.__dict__.update(_hovedbok_scope=name, _apidoc=documented)
        return view

    return mark


def public(view: View) -> View:
    """Let anybody ask: logging in, probes and descriptions of the API."""
    view.__dict__["_hovedbok_scope"] = PUBLIC
    return view


def current_actor() -> Actor:
    """Give whoever makes this request; the gate has let them pass."""
    actor: Actor | None = g.get("actor")
    if actor is None:
        raise Unauthorised("Log in, or send a bearer token.")
    return actor


def require_book_access(book: str) -> str:
    """Give a book back that the actor may see; raises `BookNotPermitted` for any other."""
    check_book(current_actor(), book)
    return book


def now() -> datetime:
    """Read the clock, here at the door."""
    return datetime.now(UTC)


def session_cookie() -> str:
    """Name the session cookie; the prefix makes browsers insist on HTTPS and on this host."""
    secure = current_app.config.get("SESSION_COOKIE_SECURE")
    return "__Host-hovedbok" if secure else "hovedbok"


def set_session_cookie(response: Response, token: str) -> None:
    """Hand a session token to the browser, out of reach of scripts and other sites."""
    response.set_cookie(
        session_cookie(), token, path="/", httponly=True, samesite="Lax",
        secure=bool(current_app.config.get("SESSION_COOKIE_SECURE")),
        max_age=int(access.SESSION_LASTS.total_seconds()),
    )  # fmt: skip


def route_scopes(app: Flask) -> dict[tuple[str, str], str | None]:
    """Map every (method, route) to its scope, `public`, or None where neither is said."""
    found: dict[tuple[str, str], str | None] = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found[method, rule.rule] = _scope_of(view, method)
    return found


def _check() -> None:
    """Let the request pass, or refuse it before the view runs."""
    g.actor = None
    if request.endpoint is None:
        # No such route or method: the router refuses, on a page that knows its reader.
        _find_actor(None)
        return
    needed = _scope_of(current_app.view_functions[request.endpoint], request.method)
    bearer = _bearer_token()
    if needed == PUBLIC and bearer is None and request.method in _SAFE_METHODS:
        # Probes and assets must not need the database.
        return
    _find_actor(bearer)
    if bearer is None and request.method not in _SAFE_METHODS and (g.actor or needed == PUBLIC):
        _csrf.protect()
    if needed != PUBLIC:
        _check_scope(needed)
        _check_books()


def _check_scope(needed: str | None) -> None:
    if g.actor is None:
        raise Unauthorised("Log in, or send a bearer token in the Authorization header.")
    if needed is None:
        raise Forbidden("This route names no scope, so nobody may use it.")
    check_allowed(g.actor, needed)


def _check_books() -> None:
    """Refuse a route to something of a book that is not the actor's.

    Books in a query or a body are looked at where these are read: `BookSchema`, the desk's `book`.
    """
    if g.actor.books is None or not request.view_args:
        return
    with transaction() as session:
        for book in book_named_by(session, request.view_args):
            check_book(g.actor, book)


def _find_actor(bearer: str | None) -> None:
    cookie = request.cookies.get(session_cookie())
    if bearer is None and not cookie:
        return
    if bearer is not None:
        with glance() as session:
            g.actor = access.client_actor(session, bearer, now=now())
        return
    with transaction() as session:
        g.actor = access.staff_actor(session, str(cookie), now=now())


def _bearer_token() -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid("Only bearer tokens are taken: Authorization: Bearer <prefix>.<secret>.")
    return token.strip()


def _scope_of(view: Callable[..., Any], method: str) -> str | None:
    """Read what a view says of itself; a view class says it per method."""
    if method == "OPTIONS":
        return PUBLIC  # Flask's own answer: the methods of the route.
    found: str | None = getattr(view_of(view, method), "_hovedbok_scope", None)
    return found


def view_of(view: Callable[..., Any], method: str) -> Callable[..., Any]:
    """Give what answers a method: a view class has one per method."""
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return view
    found: Callable[..., Any] = getattr(
        view_class, "get" if method == "HEAD" else method.lower(), view
    )
    return found
