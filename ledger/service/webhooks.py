"""Webhooks: registered, told of events in order, tried again, replayed. Told at least once.

What was told is a fact per attempt; where a webhook stands follows from them, so a worker that is
killed after sending and before noting it sends the same events again. A receiver knows an event by
its position.
"""

import http.client
import json
import secrets
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.errors import NotFound
from ledger.places import make_once, places
from ledger.service.book_access import books_of, is_shut_out
from ledger.service.books import require_book
from ledger.service.events import Event, events_after, last_position, require_position
from ledger.service.turns import take_turn
from ledger.webhooks import (
    ATTEMPTS_MAX,
    SIGNATURE,
    WebhookAddressRefused,
    check_address,
    is_reachable_by_all,
    secret_of,
    signature,
    wait_s,
)

BATCHES_A_DELIVERY = 100
_TIMEOUT_S = 10  # for each answer of the line
_WHOLE_S = 30  # for a whole call: the receivers after it wait
_LOCK = 0x686F6F6B  # one worker delivers at a time, so that events come in order: "hook"
_ROUND_S = 30  # in which calls are begun: what else a worker does every minute waits for them


class UnknownWebhook(NotFound):
    """The caller has no webhook of this number.

    Raise as: f"You have no webhook {webhook_id}.".
    """

    title = "Unknown webhook"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver, and where it stands."""

    webhook_id: int
    book: str
    actor: str
    url: str
    created_at: datetime
    ended_at: datetime | None
    delivered_to: int  # the last seal position that was told
    failed_attempts: int  # since then
    last_outcome: str | None
    last_attempt_at: datetime | None
    replay_id: int | None

    @property
    def is_dead(self) -> bool:
        """Tell whether it was given up: only a replay wakes it."""
        return self.failed_attempts >= ATTEMPTS_MAX


def register(session: Session, book: str, url: str, *, actor: str) -> tuple[int, str]:
    """Register a receiver of the events from now on; gives its number and its secret.

    An address that the caller has registered for the book keeps its number.

    Raises `UnknownBook`, `WebhookAddressRefused`.
    """
    require_book(session, book)
    check_address(url)
    take_turn(session, f"webhooks/{actor}")
    for known in webhooks(session, actor):
        if (known.book, known.url, known.ended_at) == (book, url, None):
            return known.webhook_id, secret_of(_master_key(), known.webhook_id)
    number = session.scalar(
        text("INSERT INTO webhook (book_id, actor, url, after_position)"
             " SELECT book_id, :actor, :url, :after FROM book WHERE code = :book"
             " RETURNING webhook_id"),
        {"book": book, "actor": actor, "url": url, "after": last_position(session)},
    )  # fmt: skip
    assert number is not None
    return int(number), secret_of(_master_key(), int(number))


def webhooks(session: Session, actor: str | None = None) -> list[Webhook]:
    """List the webhooks of a caller, or all, the first registered first."""
    return [Webhook(*row) for row in session.execute(text(_WEBHOOKS), {"actor": actor})]


def webhook(session: Session, webhook_id: int, actor: str | None) -> Webhook:
    """Give a webhook of a caller, or of anybody for None. Raises `UnknownWebhook`."""
    for found in webhooks(session, actor):
        if found.webhook_id == webhook_id:
            return found
    raise UnknownWebhook(f"You have no webhook {webhook_id}.", webhook_id=webhook_id)


def end(
    session: Session, webhook_id: int, *, actor: str, reason: str, of_anybody: bool = False
) -> None:
    """End a webhook of the actor, or of anybody; it is told nothing more. Idempotent.

    Raises `UnknownWebhook`.
    """
    webhook(session, webhook_id, None if of_anybody else actor)
    session.execute(
        text("INSERT INTO webhook_ended (webhook_id, actor, reason) VALUES (:id, :actor, :reason)"
             " ON CONFLICT DO NOTHING"),
        {"id": webhook_id, "actor": actor, "reason": reason},
    )  # fmt: skip


def replay(
    session: Session, webhook_id: int, after: int, *, actor: str, of_anybody: bool = False
) -> None:
    """Tell a webhook of the actor, or of anybody, again what lies behind a position.

    One that was given up wakes.

    Raises `UnknownWebhook`, or `NotYetKnown` for a position that there is not: it would be told
    nothing until seals had passed it.
    """
    webhook(session, webhook_id, None if of_anybody else actor)
    require_position(session, after)
    session.execute(
        text("INSERT INTO webhook_replay (webhook_id, after_position, actor)"
             " VALUES (:id, :after, :actor)"),
        {"id": webhook_id, "after": after, "actor": actor},
    )  # fmt: skip


def deliver_job() -> None:
    """Do the queued job "deliver_webhooks": tell each webhook that is due all that there is.

    Each delivery is a transaction of its own, so that none is held open over several calls. What is
    left when the round is over is told in the next one: receivers that answered come first, and of
    them those whose turn was longest ago, so that those who do not hold up nobody else.
    """
    ends_at = time.monotonic() + _ROUND_S
    with transaction() as session:
        waiting = sorted(webhooks(session), key=_turn)
    for number in (one.webhook_id for one in waiting):
        more = True
        while more and time.monotonic() < ends_at:
            with transaction() as session:
                if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:n)"), {"n": _LOCK}):
                    return  # Another worker is at it.
                more = any(
                    _deliver(session, one)
                    for one in webhooks(session)
                    if one.webhook_id == number and _is_due(one)
                )


def _turn(one: Webhook) -> tuple[int, datetime]:
    return one.failed_attempts, one.last_attempt_at or one.created_at


def _is_due(one: Webhook) -> bool:
    if one.ended_at is not None or one.is_dead:
        return False
    if not one.failed_attempts or one.last_attempt_at is None:
        return True
    return time.time() >= one.last_attempt_at.timestamp() + wait_s(one.failed_attempts)


def _deliver(session: Session, one: Webhook) -> bool:
    """Send the next events of a webhook and note how it went; True if there may be more.

    Whoever may not see the book any more, or was shut out, is told nothing until they may again.
    """
    now = datetime.now(UTC)
    books = books_of(session, one.actor, now=now)
    if (books is not None and one.book not in books) or is_shut_out(session, one.actor, now=now):
        return False
    events = events_after(session, one.book, one.delivered_to, BATCHES_A_DELIVERY)
    if not events:
        return False
    body = json.dumps({"webhook_id": one.webhook_id, "book": one.book,
                       "events": [event_row(event) for event in events]}).encode()  # fmt: skip
    outcome = _send(one, body)
    delivered = outcome.startswith("2")
    session.execute(
        text("INSERT INTO webhook_delivery (webhook_id, replay_id, first_position, last_position,"
             " attempt_no, delivered, outcome) VALUES (:id, :replay, :first, :last, :attempt,"
             " :delivered, :outcome)"),
        {"id": one.webhook_id, "replay": one.replay_id, "first": events[0].position,
         "last": events[-1].position, "attempt": one.failed_attempts + 1, "delivered": delivered,
         "outcome": outcome},
    )  # fmt: skip
    return delivered


def event_row(event: Event) -> dict[str, Any]:
    """Tell an event as it goes over the wire."""
    return {
        "position": event.position, "block_no": event.block_no, "type": event.event_type,
        "batch_id": event.batch_id, "first_entry_id": event.first_entry_id,
        "recorded_at": event.recorded_at.isoformat(), **event.content,
    }  # fmt: skip


def _send(one: Webhook, body: bytes) -> str:
    """Post a body; gives the status, or why there is none. Redirects are not followed."""
    sent_at = int(time.time())
    headers = {
        "Content-Type": "application/json", "User-Agent": "Hovedbok",
        SIGNATURE: signature(secret_of(_master_key(), one.webhook_id), sent_at, body),
    }  # fmt: skip
    try:
        connection = _connect(one.url)
        ends_at = time.monotonic() + _WHOLE_S
        cut = Timer(_WHOLE_S, _cut, [connection])
        cut.start()
        try:
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            parts = urlsplit(one.url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
            if time.monotonic() >= ends_at:
                # What was cut looks like an answer whose headers end early.
                raise TimeoutError(f"no whole answer within {_WHOLE_S} s")
            return str(status)
        finally:
            cut.cancel()
            connection.close()
    except WebhookAddressRefused as refusal:
        return str(refusal)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        # What the receiver wrote may be anything, and is told to nobody.
        told = f": {fault}" if isinstance(fault, OSError) else ""
        return f"{type(fault).__name__}{told}"[:500]


def _connect(url: str) -> http.client.HTTPConnection:
    """Connect to the very address that was checked, so that a name cannot change its meaning."""
    host, port = check_address(url)
    addresses = {found[4][0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    secure = url.startswith("https:")
    if secure and not all(is_reachable_by_all(str(address)) for address in addresses):
        raise WebhookAddressRefused(
            f"{host} leads to a machine of an inner net. Use an https address of a host that all "
            "can reach.", url=url,
        )  # fmt: skip
    raw = socket.create_connection((str(min(addresses)), port), timeout=_TIMEOUT_S)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    context = ssl.create_default_context()
    connection.sock = (
        context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
        if secure else raw
    )  # fmt: skip
    return connection


def _cut(connection: http.client.HTTPConnection) -> None:
    """End a call that takes too long as a whole: a receiver may answer an octet at a time.

    Only the line is cut; whoever waits on it is told by the next read.
    """
    with suppress(OSError):
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _master_key() -> bytes:
    """Read the key that the secrets are derived from; 32 random bytes, made on first use."""
    path = places().webhook_key
    if not path.exists():
        make_once(path, secrets.token_bytes(32))
    return path.read_bytes()


# Where a webhook stands: behind its start or its latest replay, and what was delivered since.
_WEBHOOKS = """
    SELECT w.webhook_id, k.code, w.actor, w.url, w.created_at, x.ended_at,
        coalesce(done.last_position, r.after_position, w.after_position),
        (SELECT count(*) FROM webhook_delivery f WHERE f.webhook_id = w.webhook_id
            AND f.replay_id IS NOT DISTINCT FROM r.replay_id AND NOT f.delivered
            AND f.delivery_id > coalesce(done.delivery_id, 0)),
        latest.outcome, latest.attempted_at, r.replay_id
    FROM webhook w JOIN book k USING (book_id)
    LEFT JOIN webhook_ended x USING (webhook_id)
    LEFT JOIN LATERAL (SELECT replay_id, after_position FROM webhook_replay p
        WHERE p.webhook_id = w.webhook_id ORDER BY replay_id DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT delivery_id, last_position FROM webhook_delivery d
        WHERE d.webhook_id = w.webhook_id AND d.delivered
            AND d.replay_id IS NOT DISTINCT FROM r.replay_id
        ORDER BY delivery_id DESC LIMIT 1) done ON true
    LEFT JOIN LATERAL (SELECT outcome, attempted_at FROM webhook_delivery d
        WHERE d.webhook_id = w.webhook_id ORDER BY delivery_id DESC LIMIT 1) latest ON true
    WHERE CAST(:actor AS text) IS NULL OR w.actor = :actor
    ORDER BY w.webhook_id"""
