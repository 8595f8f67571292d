"""A free port for a server of a test, and the wait until it answers."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from typing import Any

START_S = 60.0


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def get(port: int, path: str) -> str:
    """Read a page of the server on this port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def wait_for(port: int) -> dict[str, Any]:
    """Wait until a desk is ready and give what it says; fails after a minute."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            ready: dict[str, Any] = json.loads(get(port, "/readyz"))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return ready
