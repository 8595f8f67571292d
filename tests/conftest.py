"""What every test may ask for: the oracles, a server, a fresh migrated database, a session."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from sqlalchemy.orm import Session

from ledger import db as ledger_db
from ledger import places, service, vault
from ledger.db import migrate
from ledger.db.server import SUPERUSER, PrivateServer, admit_logins, furnish_database
from ledger.service import access, dimensions

# Durability is relaxed except where it is what is tested (those start a server of their own).
# Autovacuum takes transaction ids at times of its own, and any open one holds the seals back.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
         "autovacuum": "off"}  # fmt: skip
_TEMPLATE = "hovedbok_template"
_SEEDED = "hovedbok_seeded"
_HOME = "HOVEDBOK_TEST_HOME"
# A database for each test is some three hundred files, which a disk takes its time to make.
_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30  # Octets: four times what all tests of two workers were seen to take at once.

# How long an example takes says something of the machine, and nothing of what is tested. Every run
# draws others, so half of the usual number, run often, sees as much.
settings.register_profile("hovedbok", deadline=None, max_examples=50)
settings.load_profile("hovedbok")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of this process's server, and where tests keep their files.

    Each of xdist's workers has its own server: the horizon of seals is that of the whole server, so
    an open transaction of one worker's test would hold back what the other's has just posted.
    """
    if not hasattr(config, "workerinput") and _has_room(_MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
    os.environ[_HOME] = tempfile.mkdtemp(
        prefix="hovedbok-test-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")
    )


def pytest_unconfigure() -> None:
    """Stop the server, if any test started it, and leave nothing behind."""
    home = Path(os.environ.pop(_HOME))
    if (home / "postgres").exists():
        PrivateServer(home).stop()
    shutil.rmtree(home, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    try:
        return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= _ROOM
    except OSError:
        return False


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_cheap() -> Iterator[None]:
    """Hash passwords fast: a sixth of a second each, seven for a desk, is half of its test.

    What they cost in earnest is held by tests/ledger/test_access.py.
    """
    with pytest.MonkeyPatch.context() as patch:
        fast = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(access, "PasswordHasher", fast)
        yield


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
    _make_template(server)
    return server


def register_dimensions(session: Session, book: str) -> None:
    """Register what the drafts of the tests carry, without lists of values."""
    for code in ("product", "area"):
        dimensions.add_dimension(session, book, code, code.title(), actor="x")


@pytest.fixture(name="_seeded", scope="session")
def _seeded_template(pg: PrivateServer) -> str:
    """A template with a book NO01 and 2026's periods open: the one that `db` copies if asked."""
    _copy(pg, _TEMPLATE, _SEEDED)
    with _as_own_database(pg, _SEEDED), ledger_db.transaction() as session:
        service.seed_book(session, "NO01")
        register_dimensions(session, "NO01")
        service.open_periods(session, "NO01", 2026)
    return _SEEDED


@pytest.fixture
def db_name(pg: PrivateServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh migrated database, as this process's database; dropped afterwards."""
    asked = "_seeded" in request.fixturenames
    name = f"test_{uuid.uuid4().hex[:16]}"
    _copy(pg, request.getfixturevalue("_seeded") if asked else _TEMPLATE, name)
    with _as_own_database(pg, name):
        yield name
    with _superuser(pg) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


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
    with _superuser(server) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE} OWNER hovedbok_owner")
    with _superuser(server, _TEMPLATE) as connection:
        furnish_database(connection)
    migrate.ensure_migrated(server.url("owner", _TEMPLATE))


def _copy(server: PrivateServer, template: str, name: str) -> None:
    with _superuser(server) as connection:
        connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE {template} OWNER hovedbok_owner STRATEGY file_copy'
        )
        admit_logins(connection, name)


@contextmanager
def _as_own_database(server: PrivateServer, name: str) -> Iterator[None]:
    ledger_db.configure(lambda: server.addresses(name))
    yield
    for role in ("owner", "service", "auditor"):
        ledger_db.engine(role).dispose()  # type: ignore[arg-type]


def _superuser(server: PrivateServer, database: str = SUPERUSER) -> psycopg.Connection:
    address = server.url(SUPERUSER, database).replace("+psycopg", "", 1)
    return psycopg.connect(address, autocommit=True)
