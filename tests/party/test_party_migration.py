"""The party room's migration goes up and down, also with rows in its tables."""

from __future__ import annotations

import psycopg

from ledger import db
from ledger.db import migrate, transaction
from ledger.db.server import PrivateServer, furnish_database
from party import service
from tests.party.rows import OFFERINGS, day, order

NAME = "party_up_and_down"


def test_up_down_and_up_again_with_rows(pg: PrivateServer) -> None:
    """What goes up comes down, rows and all, and leaves nothing of its own behind."""
    admin = pg.url("postgres", "postgres").replace("+psycopg", "", 1)
    inside = pg.url("postgres", NAME).replace("+psycopg", "", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME} OWNER hovedbok_owner")
    with psycopg.connect(inside, autocommit=True) as connection:
        furnish_database(connection)
    db.configure(lambda: pg.addresses(NAME))
    owner = pg.url("owner", NAME)
    migrate.upgrade(owner, "0002_access")
    before = _relations_and_functions(inside)
    for _ in range(2):
        migrate.upgrade(owner, "0003_party")
        with transaction() as session:
            orders = [order(1, "add", day(1)), order(2, "cease", day(10))]
            outcomes = service.apply_orders(session, orders, OFFERINGS)
        assert [outcome.state for outcome in outcomes] == ["applied", "applied"]
        db.engine().dispose()
        migrate.downgrade(owner, "0002_access")
        assert _relations_and_functions(inside) == before
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


def _relations_and_functions(address: str) -> list[tuple[str, ...]]:
    with psycopg.connect(address) as connection:
        return connection.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT proname::text FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
