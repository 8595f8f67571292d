"""The ledger's migration goes up and down, also with rows in every table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

from ledger import db, service
from ledger.db import migrate, transaction
from ledger.db.server import PrivateServer, furnish_database
from ledger.service import dimensions
from tests.conftest import register_dimensions

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


@pytest.fixture(name="inside")
def _inside(pg: PrivateServer) -> Iterator[str]:
    """An empty database as this process's database; gives its address as superuser."""
    admin = pg.url("postgres", "postgres").replace("+psycopg", "", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE up_and_down OWNER hovedbok_owner")
    inside = pg.url("postgres", "up_and_down").replace("+psycopg", "", 1)
    with psycopg.connect(inside, autocommit=True) as connection:
        furnish_database(connection)
    db.configure(lambda: pg.addresses("up_and_down"))
    yield inside
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE up_and_down WITH (FORCE)")


def test_up_down_and_up_again_with_rows(pg: PrivateServer, drafts: Drafts, inside: str) -> None:
    """What goes up comes down, rows and all, and leaves nothing of its own behind."""
    owner = pg.url("owner", "up_and_down")
    for _ in range(2):
        migrate.upgrade(owner, "head")  # Posting is what the newest revision makes it.
        with transaction() as session:
            service.seed_book(session, "NO01")
            register_dimensions(session, "NO01")
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


def test_dimensions_of_books_in_use_are_registered(pg: PrivateServer, inside: str) -> None:
    """What lines carry already may be carried on; what the house posts may be from now on."""
    owner = pg.url("owner", "up_and_down")
    migrate.upgrade(owner, "0035_answers")
    with psycopg.connect(inside, autocommit=True) as connection:
        connection.execute("INSERT INTO book (code, legal_entity, functional_currency)"
                           " VALUES ('NO01', 'A', 'NOK'), ('NO02', 'B', 'NOK')")  # fmt: skip
        connection.execute("INSERT INTO dimension_set (book_id, canonical_key) SELECT book_id, k"
                           " FROM book, unnest(ARRAY['area=x=y;product=a', 'area=z']) k"
                           " WHERE code = 'NO01'")  # fmt: skip
    migrate.upgrade(owner, "head")
    with transaction() as session:
        of_house = ["partner", "provider", "service_period"]
        for book, carried in (("NO01", ["area", "product"]), ("NO02", [])):
            codes = [one.code for one in dimensions.dimensions(session, book)]
            assert codes == sorted([*carried, *of_house])
