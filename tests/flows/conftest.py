"""A month as files and as finished books, made once per run; homes and copies to try things in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

import app
from ledger import db as ledger_db
from ledger import jobs, lookups, vault
from ledger.db.server import DATABASE, SUPERUSER
from tests.flows.home import MONTH, ROOT, Home


@dataclass(frozen=True)
class Finished:
    """A home in which the month was run once, as a process, and what that run said."""

    home: Home
    files: Path
    said: str


@dataclass(frozen=True)
class Copy:
    """A copy of the finished month's database and vault, to be damaged; both are current."""

    name: str
    vault: Path
    home: Home

    def damage(self, *statements: str) -> None:
        """Change facts as nobody can but the superuser with the guards switched off."""
        with psycopg.connect(_superuser_url(self.home, self.name)) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                changed = connection.execute(statement).rowcount  # type: ignore[arg-type]
                assert changed > 0, f"nothing was damaged by {statement}"

    def environment(self) -> dict[str, str]:
        """Say where the copy is, to a command."""
        known = self.home.server.addresses(self.name)
        return {
            "DATABASE_URL": known.service,
            "HOVEDBOK_OWNER_DATABASE_URL": known.owner,
            "HOVEDBOK_AUDITOR_DATABASE_URL": known.auditor,
            "HOVEDBOK_VAULT": str(self.vault),
        }


@pytest.fixture
def wired() -> Iterator[None]:
    """Rating may ask the rooms above, as it may in a command."""
    lookups.configure(
        lambda: {name: app._load(target) for name, target in app.LOOKUPS.items()}
    )  # fmt: skip
    yield
    lookups.configure(dict)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A new home, whose server is stopped afterwards."""
    made = Home(tmp_path / "home")
    yield made
    if made.server.root.exists():
        made.server.stop()


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed so that a failure can be played again."""
    chosen = int(os.environ.get("HOVEDBOK_SEED", time.time_ns() % 100_000))
    print(f"HOVEDBOK_SEED={chosen}")
    return chosen


@pytest.fixture
def books(db_name: str, tmp_path: Path) -> str:
    """A fresh migrated database with a vault of its own, both current in this process."""
    vault.configure(tmp_path / "vault")
    jobs.configure(app.job_functions)
    return db_name


@pytest.fixture(scope="session")
def month_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of 50 subscribers as files."""
    folder = tmp_path_factory.mktemp("month") / "files"
    subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "demo", "make", "--month", MONTH,
         "--out", str(folder), "--subscribers", "50", "--days", "6", "--seed", "7"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def finished(month_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """The month, run once."""
    home = Home(tmp_path_factory.mktemp("finished") / "home")
    said = home.run("month", "run", str(month_files), "--month", MONTH)
    yield Finished(home, month_files, said)
    home.server.stop()


@pytest.fixture
def finished_books(finished: Finished) -> Iterator[Finished]:
    """The finished month, with its database and vault current in this process: to look at only."""
    ledger_db.configure(finished.home.server.addresses)
    vault.configure(finished.home.folder / "vault")
    yield finished
    _disconnect()


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Iterator[Copy]:
    """A copy of the finished month. Objects of the vault are shared until they are replaced."""
    home, name = finished.home, f"copy_{uuid.uuid4().hex[:12]}"
    shelves = tmp_path / "vault"
    shutil.copytree(home.folder / "vault", shelves, copy_function=os.link)
    with psycopg.connect(_superuser_url(home, SUPERUSER), autocommit=True) as connection:
        connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE {DATABASE} OWNER hovedbok_owner'.encode()
        )
        ledger_db.configure(lambda: home.server.addresses(name))
        vault.configure(shelves)
        yield Copy(name, shelves, home)
        _disconnect()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _superuser_url(home: Home, database: str) -> str:
    return home.server.url(SUPERUSER, database).replace("+psycopg", "", 1)


def _disconnect() -> None:
    for role in ("owner", "service", "auditor"):
        ledger_db.engine(role).dispose()  # type: ignore[arg-type]
