"""Answers that are kept: a request with an Idempotency-Key is done once and answered alike.

The key of a caller names one request. Its outcome, success or refusal, is final; a fault of ours is
not kept, so that a retry may still succeed. Keys are kept for `KEPT`; references of entries and
batches are unique for ever, whatever became of the key.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.errors import Conflict, Invalid

KEPT = timedelta(hours=72)
ABANDONED_AFTER = timedelta(minutes=5)  # a request that died without an answer may be taken over


class IdempotencyKeyReused(Invalid):
    """A key names one change for ever; this one named another.

    Raise as: f"The key {key} was used for other content. Send a new key.".
    """

    title = "Idempotency key was used for other content"


class RequestInProgress(Conflict):
    """The first request with this key has not been answered yet.

    Raise as: f"The request with key {key} is still being done. Ask again in a second.".
    """

    title = "Request is in progress"


@dataclass(frozen=True, slots=True)
class Request:
    """What a key stands for: who asks, by which name, for what."""

    client_id: str
    key: str
    method_path: str
    digest: bytes  # SHA-256 of the canonical body


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer."""

    status: int
    body: Any
    location: str | None = None  # of what the request made, as its header says


def begin(session: Session, request: Request) -> Answer | None:
    """Claim a key: None means that the caller is to do the request and to `keep` its answer.

    Raises
    ------
    IdempotencyKeyReused : the key was used for another request.
    RequestInProgress : another request with this key is being done.
    """
    facts = {
        "client": request.client_id, "key": request.key, "path": request.method_path,
        "digest": request.digest, "kept": KEPT, "abandoned": ABANDONED_AFTER,
    }  # fmt: skip
    if session.execute(text(_CLAIM), facts).first() is not None:
        return None
    stored = session.execute(text(_STORED), facts).one()
    if (stored.method_path, bytes(stored.request_hash)) != (request.method_path, request.digest):
        raise IdempotencyKeyReused(
            f"The key {request.key} was used for other content. Send a new key, or the content "
            "it was used for.", key=request.key,
        )  # fmt: skip
    return _answer(request, stored)


def keep(session: Session, request: Request, answer: Answer) -> None:
    """Store the final answer of a claimed key."""
    session.execute(
        text(
            "UPDATE idempotency_key SET state = 'done', status = :status,"
            " response = CAST(:body AS jsonb) WHERE client_id = :client AND key = :key"
        ),
        {"client": request.client_id, "key": request.key, "status": answer.status,
         "body": json.dumps({"body": answer.body, "location": answer.location})},
    )  # fmt: skip


def give_up(session: Session, request: Request) -> None:
    """Let a key be claimed again: the request failed for a reason that may pass."""
    session.execute(
        text(
            "UPDATE idempotency_key SET expires_at = created_at"
            " WHERE client_id = :client AND key = :key AND state = 'started'"
        ),
        {"client": request.client_id, "key": request.key},
    )


def _answer(request: Request, stored: Row[Any]) -> Answer:
    if stored.state != "done":
        raise RequestInProgress(
            f"The request with key {request.key} is still being done. Ask again in a second.",
            key=request.key, retry_after_s=1,
        )  # fmt: skip
    return Answer(stored.status, **stored.response)


# A key is free if it is new, has expired, or was abandoned by a request that died.
_CLAIM = """
    INSERT INTO idempotency_key AS k
        (client_id, key, method_path, request_hash, state, expires_at)
    VALUES (:client, :key, :path, :digest, 'started', clock_timestamp() + :kept)
    ON CONFLICT (client_id, key) DO UPDATE
    SET method_path = EXCLUDED.method_path, request_hash = EXCLUDED.request_hash,
        state = 'started', status = NULL, response = NULL, created_at = clock_timestamp(),
        expires_at = EXCLUDED.expires_at
    WHERE k.expires_at <= clock_timestamp() OR (k.state = 'started'
        AND k.request_hash = EXCLUDED.request_hash AND k.method_path = EXCLUDED.method_path
        AND k.created_at <= clock_timestamp() - CAST(:abandoned AS interval))
    RETURNING key"""
_STORED = """
    SELECT method_path, request_hash, state, status, response FROM idempotency_key
    WHERE client_id = :client AND key = :key"""
