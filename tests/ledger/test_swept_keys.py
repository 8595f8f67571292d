"""Keys of requests go when their time is over; what they posted is found by reference for ever."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from ledger import service
from ledger.db import transaction
from ledger.service import answers
from ledger.service.answers import Answer, Request, begin, keep, sweep_job, sweep_keys
from tests.ledger.test_api import code_of, post
from tests.ledger.test_posting_batches import balance, entry, send
from tests.ledger.test_posting_batches import client as _client

client = _client


def keys() -> list[str]:
    """The keys that are kept."""
    with transaction() as session:
        return list(session.scalars(text("SELECT key FROM idempotency_key ORDER BY key")))


def ask(key: str) -> Request:
    """A request of some client."""
    return Request("client:x", key, "POST /x", b"\0" * 32)


def claim(*names: str) -> None:
    """Claim keys and keep an answer for each."""
    with transaction() as session:
        for name in names:
            assert begin(session, ask(name)) is None
            keep(session, ask(name), Answer(200, {}))


def expire(*names: str) -> None:
    """Let the time of keys be over, the first named longest."""
    with transaction() as session:
        for ago, name in enumerate(reversed(names), start=1):
            session.execute(
                text(
                    "UPDATE idempotency_key SET expires_at = clock_timestamp()"
                    " - make_interval(mins => :ago) WHERE key = :key"
                ),
                {"ago": ago, "key": name},
            )


def test_expired_keys_go_and_live_ones_stay(books: str) -> None:
    """Of any state; the oldest first, as many as were asked for."""
    claim("a", "b", "c", "d")
    with transaction() as session:
        begin(session, ask("started"))
    expire("b", "started", "a")
    with transaction() as session:
        assert sweep_keys(session, 1) == 1
    assert keys() == ["a", "c", "d", "started"]
    sweep_job()
    assert keys() == ["c", "d"]
    with transaction() as session:
        assert sweep_keys(session) == 0
        assert begin(session, ask("c")) == Answer(200, {})
        assert begin(session, ask("a")) is None, "its key is free again"


def test_a_job_sweeps_in_small_transactions(books: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as there is a full one, up to a bound: the rest waits for the next minute."""
    names = [f"{number:02d}" for number in range(10)]
    claim(*names)
    expire(*names)
    monkeypatch.setattr(answers, "SWEPT_AT_ONCE", 2)
    monkeypatch.setattr(answers, "SWEEPS", 3)
    monkeypatch.setattr(answers.sweep_keys, "__defaults__", (2,))
    sweep_job()
    assert keys() == names[6:]
    sweep_job()
    assert keys() == []


def test_a_key_that_is_taken_over_is_passed_by(books: str) -> None:
    """The sweep neither waits for a request nor takes its row from it."""
    claim("a", "b")
    expire("a", "b")
    with transaction() as ours:
        assert begin(ours, ask("a")) is None
        with transaction() as session:
            assert sweep_keys(session) == 1
        keep(ours, ask("a"), Answer(201, {"new": True}))
    with transaction() as session:
        assert begin(session, ask("a")) == Answer(201, {"new": True})


@pytest.mark.parametrize("statement", [
    "DELETE FROM idempotency_key", "TRUNCATE idempotency_key", "DELETE FROM posting_batch",
])  # fmt: skip
def test_the_service_removes_nothing_by_itself(books: str, statement: str) -> None:
    """The function is the only way, and a bound of nothing removes nothing."""
    claim("a", "b")
    expire("a")
    with pytest.raises(ProgrammingError, match="permission denied"), transaction() as session:
        session.execute(text(statement))
    with transaction() as session:
        assert sweep_keys(session, -1) == 0
        assert sweep_keys(session, 10**6) == 1


def _codes(answer: Any) -> Any:
    return [one.get("problem", {}).get("code") for one in answer.json["results"]]


def test_what_was_posted_is_posted_once_after_the_sweep(client: FlaskClient) -> None:
    """By the reference alone: the same is found again, other content is refused."""
    single = post(client, "single")
    batch = send(client, "batch", entries=[entry(source_ref="rent-1")])
    assert (single.status_code, batch.status_code) == (201, 201)
    before = balance()
    expire("single", "batch")
    sweep_job()
    assert keys() == []
    again = post(client, "single")
    assert (again.status_code, again.headers["Idempotency-Hit"]) == (200, "true")
    assert again.json == single.json
    replayed = send(client, "batch", entries=[entry(source_ref="rent-1")])
    assert (replayed.status_code, replayed.json["replayed"]) == (200, 1)
    expire("single", "batch")
    sweep_job()
    assert code_of(post(client, "single", text="Other")) == (409, "entry-ref-reused")
    other = send(client, "other", mode="per-entry", entries=[entry("6.00", source_ref="rent-1")])
    assert _codes(other) == ["entry-ref-reused"]
    assert balance() == before
    with transaction("auditor") as session:
        assert service.verify(session) == []
