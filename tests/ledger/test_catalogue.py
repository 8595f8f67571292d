"""Whoever loosens a table of the books is named by verify, before a row has made use of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from ledger import service
from ledger.cli.database import database_cli
from ledger.db import catalogue, transaction
from ledger.db.server import PrivateServer
from ledger.service import defences

# What an owner or a superuser does to one table, and what of it is missing or altered then.
LOOSENED = {
    "a primary key that is dropped": (
        "ALTER TABLE allocation DROP CONSTRAINT pk_allocation CASCADE",
        ("allocation", "constraint pk_allocation"),
    ),
    "a unique constraint that is dropped": (
        "ALTER TABLE journal_entry DROP CONSTRAINT uq_journal_entry_voucher",
        ("journal_entry", "constraint uq_journal_entry_voucher"),
    ),
    "a unique constraint of fewer books": (
        (
            "ALTER TABLE account DROP CONSTRAINT uq_account_book_id_number CASCADE;"
            "ALTER TABLE account ADD CONSTRAINT uq_account_book_id_number UNIQUE (account_id)"
        ),
        ("account", "constraint uq_account_book_id_number"),
    ),
    "a foreign key that is dropped": (
        "ALTER TABLE vat_code DROP CONSTRAINT fk_vat_code_book_id",
        ("vat_code", "constraint fk_vat_code_book_id"),
    ),
    "a foreign key that old rows need not keep": (
        (
            "ALTER TABLE voucher_gap DROP CONSTRAINT fk_voucher_gap_series_id;"
            "ALTER TABLE voucher_gap ADD CONSTRAINT fk_voucher_gap_series_id FOREIGN KEY"
            " (series_id) REFERENCES voucher_series NOT VALID"
        ),
        ("voucher_gap", "constraint fk_voucher_gap_series_id"),
    ),
    "a foreign key that takes its rows along": (
        (
            "ALTER TABLE voucher_gap DROP CONSTRAINT fk_voucher_gap_series_id;"
            "ALTER TABLE voucher_gap ADD CONSTRAINT fk_voucher_gap_series_id FOREIGN KEY"
            " (series_id) REFERENCES voucher_series ON DELETE CASCADE"
        ),
        ("voucher_gap", "constraint fk_voucher_gap_series_id"),
    ),
    "foreign keys that sleep": (
        "ALTER TABLE voucher_gap DISABLE TRIGGER ALL; ALTER TABLE voucher_gap ENABLE TRIGGER USER",
        ("voucher_gap", "foreign key fk_voucher_gap_series_id is not enforced"),
    ),
    "a check that is dropped": (
        "ALTER TABLE account DROP CONSTRAINT ck_account_number",
        ("account", "constraint ck_account_number"),
    ),
    "a check that says nothing": (
        (
            "ALTER TABLE account DROP CONSTRAINT ck_account_class;"
            "ALTER TABLE account ADD CONSTRAINT ck_account_class CHECK (true)"
        ),
        ("account", "constraint ck_account_class"),
    ),
    "a check that old rows need not keep": (
        (
            "ALTER TABLE account DROP CONSTRAINT ck_account_number;"
            "ALTER TABLE account ADD CONSTRAINT ck_account_number"
            " CHECK (number ~ '^[0-9]{4,10}$') NOT VALID"
        ),
        ("account", "constraint ck_account_number"),
    ),
    "a check of all months that is dropped": (
        "ALTER TABLE journal_line DROP CONSTRAINT ck_journal_line_amount",
        ("journal_line_2026_03", "constraint ck_journal_line_amount"),
    ),
    "an exclusion that is dropped": (
        "ALTER TABLE vat_code DROP CONSTRAINT ex_vat_code_one_rate_a_day",
        ("vat_code", "constraint ex_vat_code_one_rate_a_day"),
    ),
    "a unique index that is dropped": (
        "DROP INDEX uq_journal_entry_reverses",
        ("journal_entry", "index uq_journal_entry_reverses"),
    ),
    "a unique index that holds for few rows": (
        (
            "DROP INDEX uq_journal_entry_reverses; CREATE UNIQUE INDEX uq_journal_entry_reverses"
            " ON journal_entry (reverses_entry_id) WHERE reverses_entry_id < 0"
        ),
        ("journal_entry", "index uq_journal_entry_reverses"),
    ),
    "an index that nobody asks": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pk_allocation'::regclass",
        ("allocation", "constraint pk_allocation"),
    ),
    "a column that may be empty": (
        "ALTER TABLE journal_entry ALTER text DROP NOT NULL",
        ("journal_entry", "column text"),
    ),
    "a column of all months that may be empty": (
        "ALTER TABLE journal_line ALTER account_id DROP NOT NULL",
        ("journal_line_2026_03", "column account_id"),
    ),
    "a column of another type": (
        "ALTER TABLE open_item ALTER original_minor TYPE numeric",
        ("open_item", "column original_minor"),
    ),
    "a column of a domain": (
        ("CREATE DOMAIN amount AS bigint;ALTER TABLE open_item ALTER original_minor TYPE amount"),
        ("open_item", "column original_minor"),
    ),
    "a column that is sorted otherwise": (
        'ALTER TABLE period ALTER code TYPE text COLLATE "POSIX"',
        ("period", "column code"),
    ),
    "a column that is gone": (
        "ALTER TABLE voucher_gap DROP COLUMN recorded_at",
        ("voucher_gap", "column recorded_at"),
    ),
    "a time that is not the database's": (
        "ALTER TABLE audit_event ALTER recorded_at SET DEFAULT '2026-01-01'",
        ("audit_event", "default recorded_at"),
    ),
    "a number that anybody may choose": (
        "ALTER TABLE audit_event ALTER audit_event_id SET GENERATED BY DEFAULT",
        ("audit_event", "default audit_event_id"),
    ),
}


@pytest.fixture
def superuser(pg: PrivateServer, posted: str) -> Iterator[Engine]:
    """Whom nothing stops, in books with an invoice and its payment."""
    engine = create_engine(pg.url("postgres", posted))
    yield engine
    engine.dispose()


def test_a_table_that_was_loosened_is_named(superuser: Engine) -> None:
    """Each kind of loosening, undone again by its rollback."""
    with Session(superuser) as session:
        assert list(defences.catalogue_faults(session)) == [], "sound before the crime"
    for crime, (statements, (table, what)) in LOOSENED.items():
        with Session(superuser) as session:
            session.execute(text(statements))
            found = list(defences.catalogue_faults(session))
            session.rollback()
        words = what if " is " in what else f"{what} is missing or altered; the migrations made it"
        named = [detail for where, detail in found if where == f"table {table}"]
        assert any(detail.startswith(words) for detail in named), f"{crime}: {found}"


def test_verify_asks_the_catalogue(superuser: Engine) -> None:
    """By the name of the check, beside what the guards and the functions are."""
    with Session(superuser) as session:
        session.execute(text("ALTER TABLE account DROP CONSTRAINT ck_account_number"))
        found = [(one.check, one.where, one.detail) for one in service.verify(session)]
        session.rollback()
    assert found == [
        (
            "catalogue",
            "table account",
            (
                "constraint ck_account_number is missing or altered; the migrations made it"
                " CHECK ((number ~ '^[0-9]{4,10}$'::text))"
            ),
        ),
    ]


def test_what_is_written_down_is_what_the_migrations_make(
    books: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """After a migration: hovedbok db catalogue. No table of the books is left out."""
    with transaction("auditor") as session:
        made = defences.catalogue(session)
    assert catalogue.WRITTEN.read_text("utf-8") == catalogue.written_as(made)
    assert set(made) == set(defences._tables())
    assert all(table["column"] and table["constraint"] for table in made.values())
    page = tmp_path / "catalogue.json"  # type: ignore[operator]
    monkeypatch.setattr(catalogue, "WRITTEN", page)
    assert CliRunner().invoke(database_cli, ["catalogue"]).output == "Wrote catalogue.json.\n"
    assert page.read_text("utf-8") == catalogue.written_as(made)
