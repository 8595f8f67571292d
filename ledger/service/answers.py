"""Answers that are kept: a request with an Idempotency-Key is done once and answered alike.

The key of a caller names one request. Its outcome, success or refusal, is final; a fault of ours is
not kept, so that a retry may still succeed. Keys are kept for `KEPT` and then swept; references of
entries and batches are unique for ever, whatever became of the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.db.life import GONE
from ledger.errors import Conflict, Invalid

KEPT = timedelta(hours=72)
# A request that died without an answer may be taken over: at once where its process is gone, and
# else after so long.
ABANDONED_AFTER = timedelta(minutes=5)
SWEPT_AT_ONCE = 1_000  # Keys of a transaction that sweeps: a request never waits long for its rows.
SWEEPS = 100  # Transactions of a job, which comes again in a minute.
# Refusals that another try may not meet; all others below 500 are final.
_PASSING = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})


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
    body: Any  # what JSON can say, or JSON already written (`msgspec.Raw`)
    location: str | None = None  # of what the request made, as its header says


def is_final(status: int) -> bool:
    """Tell whether an answer of this HTTP status is kept: it would be the same another time."""
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING


def begin(session: Session, request: Request, holder: int | None = None) -> Answer | None:
    """Claim a key: None means that the caller is to do the request and to `keep` its answer.

    Parameters
    ----------
    holder : the life of the process that is going to do it (`ledger.db.life`). When that ends
        without an answer, the same request may be begun again at once.

    Raises
    ------
    IdempotencyKeyReused : the key was used for another request.
    RequestInProgress : another request with this key is being done.
    """
    facts = {
        "client": request.client_id, "key": request.key, "path": request.method_path,
        "digest": request.digest, "kept": KEPT, "abandoned": ABANDONED_AFTER, "holder": holder,
    }  # fmt: skip
    if session.execute(text(_CLAIM), facts).first() is not None:
        return None
    stored = session.execute(text(_STORED), facts).one_or_none()
    # A row that was swept between the two looks leaves its key free: it is asked for again.
    found = _in_progress(request) if stored is None else _stored_answer(request, stored)
    if isinstance(found, Answer):
        return found
    raise found


def begin_all(
    session: Session, requests: Sequence[Request]
) -> list[Answer | IdempotencyKeyReused | RequestInProgress | None]:
    """Claim many keys, each once, for a transaction that also keeps their answers.

    Gives for each what `begin` gives or raises. A key that another such transaction holds is in
    progress, and is not waited for: one slow request must not hold up all that are merged with it.
    """
    facts = {
        "clients": [r.client_id for r in requests], "keys": [r.key for r in requests],
        "paths": [r.method_path for r in requests], "digests": [r.digest for r in requests],
        "kept": KEPT, "abandoned": ABANDONED_AFTER,
    }  # fmt: skip
    return [
        None if row.claimed else _stored_answer(request, row)
        for request, row in zip(requests, session.execute(text(_CLAIM_ALL), facts), strict=True)
    ]


def keep(session: Session, request: Request, answer: Answer) -> None:
    """Store the final answer of a claimed key."""
    session.execute(
        text(
            "UPDATE idempotency_key SET state = 'done', status = :status,"
            " response = CAST(:body AS json) WHERE client_id = :client AND key = :key"
        ),
        {"client": request.client_id, "key": request.key, "status": answer.status,
         "body": _told(answer)},
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


def keep_all(session: Session, answers: Sequence[tuple[Request, Answer | None]]) -> None:
    """Store the answers of claimed keys; None lets a key be claimed again, as `give_up` does."""
    told = [None if answer is None else _told(answer) for _, answer in answers]
    session.execute(
        text(_KEEP_ALL),
        {"clients": [request.client_id for request, _ in answers],
         "keys": [request.key for request, _ in answers],
         "statuses": [None if a is None else a.status for _, a in answers], "told": told},
    )  # fmt: skip


def sweep_keys(session: Session, most: int = SWEPT_AT_ONCE) -> int:
    """Remove at most so many keys whose time is over, the oldest first; gives how many went."""
    return int(session.scalar(text("SELECT ledger_sweep_keys(:most)"), {"most": most}) or 0)


def sweep_job() -> None:
    """Remove expired keys, few in a transaction; the worker does it every minute."""
    for _ in range(SWEEPS):
        with transaction() as session:
            if sweep_keys(session) < SWEPT_AT_ONCE:
                return


def _told(answer: Answer) -> str:
    told = {"body": answer.body, "location": answer.location}
    return msgspec.json.encode(told, enc_hook=str).decode()


def _stored_answer(
    request: Request, stored: Row[Any]
) -> Answer | IdempotencyKeyReused | RequestInProgress:
    # A key whose row was committed only just now shows no content yet: it is asked for again.
    if stored.state is not None and (
        (stored.method_path, bytes(stored.request_hash)) != (request.method_path, request.digest)
    ):
        return IdempotencyKeyReused(
            f"The key {request.key} was used for other content. Send a new key, or the content "
            "it was used for.", key=request.key,
        )  # fmt: skip
    if stored.state != "done":
        return _in_progress(request)
    return Answer(stored.status, **stored.response)


def _in_progress(request: Request) -> RequestInProgress:
    return RequestInProgress(
        f"The request with key {request.key} is still being done. Ask again in a second.",
        key=request.key, retry_after_s=1,
    )  # fmt: skip


# A key is free if it is new, has expired, or was abandoned by a request that died. Where claims and
# answers are one transaction there is no holder: what died with it was never claimed.
_TAKE_OVER = f"""
    ON CONFLICT (client_id, key) DO UPDATE
    SET method_path = EXCLUDED.method_path, request_hash = EXCLUDED.request_hash,
        state = 'started', status = NULL, response = NULL, created_at = clock_timestamp(),
        expires_at = EXCLUDED.expires_at, holder = EXCLUDED.holder
    WHERE k.expires_at <= clock_timestamp() OR (k.state = 'started'
        AND k.request_hash = EXCLUDED.request_hash AND k.method_path = EXCLUDED.method_path
        AND (k.created_at <= clock_timestamp() - CAST(:abandoned AS interval)
            OR (k.holder IS NOT NULL AND {GONE.format(number="k.holder")})))"""
_CLAIM = f"""
    INSERT INTO idempotency_key AS k
        (client_id, key, method_path, request_hash, state, expires_at, holder)
    VALUES (:client, :key, :path, :digest, 'started', clock_timestamp() + :kept,
        CAST(:holder AS bigint))
    {_TAKE_OVER} RETURNING key"""
_STORED = """
    SELECT method_path, request_hash, state, status, response FROM idempotency_key
    WHERE client_id = :client AND key = :key"""
_CLAIM_ALL = f"""
    WITH asked AS (
        SELECT * FROM unnest(CAST(:clients AS text[]), CAST(:keys AS text[]),
            CAST(:paths AS text[]), CAST(:digests AS bytea[]))
            WITH ORDINALITY AS a (client_id, key, method_path, digest, place)),
    held AS MATERIALIZED (
        SELECT *, pg_try_advisory_xact_lock(
            hashtextextended(client_id || chr(10) || key, 0)) AS is_ours FROM asked),
    claimed AS (
        INSERT INTO idempotency_key AS k
            (client_id, key, method_path, request_hash, state, expires_at)
        SELECT client_id, key, method_path, digest, 'started', clock_timestamp() + :kept
        FROM held WHERE is_ours ORDER BY client_id, key
        {_TAKE_OVER} RETURNING client_id, key)
    SELECT c.key IS NOT NULL AS claimed, k.method_path, k.request_hash, k.state, k.status,
        k.response
    FROM held h LEFT JOIN claimed c USING (client_id, key)
    LEFT JOIN idempotency_key k USING (client_id, key) ORDER BY h.place"""
_KEEP_ALL = """
    UPDATE idempotency_key k SET state = CASE WHEN a.told IS NULL THEN 'started' ELSE 'done' END,
        status = a.status, response = CAST(a.told AS json),
        expires_at = CASE WHEN a.told IS NULL THEN k.created_at ELSE k.expires_at END
    FROM unnest(CAST(:clients AS text[]), CAST(:keys AS text[]), CAST(:statuses AS smallint[]),
        CAST(:told AS text[])) AS a (client_id, key, status, told)
    WHERE k.client_id = a.client_id AND k.key = a.key"""
