"""kill -9 in mid-batch: of what a server acknowledged nothing is lost and nothing doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread

from sqlalchemy import text

from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.service import access
from tests.ledger.served import served
from tests.ledger.test_api import ENTRY

CLIENTS, EACH, KILLS = 12, 12, 4
PATIENCE_S = 120


def _post_until_answered(port: int, token: str, key: str) -> tuple[str, int]:
    """Send one entry again and again, as a client must, until it is acknowledged."""
    headers = {
        "Authorization": f"Bearer {token}", "Idempotency-Key": key,
        "Content-Type": "application/json",
    }  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/api/v1/entries", json.dumps(ENTRY), headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, HTTPException, ValueError):
            assert time.monotonic() < deadline, key
            time.sleep(0.05)
            continue
        finally:
            connection.close()
        if answer.status in {409, 503} and answer.headers["Retry-After"]:
            assert time.monotonic() < deadline, key
            time.sleep(0.05)
            continue
        assert answer.status in {200, 201}, body
        return key, body["voucher"]["number"]


def test_nothing_acknowledged_is_lost_or_doubled(
    pg: PrivateServer, books: str, tmp_path: Path
) -> None:
    """Workers are killed while many post; every client ends with the one voucher of its key."""
    with transaction() as session:
        token = access.add_client(
            session, "trial", ["ledger:post"], actor="test", now=datetime.now(UTC)
        )
    draw = random.Random(1)
    acknowledged: list[tuple[str, int]] = []
    keys = [f"{client}-{number}" for number in range(EACH) for client in range(CLIENTS)]

    def run(port: int) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            posted = pool.map(lambda key: _post_until_answered(port, token, key), keys)
            acknowledged.extend(posted)

    with served(pg, books, tmp_path / "home") as desk:
        crowd = Thread(target=run, args=(desk.port,))
        crowd.start()
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.3, 0.8))
            for worker in draw.sample(workers := desk.workers(), min(1, len(workers))):
                os.kill(worker, signal.SIGKILL)
        crowd.join(PATIENCE_S)
    assert sorted(key for key, _ in acknowledged) == sorted(keys)
    with transaction() as session:
        stored = session.execute(text("SELECT source_ref, voucher_no FROM journal_entry")).all()
        merged = session.scalar(text("SELECT max(entry_count) FROM posting_batch"))
    assert sorted(tuple(row) for row in stored) == sorted(acknowledged)
    assert sorted(number for _, number in acknowledged) == list(range(1, len(keys) + 1))
    assert merged > 1, "the test must have met merged batches"
