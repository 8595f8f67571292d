"""Refusals on the wire: RFC 9457 problem details for programs, a page for people.

Every class derived from `Problem` is an entry of the catalogue. HTTP errors of the framework and
faults of our own get entries too; a fault never shows its cause, only the id to look it up by.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Self

import structlog
from flask import (
    Flask,
    Response,
    current_app,
    json,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_wtf.csrf import CSRFError
from jinja2 import TemplateNotFound
from psycopg import OperationalError as DriverError
from sqlalchemy.exc import DataError, OperationalError, StatementError
from werkzeug.exceptions import HTTPException

from ledger.db import DatabaseSilent, is_unstorable
from ledger.errors import Invalid, NotFound, Problem
from ledger.service.refused import raise_meaning
from ledger.web.gate import public
from ledger.web.requests import request_id

MEDIA_TYPE = "application/problem+json"
_RESERVED = frozenset({
    "type", "code", "title", "status", "detail", "instance", "request_id", "retryable", "errors",
})  # fmt: skip
# Nothing was decided: the same request, with the same key, may be answered otherwise later.
_PASSING = frozenset({
    HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT,
})  # fmt: skip
_log = structlog.get_logger("hovedbok.problem")


class CsrfTokenMissing(Problem):
    """A form came without the token of the page it belongs to, or with an old one.

    Raise as: "The form has expired or comes from another site. Load the page again.".
    """

    status = HTTPStatus.BAD_REQUEST
    title = "Form token is missing or old"


class SchemaMismatch(Invalid):
    """Fields are missing, unknown or of the wrong kind; `errors` has a pointer to each.

    Raise as: f"{count} field(s) of the request are not as documented; see errors.".
    """

    title = "Request does not fit its schema"


class ValueOutOfRange(Invalid):
    """The database cannot hold a value of the request.

    Raise as: "A value is too large, or holds a character that cannot be stored.".
    """

    title = "Value cannot be stored"


class InternalFault(Problem):
    """Something broke that is no refusal; the log has the cause under the request id.

    Raise as: "Something failed on our side. Quote the request id to have it looked up.".
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Internal fault"


@dataclass(frozen=True, slots=True)
class ProblemEntry:
    """One kind of refusal as the catalogue tells it."""

    code: str
    status: int
    title: str
    meaning: str
    example: str  # How its sentence reads; empty where the class gives none.
    room: str


# What the web framework refuses before any room is asked.
_FRAMEWORK = tuple(
    ProblemEntry(code, status, HTTPStatus(status).phrase, meaning, "", "ledger")
    for code, status, meaning in (
        ("bad-request", 400, "The request cannot be read: its JSON or its headers are broken."),
        ("method-not-allowed", 405, "The address exists; `Allow` lists what it takes."),
        ("request-entity-too-large", 413, "The body is larger than this server takes."),
        ("uri-too-long", 414, "The address with its parameters is longer than this server reads."),
        ("unsupported-media-type", 415, "The body is of a kind that the address does not take."),
        ("expectation-failed", 417, "`Expect` asks for what this server does not do."),
        ("request-header-fields-too-large", 431, "The headers are more, or longer, than is read."),
        ("not-implemented", 501, "The body is sent in a way that this server does not read."),
    )
)


class Refusal(str):
    """What a field says of a value whose refusal has a name of its own.

    The faults of a schema are a tree of texts. This one knows its problem, so that the answer has
    the problem's code and the place, which only the tree knows.
    """

    __slots__ = ("problem",)
    problem: Problem

    def __new__(cls, problem: Problem) -> Self:
        """Make the sentence of a problem that knows it."""
        made = super().__new__(cls, str(problem))
        made.problem = problem
        return made


def install(app: Flask) -> None:
    """Render every error that leaves the application."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(OperationalError, _database_error)
    app.register_error_handler(DriverError, _database_error)
    app.register_error_handler(DataError, _data_error)
    # Half a surrogate pair, out of a JSON escape: no text that could be stored, or looked for.
    app.register_error_handler(UnicodeEncodeError, _data_error)
    app.register_error_handler(Exception, _fault)
    app.add_url_rule("/problems/<code>", "problem", _explain)


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with problem details, or with a page where a person's browser asked for one."""
    status = int(problem.status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("problem", code=problem.code(), detail=str(problem))
    login = current_app.config.get("LOGIN_ENDPOINT")
    if login and wants_page() and status == HTTPStatus.UNAUTHORIZED:
        if request.method not in {"GET", "HEAD"}:
            # The address of a form is often no page, and what was typed must not be lost.
            kept: Response = current_app.config["LOGGED_OUT"]()
            return kept
        return make_response(redirect(url_for(login, next=request.full_path.rstrip("?")), 303))
    response = _render(body_of(problem, request.path, request_id()), status)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if retry := problem.facts.get("retry_after_s"):
        response.headers["Retry-After"] = str(retry)
    response.headers.update(headers or {})
    return response


def http_error(error: HTTPException) -> Response:
    """Answer an error that the framework raised; its own headers (Allow, …) are kept."""
    facts: dict[str, Any] = getattr(error, "data", None) or {}
    messages = facts.get("errors") or facts.get("messages")
    if messages:
        return answer(_of_schema(list(_pointers(messages))))
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer(_internal())
    name = re.sub(r"[^a-z]+", "-", error.name.lower())
    body = _body(name, error.name, status, str(error.description), {}, request.path, request_id())
    response = _render(body, status)
    for key, value in error.get_headers():
        if key.lower() not in {"content-type", "content-length"}:
            response.headers[key] = value
    return response


def _of_schema(found: list[tuple[str, str]]) -> Problem:
    """Make the refusal of fields, each with its place: that of the first which has its own name."""
    errors = [
        {"pointer": pointer, "detail": str(said)}
        | ({"code": said.problem.code()} if isinstance(said, Refusal) else {})
        for pointer, said in found
    ]
    named = next((said.problem for _, said in found if isinstance(said, Refusal)), None)
    if named is None:
        return SchemaMismatch(
            f"{len(errors)} field(s) of the request are not as documented; see errors.",
            errors=errors,
        )
    named.facts["errors"] = errors
    return named


def server_refusal(status: int) -> tuple[dict[str, Any], int]:
    """Say what the server refused before it knew whom to ask: a body, and the status it has.

    A status that nothing else is known of becomes 400, or 500 from 500 on.
    """
    known = {entry.status: entry for entry in _FRAMEWORK}
    if status not in known and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fault = _internal()
        return body_of(fault, "", ""), int(fault.status)
    entry = known.get(status, known[int(HTTPStatus.BAD_REQUEST)])
    return _body(entry.code, entry.title, entry.status, entry.meaning, {}, "", ""), entry.status


def problem_catalogue(
    rooms: Iterable[str] = ("ledger",), outsiders: tuple[str, ...] = ()
) -> list[ProblemEntry]:
    """List every kind of refusal of the rooms named, by code; imports all their modules first.

    Packages named as outsiders are neither imported nor listed. Two classes of one code would give
    callers one address for two meanings; `ValueError` then.
    """
    rooms = tuple(rooms)
    for room in rooms:
        package = import_module(room)
        for module in walk_packages(getattr(package, "__path__", ()), f"{room}."):
            if not module.name.startswith(outsiders):
                import_module(module.name)
    entries = {entry.code: entry for entry in _FRAMEWORK if entry.room in rooms}
    for kind in _kinds(Problem):
        entry = _entry(kind)
        if entry.room not in rooms or kind.__module__.startswith(outsiders):
            continue
        if entry.code in entries:
            raise ValueError(f"Two problems are called {entry.code}: rename {kind.__qualname__}.")
        entries[entry.code] = entry
    return [entries[code] for code in sorted(entries)]


def wants_page() -> bool:
    """Tell whether a person's browser asks: it names HTML, and no program's address was used."""
    if request.path.startswith(("/api/", "/tmf-api/", "/healthz", "/readyz", "/metrics")):
        return False
    accepted = request.accept_mimetypes
    return "text/html" in accepted.values() and accepted["text/html"] >= accepted[MEDIA_TYPE]


def body_of(problem: Problem, instance: str, number: str) -> dict[str, Any]:
    """Give the body of a refusal as `answer` gives it, for a path and a request id."""
    errors = problem.facts.get("errors")
    return _body(
        problem.code(), problem.title, int(problem.status), str(problem), problem.facts,
        instance, number, **({"errors": errors} if errors else {}),
    )  # fmt: skip


def _render(body: dict[str, Any], status: int) -> Response:
    if wants_page():
        try:
            return make_response(render_template("problem.html", problem=body), status)
        except TemplateNotFound:
            _log.debug("no page for problems is installed")
    response = make_response(json.dumps(body, default=str), status)
    response.mimetype = MEDIA_TYPE
    return response


def _body(
    code: str,
    title: str,
    status: int,
    detail: str,
    facts: Mapping[str, object],
    instance: str,
    number: str,
    **more: object,
) -> dict[str, Any]:
    told = {name: value for name, value in facts.items() if name not in _RESERVED}
    return {
        "type": f"/problems/{code}",
        "code": code,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": number,
        "retryable": status in _PASSING or "retry_after_s" in told,
        **told,
        **more,
    }


def _pointers(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Flatten marshmallow's tree of messages into JSON pointers, the place of the value first."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            # The outermost name is the part of the request: json, query or headers.
            yield from _pointers(inner, f"{path}/{name}")
        return
    for message in messages if isinstance(messages, list) else [messages]:
        yield path, message if isinstance(message, str) else str(message)


def _csrf_error(_error: CSRFError) -> Response:
    return answer(
        CsrfTokenMissing(
            "The form has expired or comes from another site. Load the page again and resend it."
        )
    )


def _database_error(error: OperationalError | DriverError) -> Response:
    cause = getattr(error, "orig", None) or error
    try:
        raise_meaning(cause)  # What the check at commit refuses comes from no verb.
    except Problem as refusal:
        return answer(refusal)
    if is_unstorable(cause):
        return _data_error(error)
    _log.error("database", error=type(cause).__name__)
    return answer(
        DatabaseSilent(
            "The database does not answer. Nothing was changed; try again shortly.",
            retry_after_s=5,
        )
    )


def _data_error(_error: Exception) -> Response:
    return answer(
        ValueOutOfRange(
            "A value is too large or too long, or holds a character that cannot be stored. "
            "Numbers are below 2^63, names of some hundred letters, and text holds no NUL."
        )
    )


def _fault(error: Exception) -> Response:
    if isinstance(error, StatementError):
        error.hide_parameters = True  # They may be names and numbers of customers.
    _log.error("fault", kind=type(error).__name__, exc_info=error)
    return answer(_internal())


def _internal() -> InternalFault:
    return InternalFault("Something failed on our side. Quote the request id to have it looked up.")


@public
def _explain(code: str) -> dict[str, object]:
    """Say what a problem's type means: the address in `type` leads here."""
    known = {entry.code: entry for entry in _FRAMEWORK}
    known |= {kind.code(): _entry(kind) for kind in _kinds(Problem)}
    if code not in known:
        raise NotFound(
            f"The catalogue has no problem {code}; docs/errors.md lists them.", problem=code
        )
    entry = known[code]
    return {name: getattr(entry, name) for name in ProblemEntry.__slots__}


def _kinds(base: type[Problem]) -> Iterator[type[Problem]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _entry(kind: type[Problem]) -> ProblemEntry:
    told = inspect.cleandoc(kind.__doc__ or "")
    meaning, _, raised = told.partition("Raise as: ")
    example = re.match(r'f?"(.*)"\.?$', raised.strip(), re.DOTALL)
    meaning = meaning.partition("\n\n")[0]
    return ProblemEntry(
        code=kind.code(),
        status=int(kind.status),
        title=kind.title,
        meaning=" ".join(meaning.split()),
        example=" ".join(example.group(1).split()) if example else "",
        room=kind.__module__.partition(".")[0],
    )
