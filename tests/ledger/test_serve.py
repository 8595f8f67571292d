"""The command around the desk: a free port, one clear sentence, and counts of all processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

from app import COMMANDS, Rooms, cli
from ledger.cli.serving import AddressTaken, check_free
from ledger.db.server import PrivateServer
from tests.ledger.ports import START_S, free_port, get, wait_for

ROOT = Path(__file__).resolve().parents[2]


def _environment(server: PrivateServer, name: str, home: Path, **more: str) -> dict[str, str]:
    """Point a process at the database of this test."""
    addresses = server.addresses(name)
    return {
        **{k: v for k, v in os.environ.items() if k != "PROMETHEUS_MULTIPROC_DIR"},
        "HOVEDBOK_HOME": str(home),
        "DATABASE_URL": addresses.service,
        "HOVEDBOK_OWNER_DATABASE_URL": addresses.owner,
        "HOVEDBOK_AUDITOR_DATABASE_URL": addresses.auditor,
        **more,
    }


def _run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=START_S,
    )  # fmt: skip


def test_a_taken_port_is_one_sentence() -> None:
    """It names the place, the cause and the variable to set."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(AddressTaken, match=f"127.0.0.1, port {port}: .*HOVEDBOK_PORT"):
            check_free("127.0.0.1", port)


def test_the_desk_serves_counts_together_and_stops(
    pg: PrivateServer, db: str, tmp_path: Path
) -> None:
    """Two processes answer as one: /metrics counts every request; Ctrl-C ends both."""
    port = free_port()
    environment = _environment(pg, db, tmp_path, HOVEDBOK_PORT=str(port))
    desk = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "serve", "--workers", "2"],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        ready = wait_for(port)
        assert ready["checks"] == {"database": "ok", "jobs": "ok", "migrations": "ok"}
        for _ in range(20):
            get(port, "/healthz")
        counted = 'hovedbok_http_requests_total{method="GET",route="/healthz",status="200"} 20.0'
        assert {counted in get(port, "/metrics") for _ in range(4)} == {True}
    finally:
        desk.send_signal(signal.SIGINT)
        _, said = desk.communicate(timeout=30)
    assert desk.returncode == 0
    assert said.startswith(f"The desk is at http://127.0.0.1:{port} ")
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def bare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server whose program answers nothing, on a port: only what comes before it is asked."""
    port, folder = free_port(), tmp_path_factory.mktemp("bare")
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "flask:Flask('bare')", "--bind", f"127.0.0.1:{port}",
         "--worker-class", "tests.ledger.hasty.Hasty", "--threads", "2", "--chdir", str(ROOT),
         "--log-level", "error"], cwd=folder,
    )  # fmt: skip
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield port
    server.terminate()
    server.wait(timeout=30)


@pytest.mark.parametrize(
    ("asked", "code", "status"),
    [
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", "uri-too-long", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 99_000 + b"\r\n\r\n",
         "request-header-fields-too-large", 431),
        (b"GET / HTTP/7.1\r\n\r\n", "bad-request", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "bad-request", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked, x\r\n\r\n", "not-implemented", 501),
        (b"POST / HTTP/1.1\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", "expectation-failed", 417),
    ],
)  # fmt: skip
def test_what_the_server_cannot_read_is_a_problem(
    bare_server: int, asked: bytes, code: str, status: int
) -> None:
    """A program that sends nonsense is told so in the form it reads, not by a page of HTML."""
    with socket.create_connection(("127.0.0.1", bare_server), timeout=10) as line:
        line.sendall(asked)
        told = b"".join(iter(lambda: line.recv(65_536), b""))
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["type"], problem["status"]) == (f"/problems/{code}", status)
    assert problem["detail"]
    assert b"X-Content-Type-Options: nosniff" in head


def test_clients_that_fall_silent_are_not_waited_for(bare_server: int) -> None:
    """More of them than there are threads, in the middle of what they say, stop nobody for long."""
    address = ("127.0.0.1", bare_server)
    with ExitStack() as held:
        for _ in range(4):
            silent = held.enter_context(socket.create_connection(address))
            silent.sendall(b"GET / HTTP/1.1\r\nX: ")
        with socket.create_connection(address, timeout=10) as line:
            line.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert line.recv(12) == b"HTTP/1.1 404"


def test_a_silent_database_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    """No trace of the program; as JSON where JSON was asked for."""
    environment = {
        **os.environ, "HOVEDBOK_HOME": str(tmp_path),
        "DATABASE_URL": f"postgresql://nobody:s3cret@127.0.0.1:{free_port()}/none",
    }  # fmt: skip
    told = _run(environment, "ledger", "balance", "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["type"] == "/problems/database-silent"
    assert told.stderr.startswith("Database does not answer: ")
    assert "Traceback" not in told.stderr
    assert "s3cret" not in told.stderr + told.stdout
    status = _run(environment, "db", "status", "--json")
    assert (status.returncode, json.loads(status.stdout)["running"]) == (0, False)


def test_a_login_without_the_role_is_told_what_to_grant(
    pg: PrivateServer, db: str, tmp_path: Path
) -> None:
    """One address for all three needs the lesser roles granted to it."""
    environment = _environment(pg, db, tmp_path)
    del environment["HOVEDBOK_OWNER_DATABASE_URL"], environment["HOVEDBOK_AUDITOR_DATABASE_URL"]
    told = _run(environment, "ledger", "gaps")
    assert told.returncode == 1
    assert "GRANT hovedbok_auditor TO hovedbok_service" in told.stderr


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    """The lines of `hovedbok --help` are written twice, so that the list loads no room."""
    assert isinstance(cli, Rooms)
    for name, (_, line) in COMMANDS.items():
        group, _, added = name.partition(" ")
        command = cli.get_command(None, group)  # type: ignore[arg-type]
        if added:
            assert isinstance(command, click.Group)
            command = command.commands[added]
        assert command is not None
        assert command.get_short_help_str(200).rstrip(".") == line.rstrip("."), name
