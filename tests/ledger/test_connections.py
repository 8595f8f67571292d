"""Pooled connections: a dead one is never handed out, a live one is not asked each time."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import event, text

from ledger import db
from ledger.db import glance, transaction
from ledger.db.server import SUPERUSER, PrivateServer


def _backend() -> int:
    with transaction() as session:
        return int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())


def _kill_backends(pg: PrivateServer, name: str) -> None:
    address = pg.url(SUPERUSER, SUPERUSER).replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (name,),
        )


def test_a_connection_whose_server_ended_is_replaced(pg: PrivateServer, books: str) -> None:
    """The next transaction simply works, on another connection."""
    first = _backend()
    assert _backend() == first, "last in, first out"
    _kill_backends(pg, books)
    assert _backend() != first


@pytest.mark.usefixtures("books")
def test_only_what_was_idle_for_long_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that answered just now is trusted: no trip before each transaction."""
    first, asked = _backend(), []
    execute = psycopg.Connection.execute
    monkeypatch.setattr(
        psycopg.Connection, "execute",
        lambda self, query, *more, **named: (
            asked.append(query), execute(self, query, *more, **named))[1],
    )  # fmt: skip
    assert _backend() == first
    assert "" not in asked
    monkeypatch.setattr(db, "_TRUSTED_S", -1.0)
    assert _backend() == first
    assert asked.count("") == 1


@pytest.mark.usefixtures("books")
def test_a_glance_leaves_no_transaction_and_no_trace() -> None:
    """It takes one statement, and the connection goes back as every other one."""
    said: list[str] = []
    event.listen(db.engine(), "begin", lambda _: said.append("begin"))
    with glance() as session:
        assert session.execute(text("SELECT txid_current_if_assigned()")).scalar() is None
        state = "SELECT current_setting('transaction_isolation'), pg_backend_pid()"
        _, pid = session.execute(text(state)).one()
    with suppress(RuntimeError), transaction() as session:
        assert session.execute(text("SELECT pg_backend_pid()")).scalar() == pid
        session.execute(text("INSERT INTO idempotency_key (client_id, key, method_path,"
                             " request_hash, state, expires_at) VALUES ('c', 'k', 'p', '', 'done',"
                             " clock_timestamp())"))  # fmt: skip
        raise RuntimeError
    with glance() as session:
        assert session.execute(text("SELECT count(*) FROM idempotency_key")).scalar() == 0


def test_what_a_killed_command_waited_for_is_given_up(pg: PrivateServer, books: str) -> None:
    """Its server process would else wait on, and everybody behind it, until the lock is free."""
    address = pg.url("service", books).replace("+psycopg", "", 1)
    lock = "SELECT pg_advisory_xact_lock(4711)"
    with psycopg.connect(address) as holder, psycopg.connect(address) as watcher:
        holder.execute(lock)
        watcher.autocommit = True
        killed = psycopg.connect(address)
        killed.pgconn.send_query(lock.encode())
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
        waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        _until(watcher, waits, killed.info.backend_pid)
        pid = killed.info.backend_pid
        killed.close()
        _until(watcher, gone, pid)


def _until(watcher: psycopg.Connection[tuple[object, ...]], question: str, pid: int) -> None:
    deadline = time.monotonic() + 20
    while watcher.execute(question, (pid,)).fetchone() != (True,):
        assert time.monotonic() < deadline, question
        time.sleep(0.02)
