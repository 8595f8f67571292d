"""Kill -9 at any instant loses nothing, doubles nothing and leaves no gap."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flows.home import MONTH, Home

KILLS = int(os.environ.get("HOVEDBOK_KILLS", "4"))

Deed = Callable[[Home, "subprocess.Popen[str]"], None]


@pytest.fixture(scope="module")
def undisturbed(
    month_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, object], float]]:
    """The summary of a run that nobody disturbed, and how long it took."""
    home = Home(tmp_path_factory.mktemp("undisturbed") / "home")
    home.run("db", "migrate")
    started = time.monotonic()
    home.run("month", "run", str(month_files), "--month", MONTH)
    took = time.monotonic() - started
    yield home.summary, took
    home.server.stop()


def kill_command(_home: Home, command: subprocess.Popen[str]) -> None:
    """Kill a command with its children."""
    with suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)


def kill_server(home: Home, _command: subprocess.Popen[str]) -> None:
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
    while True:
        yield chance.uniform(0.3, longest)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kill", [kill_command, kill_server], ids=["command", "postgresql"])
def test_the_month_survives_kills(
    kill: Deed,
    month_files: Path,
    undisturbed: tuple[dict[str, object], float],
    tmp_path: Path,
    seed: int,
) -> None:
    """Killed at random instants and run again, the month ends as if nothing had happened."""
    expected, took = undisturbed
    chance = random.Random(seed)
    words = ["month", "run", str(month_files), "--month", MONTH]
    strikes = homes = 0
    while strikes < KILLS:
        homes += 1
        home = Home(tmp_path / f"home{homes}")
        home.run("db", "migrate")
        try:
            strikes += _disturb(home, words, kill, _instants(chance, took))
            home.run(*words)
            assert home.summary == expected
            assert "without gaps" in home.run("ledger", "gaps")
            home.run("ledger", "verify")
        finally:
            home.server.stop()


@pytest.mark.timeout(900)
def test_documents_survive_kills_of_the_worker(
    month_files: Path, undisturbed: tuple[dict[str, object], float], tmp_path: Path, seed: int
) -> None:
    """A worker killed while it renders leaves every invoice one document in the end."""
    expected, _ = undisturbed
    chance = random.Random(seed)
    words = ["month", "run", str(month_files), "--month", MONTH]
    strikes = homes = 0
    while strikes < KILLS:
        homes += 1
        home = Home(tmp_path / f"home{homes}")
        try:
            home.run(
                *words, "--leave-jobs", status=1
            )  # Documents are missing: it does not tie yet.
            for instant in (chance.uniform(0.5, 3.0) for _ in range(KILLS)):
                worker = home.start("work")
                time.sleep(instant)
                kill_command(home, worker)
                worker.communicate(timeout=60)
                strikes += 1
            home.run(*words)
            assert home.summary == expected
        finally:
            home.server.stop()
