"""Whoever disarms the guards without touching one, or writes what was forbidden twice, is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db.server import PrivateServer

# What an owner or a superuser does, and what verify must say of it: (check, where, words).
DISARMED = {
    "a guard that says nothing": (
        (
            "CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END'"
        ),
        ("routine", "routine ledger_refuse_change", "does not say what the migrations wrote"),
    ),
    "a commit check that says nothing": (
        (
            "CREATE OR REPLACE FUNCTION ledger_check_batch() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NULL; END'"
        ),
        ("routine", "routine ledger_check_batch", "does not say what the migrations wrote"),
    ),
    "a function that posts with the triggers silent": (
        "ALTER FUNCTION ledger_post_few SET session_replication_role = replica",
        ("routine", "routine ledger_post_few", "session_replication_role=replica"),
    ),
    "a function that looks for tables elsewhere": (
        "ALTER FUNCTION ledger_post_few RESET search_path",
        ("routine", "routine ledger_post_few", "looks beyond the schema"),
    ),
    "a function of the service's own": (
        "ALTER FUNCTION ledger_refuse_change() OWNER TO hovedbok_service",
        ("routine", "routine ledger_refuse_change", "belongs to hovedbok_service"),
    ),
    "a function that anybody may call": (
        "GRANT EXECUTE ON FUNCTION ledger_sweep_keys TO PUBLIC",
        ("routine", "routine ledger_sweep_keys", "anybody may call it"),
    ),
    "a fact of the service's own": (
        "ALTER TABLE journal_entry OWNER TO hovedbok_service",
        ("table", "table journal_entry", "belongs to hovedbok_service"),
    ),
    "lines that the service may write": (
        "GRANT INSERT ON journal_line TO hovedbok_service",
        ("table", "table journal_line", "hovedbok_service may INSERT it"),
    ),
    "lines of a month that the auditor may change": (
        "GRANT UPDATE ON journal_line_2026_03 TO hovedbok_auditor",
        ("table", "table journal_line_2026_03", "hovedbok_auditor may UPDATE it"),
    ),
    "a column that anybody may change": (
        "GRANT UPDATE (rate_bp) ON vat_code TO PUBLIC",
        ("table", "table vat_code", "anybody may UPDATE it"),
    ),
    "accounts that the service may remove": (
        "GRANT DELETE ON account TO hovedbok_service",
        ("table", "table account", "hovedbok_service may DELETE it"),
    ),
    "a trigger that rewrites what is posted": (
        (
            "CREATE FUNCTION x() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN NEW.party_id := 1; RETURN NEW; END';"
            "CREATE TRIGGER a BEFORE INSERT ON journal_line_2026_03 FOR EACH ROW"
            " EXECUTE FUNCTION x()"
        ),
        ("table", "table journal_line_2026_03", "trigger a is none of the books'"),
    ),
    "a rule that swallows events": (
        "CREATE RULE x AS ON INSERT TO event_outbox DO INSTEAD NOTHING",
        ("table", "table event_outbox", "rule x rewrites"),
    ),
    "rows that are hidden": (
        "ALTER TABLE allocation ENABLE ROW LEVEL SECURITY",
        ("table", "table allocation", "row security hides"),
    ),
    "a service that is the owner": (
        "GRANT hovedbok_owner TO hovedbok_service",
        ("login", "login hovedbok_service", "a member of the owner"),
    ),
    "a service that is above it all": (
        "ALTER ROLE hovedbok_service SUPERUSER",
        ("login", "login hovedbok_service", "a superuser"),
    ),
    "a service whose triggers are silent": (
        "ALTER ROLE hovedbok_service SET session_replication_role = replica",
        ("login", "login hovedbok_service", "begin with session_replication_role=replica"),
    ),
    "everybody's triggers are silent": (
        (
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica',"
            " current_database()); END $$"
        ),
        ("login", "login of anybody", "begin with session_replication_role=replica"),
    ),
}
SILENT = "SET LOCAL session_replication_role = replica;"
# What the database refuses to hold twice, written by whom nothing stops.
TWICE = {
    "a number": (
        (
            "ALTER TABLE journal_entry DROP CONSTRAINT uq_journal_entry_voucher;"
            "UPDATE journal_entry SET voucher_no = 1, series_id = (SELECT min(series_id) FROM"
            " journal_entry)"
        ),
        "/2026/1",
    ),
    "a reference of an entry": (
        (
            "ALTER TABLE journal_entry DROP CONSTRAINT uq_journal_entry_source;"
            "UPDATE journal_entry SET source_ref = 'x'"
        ),
        "reference test x",
    ),
    "a reference of a batch": (
        (
            "ALTER TABLE posting_batch DROP CONSTRAINT uq_posting_batch_source;"
            "UPDATE posting_batch SET source_ref = 'x'"
        ),
        "reference test x",
    ),
    "a reversal": (
        (
            "DROP INDEX uq_journal_entry_reverses;"
            "UPDATE journal_entry SET entry_type = 'reversal', reverses_entry_id = 4711"
        ),
        "entry 4711",
    ),
    "an undoing": (
        (
            "DROP INDEX uq_allocation_reverses;"
            "ALTER TABLE allocation ALTER allocation_id DROP IDENTITY IF EXISTS;"
            "UPDATE allocation SET reverses_allocation_id = 4711, amount_minor = -1;"
            "INSERT INTO allocation SELECT allocation_id + 1, credit_item_id, debit_item_id,"
            " amount_minor, reverses_allocation_id, batch_id, effective_date, book_id, rule"
            " FROM allocation"
        ),
        "allocation 4711",
    ),
}


@pytest.fixture
def superuser(pg: PrivateServer, posted: str) -> Iterator[Engine]:
    """Whom nothing stops, in books with an invoice and its payment."""
    engine = create_engine(pg.url("postgres", posted))
    yield engine
    engine.dispose()


def test_guards_that_were_disarmed_are_named(superuser: Engine) -> None:
    """Each trigger is in its place, enabled, and of no use: verify says why."""
    for crime, (statements, (check, where, words)) in DISARMED.items():
        with Session(superuser) as session:
            assert service.verify(session) == [], "sound before the crime"
            session.execute(text(statements.replace(":=", r"\:=")))
            found = [
                one for one in service.verify(session) if (one.check, one.where) == (check, where)
            ]
            session.rollback()
        assert any(words in one.detail for one in found), f"{crime}: {found}"


def test_what_must_be_once_is_named_where_it_is_twice(superuser: Engine) -> None:
    """Also where the constraint that would have refused it is gone."""
    for crime, (statements, where) in TWICE.items():
        with Session(superuser) as session:
            session.execute(text(SILENT + statements))
            found = [one.where for one in service.verify(session) if one.check == "twice"]
            session.rollback()
        assert any(where in one for one in found), f"{crime}: {found}"


def test_an_account_that_is_gone_is_named(superuser: Engine) -> None:
    """Nothing was posted on it, and its history knows that it was there."""
    with Session(superuser) as session:
        gone = session.scalar(
            text("SELECT account_id FROM account WHERE number = '1749' ORDER BY account_id LIMIT 1")
        )
        session.execute(text(SILENT + f"DELETE FROM account WHERE account_id = {gone}"))
        said = {(one.check, one.where, one.detail) for one in service.verify(session)}
        session.rollback()
    assert ("account version", f"account id {gone}", "it had versions, and is gone") in said
