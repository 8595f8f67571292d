"""Receivers of events that answer nonsense, or never to the end: nobody else waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

import pytest

from ledger.db import transaction
from ledger.service import webhooks
from tests.ledger.test_events import post

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


@contextmanager
def answering(answer: Iterable[bytes], pause_s: float = 0.0) -> Iterator[str]:
    """Answer whoever comes with these octets, one piece after the other; gives the address."""
    pieces = [*answer]

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            with suppress(OSError):
                for piece in pieces:
                    self.request.sendall(piece)
                    time.sleep(pause_s)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def register(*urls: str) -> None:
    """Register receivers, in this order."""
    with transaction() as session:
        for url in urls:
            webhooks.register(session, "NO01", url, actor="client:x")


def outcomes() -> list[str | None]:
    """How the last attempt of each receiver ended, the first registered first."""
    with transaction() as session:
        return [one.last_outcome for one in webhooks.webhooks(session)]


@pytest.mark.parametrize("answer", [b"\0no status\r\n\r\n", b"HTTP/1.1 \xff\r\n\r\n", b""])
def test_a_receiver_that_answers_nonsense_holds_up_nobody(
    books: str, drafts: Drafts, answer: bytes
) -> None:
    """It is noted that it did, not what it wrote; the receiver behind it is told."""
    with answering([answer]) as odd, answering([TAKEN]) as sound:
        register(odd, sound)
        post(drafts, "a")
        webhooks.deliver_job()
    first, second = outcomes()
    assert str(first).partition(":")[0] in {"BadStatusLine", "RemoteDisconnected"}
    assert "no status" not in str(first)
    assert second == "204"


def test_who_has_no_turn_in_a_round_has_it_in_the_next(
    books: str, drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round ends though a receiver took all of it, so that books are sealed meanwhile."""
    monkeypatch.setattr(webhooks, "_WHOLE_S", 0.3)
    monkeypatch.setattr(webhooks, "_ROUND_S", 0.2)
    slowly = [b"HTTP/1.1 200 OK\r\n", *[b"X"] * 99]
    with answering(slowly, 0.1) as slow, answering([TAKEN]) as sound:
        register(slow, sound)
        post(drafts, "a")
        webhooks.deliver_job()
        first, second = outcomes()
        assert "no whole answer within" in str(first)
        assert second is None
        webhooks.deliver_job()
    assert outcomes()[1] == "204"


def test_a_receiver_that_is_registered_many_times_at_once_is_one(books: str) -> None:
    """A program whose calls overlap would else be told everything several times."""

    def register_it(_time: int) -> int:
        with transaction() as session:
            return webhooks.register(session, "NO01", "http://localhost/", actor="client:x")[0]

    with ThreadPoolExecutor(8) as together:
        assert len(set(together.map(register_it, range(16)))) == 1
