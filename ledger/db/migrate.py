"""Bring a database to the newest revision; cheap when it is there already."""

import re
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from ledger.errors import Conflict, Problem

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 0x686F7665  # one migration at a time; the number spells "hove"
_PATIENCE_S = 30  # for a table that others use: whoever wants it after us waits as long


class SchemaAhead(Problem):
    """The database was migrated by a newer release than this program."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Database is newer than the program"


class MigrationBlocked(Problem):
    """A table that is to change is in use for longer than the migration may keep others waiting.

    Raise as: f"{pids} use tables that are to change. End them, and run the command again.".
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Migration is blocked"


def ensure_migrated(owner_url: str) -> bool:
    """Migrate as the owner if the database is behind; True if anything was done.

    Raises `SchemaAhead` where the database knows a revision that this program does not, and
    `MigrationBlocked`.
    """
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        if current_revision(connection) == head():
            return False
        # Two commands at once: the second waits here and then finds nothing to do.
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        now = current_revision(connection)
        if now == head():
            return False
        if now is not None and now not in _revisions():
            raise SchemaAhead(
                f"The database is at revision {now}, this program knows up to {head()}. "
                "Install the newer release; nothing was changed."
            )
        upgrade(owner_url)
    return True


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Run Alembic up to a revision. Raises `MigrationBlocked`; revisions that were done stay."""
    _alembic(owner_url, "upgrade", revision)


def downgrade(owner_url: str, revision: str) -> None:
    """Run Alembic down to a revision; only unreleased revisions have a way down.

    Raises `Conflict` where there are facts that an earlier schema cannot hold; nothing is changed
    then, of no revision. Raises `MigrationBlocked`.
    """
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        for undone in _undone(current_revision(connection), revision):
            check = MIGRATIONS / "sql" / undone / "check_down.sql"
            try:
                connection.execute(check.read_bytes() if check.exists() else b"")
            except psycopg.errors.RaiseException as refused:
                told = f"{refused.diag.message_primary} Stay at {undone} or newer"
                raise Conflict(f"{told}; nothing was changed.", revision=undone) from refused
    _alembic(owner_url, "downgrade", revision)


def _undone(now: str | None, revision: str) -> list[str]:
    """List the revisions on the way down, newest first; "-2" is two of them, "base" all."""
    chain = []
    while now and now != revision:
        chain.append(now)
        now = _revisions()[now]
    return chain[: int(revision[1:])] if revision.startswith("-") else chain


def current_revision(connection: "psycopg.Connection[tuple[object, ...]]") -> str | None:
    """Read the revision of a database; None for an empty one."""
    known = connection.execute("SELECT to_regclass('public.alembic_version')").fetchone()
    if known is None or known[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


@lru_cache(maxsize=1)
def head() -> str:
    """Name the newest revision by reading the scripts; Alembic is loaded only when it must run."""
    revisions = _revisions()
    (newest,) = set(revisions) - set(revisions.values())
    return newest


def history() -> list[str]:
    """List the revisions from the first to the newest."""
    chain: list[str] = []
    revision = head()
    while revision:
        chain.append(revision)
        revision = _revisions()[revision]
    return chain[::-1]


@lru_cache(maxsize=1)
def _revisions() -> dict[str, str]:
    """Map each revision to the one before it."""
    found = {}
    for script in sorted((MIGRATIONS / "versions").glob("*.py")):
        source = script.read_text()
        ids = re.findall(
            r'^(?:down_)?revision(?:: [^=]+)? = (?:"(\w+)"|None)', source, re.MULTILINE
        )
        found[ids[0]] = ids[1]
    return found


def _alembic(owner_url: str, verb: str, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - half a second that most commands do not need
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(owner_url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SET search_path TO public"))
            connection.execute(text(f"SET lock_timeout TO '{_PATIENCE_S}s'"))
            connection.commit()
            config.attributes["connection"] = connection
            getattr(command, verb)(config, revision)
    except OperationalError as fault:
        if isinstance(fault.orig, psycopg.errors.LockNotAvailable):
            raise _blocked(owner_url) from fault
        raise
    finally:
        engine.dispose()


def _blocked(owner_url: str) -> MigrationBlocked:
    """Say which connections hold locks on tables; of more than the pid the owner may not know."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        users = connection.execute(_USERS).fetchall()
        now = current_revision(connection)
    named = ", ".join(f"pid {pid} ({login})" for pid, login in users) or "Others"
    return MigrationBlocked(
        f"The database stays at revision {now}: for {_PATIENCE_S} s {named} used tables that are "
        "to change. Let what runs there end, or end it (SELECT pg_terminate_backend(pid)), and run "
        "the command again.",
        revision=now, pids=[pid for pid, _ in users],
    )  # fmt: skip


# Whoever holds a table of ours in a transaction; 16384 is the first number that is not PostgreSQL's
# own.
_USERS = """
    SELECT DISTINCT a.pid, a.usename::text FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'relation' AND l.granted AND l.relation >= 16384
        AND a.datname = current_database() AND a.pid <> pg_backend_pid()
    ORDER BY 1"""
