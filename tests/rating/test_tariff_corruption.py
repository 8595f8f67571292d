"""One changed column of a tariff version or of a verdict is found by verify, and named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

import app
from ledger import service as ledger
from ledger import verifying
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.service.signing import open_signer
from rating import service
from tests.ledger.conftest import seal_all
from tests.ledger.test_corruption import IDENTITIES, columns, corrupt, names, says
from tests.rating.tariffs import SMALL

TABLES = ("tariff_book", "tariff_verdict")


@pytest.fixture
def superuser(pg: PrivateServer, db: str) -> Iterator[Engine]:
    """Whom no guard stops, in a home with one tariff that was approved with a remark."""
    with transaction() as session:
        book = service.propose_tariff(session, SMALL.encode(), actor="staff:maja").book
        service.approve_tariff(
            session, book.label, book.content_hash, judge="staff:jens", comment="As agreed"
        )
    verifying.configure(
        lambda: {name: app._load(target) for name, target in app.VERIFY_CHECKS.items()}
    )
    engine = create_engine(pg.url("postgres", db))
    yield engine
    engine.dispose()
    verifying.configure(dict)


def unseen(session: Session, wanted: set[str]) -> dict[str, object]:
    """Change column after column; give those that verify does not find, or does not locate.

    What the catalogue is loosened by for that is told of each, and no credit to any.
    """
    missed: dict[str, object] = {}
    session.execute(text("SET LOCAL session_replication_role = replica"))
    for table, column in session.execute(text(IDENTITIES)).all():
        session.execute(text(f'ALTER TABLE {table} ALTER "{column}" DROP IDENTITY'))
    loosened = ledger.verify(session)
    assert {fault.check for fault in loosened} == {"catalogue"}
    for table, column, value in columns(session, TABLES):
        if f"{table}.{column}" not in wanted:
            continue
        undo = session.begin_nested()
        rows = corrupt(session, table, column, value)
        faults = [fault for fault in ledger.verify(session) if fault not in loosened]
        undo.rollback()
        if rows is None:
            continue  # A constraint stopped it, which is as good.
        words = set().union(*(names(session, table, row) for row in rows))
        if not any(says(fault, words) for fault in faults):
            missed[f"{table}.{column}"] = words, faults
    session.rollback()
    session.execute(text("SET LOCAL session_replication_role = replica"))
    return missed


def test_a_changed_tariff_is_found_under_its_seal(superuser: Engine, tmp_path: Path) -> None:
    """By catalogue: every column of versions and verdicts; a changed price by its line."""
    seal_all(open_signer(tmp_path / "seal-key"))
    with Session(superuser) as session:
        assert ledger.verify(session) == []
        every = {f"{table}.{column}" for table, column, _ in columns(session, TABLES)}
        assert len(every) == 14
        assert unseen(session, every) == {}
        session.execute(
            text("UPDATE tariff_book SET source = replace(source, '19.90', '9.90'),"
                 " content_hash = repeat('0', 64)")
        )  # fmt: skip
        said = [f"{fault.check}: {fault.where}: {fault.detail}" for fault in ledger.verify(session)]
        assert len(said) == 4, said
        (line,) = [one for one in said if " of source was " in one]
        assert (" was '" in line, "9.90" in line, len(line) < 300) == (True, True, True)
        assert any("tariff_book 1: content_hash was" in one for one in said)
        assert any(one.startswith("tariff: tariff_book 1: SMALL/1: its text has") for one in said)
        assert any(one.startswith("tariff: tariff_verdict 1: SMALL/1: it was of") for one in said)


def test_a_changed_tariff_is_found_before_its_seal(superuser: Engine) -> None:
    """What hash and text say of one another needs no seal; nor that nobody judges their own."""
    with Session(superuser) as session:
        assert ledger.verify(session) == []
        told = {f"tariff_book.{column}" for column in
                ("name", "version", "valid_from", "content_hash", "source")}  # fmt: skip
        assert unseen(session, {*told, "tariff_verdict.content_hash"}) == {}
        session.execute(text("UPDATE tariff_verdict SET judge = 'staff:maja'"))
        (fault,) = ledger.verify(session)
        assert "staff:maja judged what they had proposed themselves" in fault.detail
