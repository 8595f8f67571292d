"""The ledger's migration goes up and down, also with rows in every table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from ledger import db, service
from ledger.db import migrate, transaction
from ledger.db.server import PrivateServer, furnish_database

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


def test_up_down_and_up_again_with_rows(pg: PrivateServer, drafts: Drafts) -> None:
    """What goes up comes down, rows and all, and leaves nothing of its own behind."""
    admin = pg.url("postgres", "postgres").replace("+psycopg", "", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE up_and_down OWNER hovedbok_owner")
    inside = pg.url("postgres", "up_and_down").replace("+psycopg", "", 1)
    with psycopg.connect(inside, autocommit=True) as connection:
        furnish_database(connection)
    db.configure(lambda: pg.addresses("up_and_down"))
    owner = pg.url("owner", "up_and_down")
    for _ in range(2):
        migrate.upgrade(owner, "head")  # Posting is what the newest revision makes it.
        with transaction() as session:
            service.seed_book(session, "NO01")
            service.open_periods(session, "NO01", 2026)
            service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        db.engine().dispose()
        migrate.downgrade(owner, "0000_jobs")
        with psycopg.connect(inside, autocommit=True) as connection:
            left = connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p') AND relname NOT LIKE 'procrastinate%'"
                " UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'ledger\\_%'"
            ).fetchall()
        assert left == [("alembic_version",)]
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE up_and_down WITH (FORCE)")
