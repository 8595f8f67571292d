"""Servers of a test as a user starts them, and clients that send until they are answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ledger.db.server import PrivateServer
from tests.ledger.ports import free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240


@dataclass(frozen=True)
class Desk:
    """A running `hovedbok serve`: a master process with two workers."""

    port: int
    pid: int

    def workers(self) -> list[int]:
        """Give the process ids of its workers."""
        tasks = Path(f"/proc/{self.pid}/task")
        return [int(c) for task in tasks.iterdir() for c in (task / "children").read_text().split()]


@dataclass(frozen=True)
class Answer:
    """What a server answered; `repeated` where it says that it had answered before."""

    status: int
    body: Any
    repeated: bool

    @property
    def said(self) -> Any:
        """What was told, without what names this one request."""
        if not isinstance(self.body, dict):
            return self.body
        return {k: v for k, v in self.body.items() if k not in {"request_id", "instance"}}


@contextmanager
def served(pg: PrivateServer, name: str, home: Path) -> Iterator[Desk]:
    """Serve a database of this test, from a home of its own."""
    addresses, port = pg.addresses(name), free_port()
    home.mkdir(exist_ok=True)
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PROMETHEUS_MULTIPROC_DIR"},
        "HOVEDBOK_HOME": str(home), "HOVEDBOK_PORT": str(port), "HOVEDBOK_LOG_LEVEL": "error",
        "DATABASE_URL": addresses.service, "HOVEDBOK_OWNER_DATABASE_URL": addresses.owner,
        "HOVEDBOK_AUDITOR_DATABASE_URL": addresses.auditor,
    }  # fmt: skip
    with (home / "said").open("wb") as said:
        desk = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "serve", "--workers", "2"],
            cwd=ROOT, env=environment, stderr=said,
        )  # fmt: skip
        try:
            wait_for(port)
            yield Desk(port, desk.pid)
        finally:
            desk.send_signal(signal.SIGTERM)
            desk.wait(60)


def send(
    port: int, token: str, path: str, key: str, body: bytes, media_type: str = "application/json"
) -> Answer:
    """Send a request once. Raises `OSError` or `HTTPException` where nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {
        "Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": media_type,
    }  # fmt: skip
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        raw = answer.read()
        again = answer.headers["Retry-After"] is not None and answer.status in {409, 503}
        if again:
            raise ConnectionResetError(raw.decode())
        return Answer(answer.status, json.loads(raw), answer.headers["Idempotency-Hit"] == "true")
    finally:
        connection.close()


def send_until_answered(
    port: int, token: str, path: str, key: str, body: bytes, media_type: str = "application/json"
) -> Answer:
    """Send a request again and again, as a client must, until it is answered for good."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return send(port, token, path, key, body, media_type)
        except (OSError, HTTPException, ValueError):
            assert time.monotonic() < deadline, key
            time.sleep(0.05)
