"""Events: read behind a position without a gap, and told to webhooks in order, at least once."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.service import access, events, webhooks
from ledger.service.signing import signer
from ledger.service.webhooks import UnknownWebhook
from ledger.webhooks import (
    ATTEMPTS_MAX,
    SIGNATURE,
    WebhookAddressRefused,
    check_address,
    is_reachable_by_all,
    wait_s,
)
from tests.ledger.conftest import seal_all
from tests.ledger.test_api import code_of, make_app

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


class Receiver:
    """A server on this machine that keeps what it is told, and answers as it is bid."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.status = 204
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.told.append((self.headers[SIGNATURE], body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def positions(self) -> list[int]:
        """The positions that were told, in order of telling."""
        return [e["position"] for _, body in self.told for e in json.loads(body)["events"]]


@pytest.fixture
def receiver(books: str) -> Iterator[Receiver]:
    """A receiver beside seeded books."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def post(drafts: Drafts, *refs: str) -> None:
    """Post and seal one small entry per reference."""
    for ref in refs:
        with transaction() as session:
            entry = drafts.journal(ref, ("7830", 5_00), ("1920", -5_00))
            service.post_batch(session, drafts.batch(ref, entry))
    seal_all(signer())


def test_the_feed_gives_each_event_once_in_order(books: str, drafts: Drafts) -> None:
    """A reader that remembers its last position sees all, whatever the size of its steps."""
    post(drafts, "a", "b", "c")
    read: list[str] = []
    after = 0
    with transaction() as session:
        while found := events.events_after(session, "NO01", after, limit=2):
            read += [e.content["source_ref"] for e in found]
            after = found[-1].position
    assert read == ["a", "b", "c"]
    assert after == 3


def test_an_event_is_shown_only_when_nothing_can_come_before_it(books: str, drafts: Drafts) -> None:
    """A batch that commits late is not skipped by a reader who has seen a later one."""
    entry = drafts.journal("early", ("7830", 1), ("1920", -1))
    with transaction() as slow:
        service.post_batch(slow, drafts.batch("early", entry))
        with transaction() as session:
            # Of another series: numbers of one series wait for the first to commit.
            service.post_batch(session, drafts.batch("late", drafts.invoice("late")))
        with transaction() as session:
            assert events.events_after(session, "NO01", 0) == []
    seal_all(signer())
    with transaction() as session:
        read = [e.content["source_ref"] for e in events.events_after(session, "NO01", 0)]
    assert read == ["early", "late"]


def test_a_webhook_is_told_in_order_and_signed(receiver: Receiver, drafts: Drafts) -> None:
    """From its registration on, each position once, with a signature that its secret proves."""
    post(drafts, "before")
    with transaction() as session:
        number, secret = webhooks.register(session, "NO01", receiver.url, actor="client:x")
        again = webhooks.register(session, "NO01", receiver.url, actor="client:x")
    assert again == (number, secret)
    post(drafts, "a", "b")
    webhooks.deliver_job()
    webhooks.deliver_job()
    assert receiver.positions == [2, 3]
    signed, body = receiver.told[0]
    sent_at, _, digest = signed.removeprefix("t=").partition(",v1=")
    expected = hmac.new(secret.encode(), f"{sent_at}.".encode() + body, sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)
    is_genuine = documented()["is_genuine"]
    assert is_genuine(secret, signed, body)
    assert not is_genuine(secret, signed, body + b" ")


def documented() -> dict[str, Any]:
    """What a receiver is told to write: the code of the page, run."""
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_a_receiver_that_fails_is_told_again_later(
    receiver: Receiver, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait is longer; after the last attempt only a replay wakes it, from where it asks."""
    with transaction() as session:
        number, _ = webhooks.register(session, "NO01", receiver.url, actor="client:x")
    post(drafts, "a", "b")
    receiver.status = 500
    now, ahead = time.time, [0.0]
    monkeypatch.setattr("ledger.service.webhooks.time.time", lambda: now() + ahead[0])
    for attempt in range(1, ATTEMPTS_MAX + 1):
        ahead[0] = wait_s(attempt) * 2
        webhooks.deliver_job()
        ahead[0] = 0
        webhooks.deliver_job()  # Too early: nothing is sent.
        assert len(receiver.told) == attempt
    ahead[0] = 10**6
    webhooks.deliver_job()
    assert len(receiver.told) == ATTEMPTS_MAX
    with transaction() as session:
        assert webhooks.webhook(session, number, "client:x").is_dead
        webhooks.replay(session, number, 1, actor="client:x")
    receiver.status = 200
    webhooks.deliver_job()
    assert receiver.positions[-1:] == [2]
    with transaction() as session:
        assert webhooks.webhook(session, number, "client:x").delivered_to == 2


def test_a_worker_that_dies_after_sending_sends_again(receiver: Receiver, drafts: Drafts) -> None:
    """Nothing is noted, so nothing is skipped: at least once."""
    with transaction() as session:
        webhooks.register(session, "NO01", receiver.url, actor="client:x")
    post(drafts, "a")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ledger.service.webhooks._is_due", lambda _one: True)
        with transaction() as session:
            (one,) = webhooks.webhooks(session)
            webhooks._deliver(session, one)
            session.rollback()
    webhooks.deliver_job()
    assert receiver.positions == [1, 1]


def test_a_client_whose_token_was_revoked_is_told_nothing(
    receiver: Receiver, drafts: Drafts
) -> None:
    """Neither is one whose token has expired, nor staff who left; with a new token it goes on."""
    now = datetime.now(UTC)
    with transaction() as session:
        token = access.add_client(session, "hooks", ["ledger:read"], actor="t", now=now)
        access.add_client(session, "old", ["ledger:read"], actor="t", now=now,
                          expires_at=now - timedelta(days=1))  # fmt: skip
        access.add_staff(session, "anna", ["accountant"], "calm and quiet desk", actor="t", now=now)
        for actor in ("client:hooks", "client:old", "staff:anna"):
            webhooks.register(session, "NO01", receiver.url, actor=actor)
        access.revoke_token(session, token.partition(".")[0], actor="t", now=now)
        access.disable_staff(session, "anna", actor="t", now=now)
    post(drafts, "a")
    webhooks.deliver_job()
    assert receiver.told == []
    with transaction() as session:
        session.execute(text(
            "INSERT INTO api_token (prefix, api_client_id, secret_sha256, created_at)"
            " SELECT 'new', id, sha256('x'), now() FROM api_client WHERE name = 'hooks'"
        ))  # fmt: skip
    webhooks.deliver_job()
    assert receiver.positions == [1]


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "http://example.org/", "https://a:b@example.org/", "https://", "x",
     "https://example.org/#x", "https://example.org:99999/", "https://exämple.org/"],
)  # fmt: skip
def test_only_addresses_for_all_are_taken(url: str) -> None:
    """No password in it, no plain http but to this machine, nothing that is no address."""
    with pytest.raises(WebhookAddressRefused):
        check_address(url)


def test_inner_nets_are_not_reached() -> None:
    """A webhook must not be a way to ask machines beside this one."""
    for inner in (
        "10.0.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "::1", "fe80::1%eth0",
        "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1",
        "2002:a00:1::1", "fec0::1", "224.0.0.1", "ff02::1",
    ):  # fmt: skip
        assert not is_reachable_by_all(inner), inner
    for outer in ("193.212.1.10", "2a02:2121::1", "64:ff9b::193.212.1.10"):
        assert is_reachable_by_all(outer), outer


def test_a_name_that_leads_inside_is_not_called(
    receiver: Receiver, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the name leads to is checked when it is sent, at the address that is then used."""
    with transaction() as session:
        webhooks.register(session, "NO01", "https://example.org/", actor="client:x")
    post(drafts, "a")
    inner = [(2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr("ledger.service.webhooks.socket.getaddrinfo", lambda *_a, **_k: inner)
    webhooks.deliver_job()
    with transaction() as session:
        (one,) = webhooks.webhooks(session)
    assert "inner net" in (one.last_outcome or "")


def test_the_feed_and_webhooks_over_rest(receiver: Receiver, drafts: Drafts, books: str) -> None:
    """Registered, seen, replayed and ended; another caller's number does not exist."""
    with transaction() as session:
        scopes = ["ledger:read", "webhooks:write"]
        token = access.add_client(session, "hooks", scopes, actor="t", now=datetime.now(UTC))
    client: FlaskClient = make_app().test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    made = client.post("/api/v1/webhooks", json={"url": receiver.url},
                       headers={"Idempotency-Key": "k"})  # fmt: skip
    assert (made.status_code, made.json["secret"][:4]) == (201, "whs_"), made.data
    post(drafts, "a")
    webhooks.deliver_job()
    where = f"/api/v1/webhooks/{made.json['webhook_id']}"
    assert client.get(where).json["delivered_to"] == 1
    replayed = client.post(f"{where}/replays", json={"after": 0}, headers={"Idempotency-Key": "r"})
    assert replayed.status_code == 202
    webhooks.deliver_job()
    assert receiver.positions == [1, 1]
    feed = client.get("/api/v1/events?after=0").json
    assert [e["position"] for e in feed["events"]] == [feed["next_after"]] == [1]
    # A position of other books, or of these before they were restored, would skip what comes.
    ahead = client.post(f"{where}/replays", json={"after": 2}, headers={"Idempotency-Key": "s"})
    assert (code_of(ahead), ahead.json["last_position"]) == ((422, "not-yet-known"), 1)
    assert code_of(client.get("/api/v1/events?after=2")) == (422, "not-yet-known")
    assert client.get("/api/v1/events?after=1").json["next_after"] == 1
    assert client.get(where).json["delivered_to"] == 1
    assert client.delete(where).status_code == 204
    post(drafts, "b")
    webhooks.deliver_job()
    assert receiver.positions == [1, 1]
    assert code_of(client.get("/api/v1/webhooks/99")) == (404, "unknown-webhook")
    with transaction() as session, pytest.raises(UnknownWebhook):
        webhooks.end(session, made.json["webhook_id"], actor="client:other", reason="x")


def test_secrets_are_nowhere_in_the_database(receiver: Receiver) -> None:
    """Only the key file and the number make a secret."""
    with transaction() as session:
        _, secret = webhooks.register(session, "NO01", receiver.url, actor="client:x")
        stored = session.execute(text("SELECT to_jsonb(w)::text FROM webhook w")).scalars().all()
    assert not any(secret.removeprefix("whs_") in row for row in stored)
