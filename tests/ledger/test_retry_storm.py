"""A storm of retries: each request five times at once, to four processes; each is done once."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.service import access
from tests.ledger.served import Answer, send_until_answered, served

EACH = 5
BATCHES, ENTRIES = "/api/v1/posting-batches", "/api/v1/entries"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Request:
    """What is sent under a key, and what all its answers must be."""

    path: str
    key: str
    body: bytes
    media_type: str = "application/json"
    status: int = 201


def _lines(amount: int, other: int | None = None) -> list[dict[str, str]]:
    credit = amount if other is None else other
    return [{"account": "7830", "amount": f"{amount}.00"},
            {"account": "1920", "amount": f"-{credit}.00"}]  # fmt: skip


def _entry(amount: int, **more: Any) -> dict[str, Any]:
    day = "2026-03-31"
    return {"effective_date": day, "document_date": day, "text": "Bilag",
            "lines": _lines(amount)} | more  # fmt: skip


def _requests() -> list[Request]:
    """Singles, batches of each form, a refusal of each, and keys that are used for two bodies."""
    made = []
    for n in range(1, 7):
        made.append(Request(ENTRIES, f"single-{n}", json.dumps(_entry(n)).encode()))
        bad = {"lines": _lines(n, n + 1)}
        made.append(Request(ENTRIES, f"bad-{n}", json.dumps(_entry(n, **bad)).encode(), status=422))
    for n in range(1, 3):
        two = [{**_entry(n + m), "source_ref": f"batch-{n}/{m}"} for m in range(3)]
        for mode in ("atomic", "per-entry"):
            refs = [{**one, "source_ref": f"{mode}/{one['source_ref']}"} for one in two]
            body = json.dumps({"entries": refs, "mode": mode}).encode()
            made.append(Request(BATCHES, f"{mode}-{n}", body))
        lines = b"\n".join(json.dumps({**one, "source_ref": f"nd-{n}-{m}"}).encode()
                           for m, one in enumerate(two))  # fmt: skip
        made.append(Request(BATCHES, f"ndjson-{n}", lines, NDJSON))
        spoilt = [*two[:2], _entry(1, lines=_lines(1, 2))]
        body = json.dumps({"entries": spoilt, "mode": "atomic"}).encode()
        made.append(Request(BATCHES, f"spoilt-{n}", body, status=422))
    return made


@pytest.mark.timeout(600)
def test_each_request_of_a_storm_is_done_once(
    pg: PrivateServer, books: str, tmp_path: Path
) -> None:
    """All that were sent alike are answered alike; another body under the key is refused."""
    with transaction() as session:
        token = access.add_client(
            session, "storm", ["ledger:post"], actor="test", now=datetime.now(UTC)
        )
    requests = _requests()
    sent = [(request, request.body) for request in requests for _ in range(EACH)]
    # Every third key of an entry is used for other content as well, once among the five.
    for request in [one for one in requests if one.path == ENTRIES][::3]:
        sent[sent.index((request, request.body))] = request, json.dumps(_entry(999)).encode()
    random.Random(1).shuffle(sent)
    with (
        served(pg, books, tmp_path / "one") as one,
        served(pg, books, tmp_path / "two") as two,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = list(
            pool.map(
                lambda job: send_until_answered(
                    (one, two)[job[0] % 2].port, token, job[1][0].path, job[1][0].key, job[1][1],
                    job[1][0].media_type,
                ),
                enumerate(sent),
            )
        )  # fmt: skip
    told: dict[str, list[tuple[bytes, Answer]]] = defaultdict(list)
    for (request, body), answer in zip(sent, answers, strict=True):
        told[request.key].append((body, answer))
    for request in requests:
        _hold(request, told[request.key])
    _hold_books({r.key: told[r.key] for r in requests if r.path == ENTRIES})


def _hold(request: Request, told: list[tuple[bytes, Answer]]) -> None:
    """One body has won the key: its senders are told the same, whoever sent another is refused."""
    assert len(told) == EACH
    winners = {body for body, answer in told if answer.body.get("type") != REUSED}
    assert len(winners) == 1, (request.key, told)
    (won,) = winners
    won_answers = [answer for body, answer in told if body == won]
    assert [answer.status for body, answer in told if body != won] == [422] * (
        EACH - len(won_answers)
    )
    first = [answer for answer in won_answers if not answer.repeated]
    assert len(first) <= 1, request.key  # None where its line was lost and it asked again.
    assert len({json.dumps(answer.said, sort_keys=True) for answer in won_answers}) == 1
    status = request.status if won == request.body else 201
    assert {answer.status for answer in won_answers} <= ({status, 200} if status == 201 else {422})


REUSED = "/problems/idempotency-key-reused"


def _hold_books(singles: dict[str, list[tuple[bytes, Answer]]]) -> None:
    with transaction() as session:
        stored = session.execute(
            text("SELECT source_ref, voucher_no FROM journal_entry ORDER BY voucher_no")
        ).all()
    refs = [row.source_ref for row in stored]
    assert len(refs) == len(set(refs))
    assert [row.voucher_no for row in stored] == list(range(1, len(refs) + 1))
    numbers = {row.source_ref: row.voucher_no for row in stored}
    for key, told in singles.items():
        posted = {a.body["voucher"]["number"] for _, a in told if a.status in {200, 201}}
        assert posted == ({numbers[key]} if key in numbers else set())
    batches = {f"{mode}/batch-{n}/{m}" for mode in ("atomic", "per-entry")
               for n in range(1, 3) for m in range(3)}  # fmt: skip
    batches |= {f"nd-{n}-{m}" for n in range(1, 3) for m in range(3)}
    assert set(refs) - singles.keys() == batches
    with transaction("auditor") as session:
        assert service.verify(session) == []
