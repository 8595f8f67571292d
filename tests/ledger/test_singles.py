"""Single entries posted together: each its own outcome, each key one answer, nothing lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg.errors import DeadlockDetected
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.db.server import SUPERUSER, PrivateServer
from ledger.errors import Problem
from ledger.journal import EntryDraft
from ledger.refusals import BatchBroken
from ledger.service import access, singles
from ledger.service.answers import KEPT, Request, begin_all
from ledger.service.intake import Sender
from ledger.service.singles import Settled, Single, post_singles
from ledger.web import once
from tests.ledger.conftest import BOOK, Drafts
from tests.ledger.test_api import code_of, make_app, post

SENDER = Sender(BOOK, "REST:client:trial", "client:trial")
OTHER = Sender(BOOK, "REST:client:other", "client:other")
drafts = Drafts()


def single(entry: EntryDraft, sender: Sender = SENDER, body: bytes = b"1") -> Single:
    """An entry under the key of its own reference."""
    asked = Request(sender.actor, entry.source_ref, "POST /entries?", body * 32)
    return Single(sender, entry, asked, lambda problem: {"code": problem.code()})


def journal(ref: str, amount: int = 1_00, account: str = "7830") -> EntryDraft:
    """A small entry."""
    return drafts.journal(ref, (account, amount), ("1920", -amount))


def told(outcomes: list[Settled | Problem]) -> list[Any]:
    """Voucher numbers (negative where repeated), stored codes and codes of refusals."""
    found: list[Any] = []
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            found.append(outcome.code())
        elif outcome.answer.status == 201:
            number = outcome.answer.body["voucher"]["number"]
            found.append(-number if outcome.repeated else number)
        else:
            found.append((outcome.answer.body["code"], outcome.repeated))
    return found


def ask(query: str, **facts: Any) -> list[Any]:
    """Rows of a query."""
    with transaction() as session:
        return [tuple(row) for row in session.execute(text(query), facts)]


@pytest.fixture
def client(books: str) -> FlaskClient:
    """A client that may post, over a seeded book."""
    with transaction() as session:
        token = access.add_client(
            session, "trial", ["ledger:post", "ledger:read"], actor="test", now=datetime.now(UTC)
        )
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def test_each_of_a_merged_batch_has_its_own_outcome(books: str) -> None:
    """Bad entries are found and refused alone, the good ones share batches and one commit."""
    unbalanced = drafts.journal("c", ("7830", 2_00), ("1920", -1_00))
    asked = [
        single(journal("a")), single(journal("b", account="9999")), single(unbalanced),
        single(journal("d")), single(journal("d")), single(journal("d", 7_00), body=b"2"),
        single(journal("e"), OTHER), single(journal("b", account="9999")),
    ]  # fmt: skip
    assert told(post_singles(asked)) == [
        2, "unknown-account", "entry-not-balanced", 3, -3, "idempotency-key-reused", 1,
        ("unknown-account", True),
    ]  # fmt: skip
    batches = ask("SELECT source_system, created_by, entry_count FROM posting_batch ORDER BY 1, 2")
    assert sorted({(system, actor) for system, actor, _ in batches}) == [
        ("REST:client:other", "client:other"), ("REST:client:trial", "client:trial"),
    ]  # fmt: skip
    assert sum(count for *_, count in batches) == 3
    assert len(ask("SELECT DISTINCT xid FROM posting_batch")) == 1, "one commit"
    again = [single(journal("a")), single(journal("b", account="9999")), single(unbalanced)]
    assert told(post_singles(again)) == [
        -2, ("unknown-account", True), ("entry-not-balanced", True),
    ]  # fmt: skip


def test_a_retry_is_answered_beside_somebody_elses_use_of_its_key(books: str) -> None:
    """Whichever comes first: what the key stands for is repeated, only the other is refused."""
    first, other = single(journal("a")), single(journal("a", 7_00), body=b"2")
    assert told(post_singles([first])) == [1]
    reused = "idempotency-key-reused"
    assert told(post_singles([other, first, other, first])) == [reused, -1, reused, -1]
    assert told(post_singles([first, other, first])) == [-1, reused, -1]
    new = [single(journal("b"), body=b"3"), single(journal("b", 5_00)), single(journal("b"))]
    assert told(post_singles(new)) == [2, reused, reused]


def test_good_entries_share_one_batch_with_a_name_of_theirs(books: str) -> None:
    """The name follows from the references, so a retry after a crash ends in the same one."""
    asked = [single(journal("a")), single(journal("b"))]
    with transaction() as session:
        singles._post(session, asked, [0, 1], singles._post_boldly)
        names = session.execute(text("SELECT source_ref FROM posting_batch")).scalars().all()
        session.rollback()
    assert told(post_singles(asked)) == [1, 2]
    assert [(name,) for name in names] == ask("SELECT source_ref FROM posting_batch")
    assert told(post_singles([single(journal("c"))])) == [3]
    assert ("c",) in ask("SELECT source_ref FROM posting_batch")


def test_an_entry_posted_before_keys_were_kept_is_found(books: str) -> None:
    """A key expires, a reference does not: the same entry is found, another is refused."""
    asked = [single(journal("a")), single(journal("b"))]
    post_singles(asked)
    with transaction() as session:
        session.execute(text("UPDATE idempotency_key SET expires_at = clock_timestamp()"))
    again = [single(journal("a")), single(journal("b", 9_00), body=b"2"), single(journal("c"))]
    assert told(post_singles(again)) == [-1, "entry-ref-reused", 3]
    assert told(post_singles(again)) == [-1, ("entry-ref-reused", True), -3]


def test_a_refusal_is_final_and_kept_for_three_days(client: FlaskClient) -> None:
    """The same key gets the same refusal though the books would now take it; a new key posts."""
    refused = post(client, effective_date="2031-01-01")
    with transaction() as session:
        service.open_periods(session, BOOK, 2031)
    again = post(client, effective_date="2031-01-01")
    assert code_of(again) == code_of(refused) == (409, "unknown-period")
    assert again.headers["Idempotency-Hit"] == "true"
    assert json.loads(again.data) == json.loads(refused.data), "request id and all"
    assert code_of(post(client, text="Corrected")) == (422, "idempotency-key-reused")
    assert post(client, "k-2", effective_date="2031-01-01").status_code == 201
    (left,), *_ = ask("SELECT min(expires_at - created_at) FROM idempotency_key")
    assert left > KEPT - timedelta(seconds=5)


def test_a_key_in_progress_is_told_to_wait(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others that come meanwhile are not held up by it."""
    monkeypatch.setattr(once, "_PATIENCE_S", 0.1)
    asked = Request("client:trial", "k-1", "POST /api/v1/entries?", b"\0" * 32)
    with transaction() as session:
        assert begin_all(session, [asked]) == [None]
        waiting = post(client, "k-1")
        assert code_of(waiting) == (409, "request-in-progress")
        assert waiting.headers["Retry-After"] == "1"
        assert post(client, "k-2").status_code == 201
        session.rollback()
    assert post(client, "k-1").status_code == 201


def test_a_fault_of_ours_is_not_kept(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another try may not meet leaves the key free."""

    def broken(*_: object) -> None:
        raise BatchBroken("Batch 1 does not agree with itself.")

    with monkeypatch.context() as patched:
        patched.setattr("ledger.service.intake.post_batch", broken)
        assert code_of(post(client)) == (500, "batch-broken")
    assert post(client).status_code == 201
    assert post(client).headers["Idempotency-Hit"] == "true"


@pytest.fixture
def rival(books: str, pg: PrivateServer) -> Iterator[psycopg.Connection]:
    """A connection that never gives way: a deadlock with it ends the other side."""
    address = pg.url(SUPERUSER, books).replace("+psycopg", "", 1)
    with psycopg.connect(address) as connection:
        connection.execute("SET deadlock_timeout = '60s'")
        connection.commit()
        yield connection


def test_a_deadlock_is_tried_once_more(rival: psycopg.Connection) -> None:
    """The victim posts as soon as the other side is through; nobody sees the deadlock."""
    post_singles([single(journal("first"))])
    rival.execute("SELECT FROM voucher_counter FOR UPDATE")
    outcomes: list[Any] = []
    poster = Thread(
        target=lambda: outcomes.extend(post_singles([single(journal("a")), single(journal("b"))]))
    )
    poster.start()
    deadline = time.monotonic() + 20
    while not ask("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                  " AND datname = current_database()"):  # fmt: skip
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Closing the month needs the fence that the poster holds, who waits for the counter: a cycle.
    rival.execute(
        "SELECT pg_advisory_xact_lock(ledger_period_fence(book_id, 'GL', '2026-03-01')) FROM book"
    )
    rival.commit()
    poster.join(30)
    assert told(outcomes) == [2, 3]


def test_two_deadlocks_are_told_and_not_kept(books: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one retry the caller decides, and the key is free; other senders have posted."""
    asked = [single(journal("a")), single(journal("b"), OTHER)]
    whole = singles._post

    def deadlock(session: Any, some: Any, fresh: Any, *more: Any) -> Any:
        if any(some[place].sender == OTHER for place in fresh):
            raise DeadlockDetected
        return whole(session, some, fresh, *more)

    with monkeypatch.context() as patched:
        patched.setattr(singles, "_post", deadlock)
        assert told(post_singles(asked)) == [1, "books-busy"]
    assert told(post_singles(asked)) == [-1, 2]
