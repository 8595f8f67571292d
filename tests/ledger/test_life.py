"""Whether a process lives, as its database sees it; what a killed one was doing is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from ledger import db, service
from ledger.db import transaction
from ledger.db.life import GONE, life
from ledger.db.server import PrivateServer
from ledger.service import access
from ledger.service.answers import Request, RequestInProgress, begin
from tests.ledger.served import Answer, send, send_until_answered, served
from tests.ledger.test_posting_batches import balance, entry

ROOT = Path(__file__).resolve().parents[2]
BATCHES = "/api/v1/posting-batches"
ASKED = Request("client:x", "k", "POST /x", b"\0" * 32)
WORKER = """
import os, sys, time
from pathlib import Path
from ledger import db
from ledger.db.life import life
from ledger.db.server import PrivateServer
from ledger.service.answers import begin
from tests.ledger.test_life import ASKED

server = PrivateServer(Path(os.environ["HOVEDBOK_TEST_HOME"]))
db.configure(lambda: server.addresses(sys.argv[1]))
with db.transaction() as session:
    assert begin(session, ASKED, life()) is None
print(life(), flush=True)
time.sleep(600)
"""


def is_gone(number: int) -> bool:
    """What the database says of a life."""
    with transaction() as session:
        return bool(session.scalar(text(f"SELECT {GONE.format(number=':n')}"), {"n": number}))


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def working(name: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that has begun the request and works on it, and the number of its life."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, name], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None
        yield worker, int(worker.stdout.readline())
    finally:
        worker.kill()
        worker.wait(30)


def test_the_request_of_a_killed_process_is_taken_over_at_once(books: str) -> None:
    """Not while it lives, however long it takes; nor by another request under its key."""
    with working(books) as (worker, number):
        assert not is_gone(number)
        with transaction() as session, pytest.raises(RequestInProgress):
            begin(session, ASKED, life())
        os.kill(worker.pid, signal.SIGKILL)
        until(lambda: is_gone(number))
        with transaction() as session:
            assert begin(session, ASKED, life()) is None
        # It is this process's now, which lives.
        with transaction() as session, pytest.raises(RequestInProgress):
            begin(session, ASKED, life())


def test_a_request_without_a_holder_waits_for_its_time(books: str) -> None:
    """As those that were begun before holders were written down."""
    with transaction() as session:
        assert begin(session, ASKED) is None
    with transaction() as session, pytest.raises(RequestInProgress):
        begin(session, ASKED, life())


def test_a_life_outlasts_its_connection(books: str, pg: PrivateServer) -> None:
    """A process whose connection was cut takes the same lock again; a new engine is a new life."""
    number = life()
    assert (life(), is_gone(number)) == (number, False)
    address = pg.url("postgres", books).replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) = %s",
            (number,),
        )
    until(lambda: is_gone(number))
    assert (life(), is_gone(number)) == (number, False)
    db.engine().dispose()
    until(lambda: is_gone(number))
    assert life() != number


@contextmanager
def held_up(pg: PrivateServer, name: str) -> Iterator[None]:
    """Let nothing be posted: whoever does waits in the middle of it."""
    address = pg.url("postgres", name).replace("+psycopg", "", 1)
    with psycopg.connect(address) as superuser:
        superuser.execute("LOCK TABLE voucher_counter IN EXCLUSIVE MODE")
        yield


def test_a_batch_whose_worker_is_killed_is_posted_by_the_next(
    pg: PrivateServer, books: str, tmp_path: Path
) -> None:
    """The client that asks again is answered in seconds, and everything is posted once."""
    with transaction() as session:
        token = access.add_client(
            session, "trial", ["ledger:post"], actor="test", now=datetime.now(UTC)
        )
    body = json.dumps({"entries": [entry(), entry("7.00")]}).encode()
    answers: list[Answer] = []

    def ask(port: int) -> None:
        answers.append(send_until_answered(port, token, BATCHES, "k", body))

    with served(pg, books, tmp_path / "home") as desk:
        with held_up(pg, books):
            asking = Thread(target=ask, args=(desk.port,))
            asking.start()
            until(lambda: _begun() != [])
            (first,) = _begun()
            with pytest.raises(ConnectionResetError, match="still being done"):
                send(desk.port, token, BATCHES, "k", body)
            for worker in desk.workers():
                os.kill(worker, signal.SIGKILL)
            until(lambda: is_gone(first))
        began = time.monotonic()
        asking.join(120)
        assert time.monotonic() - began < 60, "nobody waits for the five minutes"
        repeated = send(desk.port, token, BATCHES, "k", body)
    (told,) = answers
    assert (told.status, told.body["posted"] + told.body["replayed"]) == (201, 2)
    assert (repeated.repeated, repeated.said) == (True, told.said)
    assert balance() == 12_00
    with transaction() as session:
        assert service.verify(session) == []


def _begun() -> list[Any]:
    """The lives that work on a request."""
    with transaction() as session:
        return list(
            session.scalars(text("SELECT holder FROM idempotency_key WHERE state = 'started'"))
        )
