"""Once: a POST with an Idempotency-Key is done once; every retry gets the first answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from hashlib import sha256
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from flask import Response, json, make_response, request

from ledger.db import transaction
from ledger.db.life import life
from ledger.errors import Problem
from ledger.service.answers import (
    Answer,
    Request,
    RequestInProgress,
    begin,
    give_up,
    is_final,
    keep,
)
from ledger.strict_json import canonical
from ledger.web.gate import current_actor
from ledger.web.problems import answer as problem_answer

View = Callable[..., Any]
Found = TypeVar("Found")

_PATIENCE_S = 5.0
_PAUSE_S = 0.05


def once(view: View, *, shown_once: frozenset[str] = frozenset()) -> View:
    """Answer each Idempotency-Key of a caller once; put it directly beneath `scope`.

    Fields that are `shown_once`, such as a token, are kept nowhere: a retry reads null for them.

    A request without a key goes through: the view's own arguments say that it is missing. Another
    request that is still being done is waited for a few seconds, and taken over at once if the
    process that did it is gone.
    """

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= 200:
            return view(*args, **kwargs)
        asked = asked_with(key)
        known = patiently(lambda: _claim(asked))
        if known is not None:
            return repeat(known)
        return _do(asked, lambda: view(*args, **kwargs), shown_once)

    return answered


def asked_with(key: str) -> Request:
    """Say what the present request's key stands for: who asks, where, and the body's hash."""
    where = f"{request.method} {request.full_path}"
    return Request(current_actor().reference, key, where, _digest())


def patiently(ask: Callable[[], Found]) -> Found:
    """Ask again for a few seconds while another request with the key is being done."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except RequestInProgress:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)


def repeat(known: Answer, status: int | None = None) -> Response:
    """Give a stored answer again, and say that it is; with another status where one is named."""
    made = make_response(json.dumps(known.body), status or known.status)
    refused = known.status >= HTTPStatus.BAD_REQUEST
    made.mimetype = "application/problem+json" if refused else "application/json"
    made.headers["Idempotency-Hit"] = "true"
    if known.location:
        made.headers["Location"] = known.location
    return made


def _claim(asked: Request) -> Answer | None:
    holder = life()  # Before the transaction: a process without a life of its own takes one here.
    with transaction() as session:
        return begin(session, asked, holder)


def _do(asked: Request, do: Callable[[], Any], shown_once: frozenset[str]) -> Response:
    try:
        made: Response = make_response(do())
    except Problem as refusal:
        made = problem_answer(refusal)
    except Exception:
        _give_up(asked)
        raise
    if not (is_final(made.status_code) and made.is_json):
        _give_up(asked)
        return made
    # Kept as it was written: a large answer is not read and written again for it.
    body: Any = msgspec.Raw(made.get_data())
    if shown_once and made.status_code < HTTPStatus.BAD_REQUEST:
        body = {**made.get_json(), **dict.fromkeys(shown_once)}
    with transaction() as session:
        keep(session, asked, Answer(made.status_code, body, made.headers.get("Location")))
    return made


def _give_up(asked: Request) -> None:
    with transaction() as session:
        give_up(session, asked)


def _digest() -> bytes:
    """Hash the body in canonical form: the order of keys and the spaces do not matter."""
    body = request.get_data(cache=True)
    if request.is_json:
        # What is not JSON is refused by the view; as it stands it is one request all the same.
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body = canonical(body)
    return sha256(body).digest()
