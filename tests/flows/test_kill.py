"""Kill -9 at any instant loses nothing, doubles nothing and leaves no gap."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ledger import service
from ledger.db import transaction
from tests.flows.forked import Command
from tests.flows.home import MONTH, Home

KILLS = int(os.environ.get("HOVEDBOK_KILLS", "3"))

Deed = Callable[[Home, Command], None]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an empty migrated database, at rest: to be copied."""
    home = Home(tmp_path_factory.mktemp("migrated") / "home")
    home.run("db", "migrate")
    home.server.stop()
    return home.folder


@pytest.fixture(scope="module")
def undisturbed(
    migrated: Path, month_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], float]:
    """The summary of a run that nobody disturbed, and how long it took."""
    home = Home(tmp_path_factory.mktemp("undisturbed") / "home")
    shutil.copytree(migrated, home.folder)
    started = time.monotonic()
    home.run("month", "run", str(month_files), "--month", MONTH)
    took = time.monotonic() - started
    home.server.stop()
    return home.summary, took


@pytest.fixture
def homes(migrated: Path, tmp_path: Path) -> Iterator[Iterator[Home]]:
    """New homes with a migrated database, one after the other; each is stopped in the end."""
    made = []

    def make() -> Iterator[Home]:
        while True:
            made.append(Home(tmp_path / f"home{len(made)}"))
            shutil.copytree(migrated, made[-1].folder)
            yield made[-1]
            made[-1].server.stop()

    yield make()
    made[-1].server.stop()


def kill_command(_home: Home, command: Command) -> None:
    """Kill a command with its children."""
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)


def kill_server(home: Home, _command: Command) -> None:
    """Kill PostgreSQL; whoever needs it next starts it again."""
    pid = home.server.pid()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def _disturb(home: Home, words: list[str], kill: Deed, instants: Iterator[float]) -> int:
    """Run the command again and again, striking each time; stop when it got through."""
    strikes = 0
    for instant in instants:
        command = home.start(*words)
        try:
            command.wait(timeout=instant)
        except subprocess.TimeoutExpired:
            kill(home, command)
            strikes += 1
        command.communicate(timeout=120)
        if command.returncode == 0:
            break
    return strikes


def _instants(chance: random.Random, longest: float) -> Iterator[float]:
    """Draw when to strike, ever later: on a machine that got busy it still comes to an end."""
    while True:
        yield chance.uniform(0.3, longest)
        longest *= 1.1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kill", [kill_command, kill_server], ids=["command", "postgresql"])
def test_the_month_survives_kills(
    kill: Deed,
    homes: Iterator[Home],
    month_files: Path,
    undisturbed: tuple[dict[str, object], float],
    seed: int,
) -> None:
    """Killed at random instants and run again, the month ends as if nothing had happened."""
    expected, took = undisturbed
    chance = random.Random(seed)
    words = ["month", "run", str(month_files), "--month", MONTH]
    strikes = 0
    while strikes < KILLS:
        home = next(homes)
        strikes += _disturb(home, words, kill, _instants(chance, took))
        assert home.summary == expected
        with home.inside(), transaction("auditor") as session:
            assert service.gaps(session) == []
            assert service.verify(session) == []


@pytest.mark.timeout(900)
def test_documents_survive_kills_of_the_worker(
    homes: Iterator[Home],
    month_files: Path,
    undisturbed: tuple[dict[str, object], float],
    seed: int,
) -> None:
    """A worker killed while it renders leaves every invoice one document in the end."""
    expected, _ = undisturbed
    chance = random.Random(seed)
    words = ["month", "run", str(month_files), "--month", MONTH]
    home = next(homes)
    home.run(*words, "--leave-jobs", status=1)  # Documents are missing: it does not tie yet.
    for instant in (chance.uniform(0.5, 3.0) for _ in range(KILLS)):
        worker = home.start("work")
        time.sleep(instant)
        kill_command(home, worker)
        worker.communicate(timeout=60)
    home.run(*words)
    assert home.summary == expected
