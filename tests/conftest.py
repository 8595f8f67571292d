"""What every test may ask for: the oracles, a server, a fresh migrated database, a session."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from ledger import db as ledger_db
from ledger import places, vault
from ledger.db import migrate
from ledger.db.server import SUPERUSER, PrivateServer, furnish_database

# Durability is relaxed except where it is what is tested (those start a server of their own).
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_TEMPLATE = "hovedbok_template"
_HOME = "HOVEDBOK_TEST_HOME"


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of the one server of this run; xdist's workers inherit it."""
    if not hasattr(config, "workerinput"):
        os.environ[_HOME] = tempfile.mkdtemp(prefix="hovedbok-test-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server, if any test started it, and leave nothing behind."""
    if hasattr(config, "workerinput"):
        return
    home = Path(os.environ.pop(_HOME))
    if (home / "postgres").exists():
        PrivateServer(home).stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of oracles beside the project, or HOVEDBOK_SHARED; absent on a user's machine."""
    folder = Path(os.environ.get("HOVEDBOK_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "samples").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{folder} is missing; conformance tests must run in CI.")
        pytest.skip(f"the oracles are not here ({folder}); set HOVEDBOK_SHARED to run this test")
    return folder


@pytest.fixture(scope="session")
def pg() -> PrivateServer:
    """A running private server with a migrated template database."""
    server = PrivateServer(Path(os.environ[_HOME]), _FAST)
    server.ensure_running()
    with server.locked("template"):
        _make_template(server)
    return server


@pytest.fixture
def db_name(pg: PrivateServer) -> Iterator[str]:
    """A fresh migrated database, as this process's database; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    _superuser(pg, f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE} OWNER hovedbok_owner')
    with psycopg.connect(_plain(pg.url(SUPERUSER, name)), autocommit=True) as connection:
        furnish_database(connection)
    ledger_db.configure(lambda: pg.addresses(name))
    yield name
    for role in ("owner", "service", "auditor"):
        ledger_db.engine(role).dispose()  # type: ignore[arg-type]
    _superuser(pg, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for this test's vault and output; the vault is configured to lie in it."""
    vault.configure(tmp_path / "vault")
    places.configure(places.Places(tmp_path / "seal-key", tmp_path / "webhook-key"))
    return tmp_path


@pytest.fixture(name="db")
def _db(db_name: str, home: Path) -> str:
    """A fresh migrated database and vault; `ledger.db.transaction()` uses them. Gives the name."""
    return db_name


@pytest.fixture
def session(db: str) -> Iterator[Session]:
    """A session of the service role whose transaction is rolled back."""
    with Session(ledger_db.engine(), expire_on_commit=False) as opened:
        yield opened
        opened.rollback()


def _make_template(server: PrivateServer) -> None:
    with psycopg.connect(_plain(server.url(SUPERUSER, SUPERUSER)), autocommit=True) as connection:
        if connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)
        ).fetchone():
            return
        connection.execute(f"CREATE DATABASE {_TEMPLATE}_draft OWNER hovedbok_owner")
        with psycopg.connect(
            _plain(server.url(SUPERUSER, f"{_TEMPLATE}_draft")), autocommit=True
        ) as inner:
            furnish_database(inner)
        migrate.ensure_migrated(server.url("owner", f"{_TEMPLATE}_draft"))
        connection.execute(f"ALTER DATABASE {_TEMPLATE}_draft RENAME TO {_TEMPLATE}")


def _superuser(server: PrivateServer, statement: str) -> None:
    with psycopg.connect(_plain(server.url(SUPERUSER, SUPERUSER)), autocommit=True) as connection:
        connection.execute(statement)


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
