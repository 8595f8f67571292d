"""A database, a login or a file that cannot be used is said so, and nothing is changed."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest

import app
from ledger import db as ledger_db
from ledger.db import Addresses, RoleNotGranted, migrate, transaction
from ledger.db.migrate import MigrationBlocked, SchemaAhead
from ledger.db.server import PrivateServer


def test_the_database_of_a_newer_release_is_left_alone(pg: PrivateServer, db: str) -> None:
    """An older program does not guess what a newer one has made."""
    superuser = pg.url("postgres", db).replace("+psycopg", "", 1)
    with psycopg.connect(superuser) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_to_come'")
    with pytest.raises(SchemaAhead, match=f"revision 9999_to_come, .* up to {migrate.head()}"):
        migrate.ensure_migrated(pg.url("owner", db))
    with psycopg.connect(superuser) as connection:
        assert migrate.current_revision(connection) == "9999_to_come"


def test_a_migration_does_not_keep_others_waiting_for_a_forgotten_transaction(
    pg: PrivateServer, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says whose it is and changes nothing; once that has ended it is done."""
    monkeypatch.setattr(migrate, "_PATIENCE_S", 1)
    owner = pg.url("owner", db)
    migrate.downgrade(owner, "0027_explained")
    forgotten = psycopg.connect(pg.url("service", db).replace("+psycopg", "", 1))
    with forgotten:
        forgotten.execute("SELECT * FROM procrastinate_workers")
        said = rf"revision 0027_explained: .*pid {forgotten.info.backend_pid} \(hovedbok_service\)"
        with pytest.raises(MigrationBlocked, match=said):
            migrate.ensure_migrated(owner)
    assert migrate.ensure_migrated(owner)


def test_a_login_that_may_not_act_as_a_role_is_told_the_grant(pg: PrivateServer, db: str) -> None:
    """One address for all roles is a login that takes the lesser ones."""
    auditor = pg.url("auditor", db)
    ledger_db.configure(lambda: Addresses(auditor, auditor, auditor))
    said = "GRANT hovedbok_service TO hovedbok_auditor"
    with pytest.raises(RoleNotGranted, match=said), transaction() as session:
        session.connection()


def test_a_file_that_is_not_there_is_no_trace(
    books: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line names the file and what to look at; with --json for programs too."""
    monkeypatch.setattr(app, "settings", lambda: None)
    missing = str(home / "missing.ndjson")
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["hovedbok", "ledger", "post", missing, *more])
        with pytest.raises(SystemExit) as ended:
            app.main()
        said = capsys.readouterr()
        assert ended.value.code == 1
        assert said.err.startswith(f"File cannot be used: {missing}: No such file or directory.")
        assert ('"type": "/problems/file-unusable"' in said.out) == bool(more)
