"""The whole chain of migrations, up, down and up again, under the rows of a small month."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.db import migrate
from tests.flows.home import MONTH, Home

# Everything that a migration can make in the schema, by name and definition.
_CATALOGUE = """
SELECT 'column', table_name, column_name,
       data_type || is_nullable || coalesce(column_default, '')
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'function', p.oid::regprocedure::text, coalesce(p.proacl::text, ''),
       md5(p.prosrc) || p.prosecdef
  FROM pg_proc p LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
 WHERE p.pronamespace = 'public'::regnamespace AND d.objid IS NULL
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'grant', table_name, grantee, string_agg(privilege_type, ',' ORDER BY privilege_type)
  FROM information_schema.role_table_grants WHERE table_schema = 'public'
 GROUP BY table_name, grantee
UNION ALL
SELECT 'type', t.oid::regtype::text, t.typtype::text, ''
  FROM pg_type t LEFT JOIN pg_depend d ON d.objid = t.oid AND d.deptype = 'e'
 WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'c', 'd')
   AND d.objid IS NULL
"""
# Alembic's own table stays, and months are made with the periods, by no migration.
_NOT_OURS = re.compile(r"alembic_version|_20\d\d_\d\d")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home with a month of twenty subscribers in its tables."""
    made = Home(tmp_path / "home")
    files = str(tmp_path / "files")
    made.run("demo", "make", "--month", MONTH, "--out", files, "--subscribers", "20", "--days", "2")
    made.run("month", "run", files, "--month", MONTH)
    yield made
    made.server.stop()


def _schema(owner_url: str) -> set[tuple[str, ...]]:
    """Describe every object of the schema that migrations make."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        rows = connection.execute(_CATALOGUE).fetchall()
    return {tuple(map(str, row)) for row in rows if not _NOT_OURS.search(f"{row[1]} {row[2]}")}


def _rows(owner_url: str, table: str) -> int:
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
    return int(found[0]) if found else 0


def test_the_chain_goes_down_and_up_again_under_a_finished_month(
    home: Home, tmp_path: Path
) -> None:
    """Down leaves nothing behind, up makes the very same schema, and the month runs as before."""
    owner = home.server.url("owner")
    before, totals = _schema(owner), home.summary["totals"]
    for table in ("journal_line", "open_item", "source_file", "charge_key", "invoice"):
        assert _rows(owner, table) > 0, table

    migrate.downgrade(owner, "base")
    assert _schema(owner) == set()

    assert migrate.ensure_migrated(owner)
    assert _schema(owner) == before
    home.run("month", "run", str(tmp_path / "files"), "--month", MONTH)
    assert home.summary["totals"] == totals


def test_every_step_can_be_undone_alone(home: Home) -> None:
    """Each revision goes down and up again by itself, newest first."""
    owner = home.server.url("owner")
    at = {migrate.head(): _schema(owner)}
    while True:
        with psycopg.connect(owner.replace("+psycopg", "", 1)) as connection:
            now = migrate.current_revision(connection)
        if now is None:
            return
        before = at.get(now) or _schema(owner)
        migrate.downgrade(owner, "-1")
        migrate.upgrade(owner, "+1")
        assert _schema(owner) == before, now
        migrate.downgrade(owner, "-1")
