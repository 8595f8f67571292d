"""One flipped byte in any column of sealed books, a cut tail, a rewritten past: found, by name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.journal import AllocationDraft
from ledger.service.anchors import AnchorPlaceUnusable, write_anchor
from ledger.service.guards import GUARDS
from ledger.service.histories import histories
from ledger.service.signing import Signer, open_signer
from ledger.service.verify import verification_steps
from tests.ledger.conftest import APRIL, seal_all
from tests.ledger.furnished import furnish

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

# What is asked of the books and what is sent from them is no fact of theirs: what a request posted
# is sealed, and so are the events that a webhook tells; see histories.
UNSEALED = {
    "posting_request", "posting_request_step", "webhook", "webhook_ended", "webhook_replay",
    "webhook_delivery",
}  # fmt: skip
# What other rooms seal as master data is tried where its rows are made: test_tariff_corruption.
ELSEWHERE = {"tariff_book", "tariff_verdict"}
TABLES = sorted({*GUARDS, *histories(), "account"} - UNSEALED - ELSEWHERE)

IDENTITIES = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = 'public' AND is_identity = 'YES'"
)


@pytest.fixture
def key(tmp_path: Path) -> Signer:
    """A sealing key of this test."""
    return open_signer(tmp_path / "seal-key")


@pytest.fixture
def superuser(pg: PrivateServer, books: str, drafts: Drafts, key: Signer) -> Iterator[Engine]:
    """Whom no guard stops, in books that are sealed in two blocks."""
    with transaction() as session:
        first = service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
        settle = AllocationDraft((0, 2), first.open_item_ids[0, 1], 5_00, APRIL, "kid")
        payment = drafts.payment("p-1", 5_00)
        service.post_batch(session, drafts.batch("b-2", payment, allocations=(settle,)))
        service.lock_period(
            session, "NO01", "2026-01", module="GL", level="hard", actor="x", reason="x"
        )
    seal_all(key)
    with transaction() as session:
        assert service.fold_balances(session, "NO01", least_deltas=1)
        service.post_batch(
            session, drafts.batch("b-3", drafts.journal("j-1", ("1920", 5), ("1940", -5)))
        )
    seal_all(key)
    engine = create_engine(pg.url("postgres", books))
    yield engine
    engine.dispose()


@pytest.fixture
def furnished(
    pg: PrivateServer, books: str, drafts: Drafts, key: Signer, tmp_path: Path
) -> Iterator[Engine]:
    """Whom no guard stops, in sealed and anchored books with a value in every column."""
    engine = create_engine(pg.url("postgres", books))
    furnish(engine, drafts, key, str(tmp_path / "anchors"))
    yield engine
    engine.dispose()


@pytest.fixture
def anchors(superuser: Engine, tmp_path: Path) -> str:
    """A folder outside the database with the signed head."""
    place = str(tmp_path / "anchors")
    with transaction() as session:
        write_anchor(session, place)
    return place


FLIPS = {
    "bigint": "{} + 1024", "integer": "{} + 1024", "smallint": "{} + 1024", "boolean": "NOT {}",
    "text": "{} || 'x'", "character": "CASE {} WHEN 'A' THEN 'L' ELSE 'A' END",
    "character varying": "CASE {} WHEN 'NOK' THEN 'ZZZ' ELSE 'NOK' END",
    "date": "{} + 1", "timestamp with time zone": "{} + interval '1 microsecond'",
    "bytea": "set_byte({}, 0, get_byte({}, 0) # 1)", "jsonb": "'{{\"x\": 1}}'::jsonb",
    "xid8": "({}::text::bigint + 1)::text::xid8",
}  # fmt: skip


def columns(session: Session, tables: Sequence[str] = TABLES) -> list[tuple[str, str, str]]:
    """Give (table, column, an expression for another value) of every column, by catalogue."""
    rows = session.execute(
        text(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = ANY (:tables) ORDER BY 1, 2"
        ),
        {"tables": list(tables)},
    )
    return [
        (table, column, FLIPS[kind].format(f'"{column}"', f'"{column}"'))
        for table, column, kind in rows
    ]


def corrupt(
    session: Session, table: str, column: str, value: str
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Change one row behind the backs of the triggers; give it as it was and as it is.

    None where a constraint stopped it, which is as good.
    """
    chosen = text(
        f"SELECT tableoid, ctid, to_jsonb(t) FROM {table} t"
        f' WHERE "{column}" IS NOT NULL ORDER BY tableoid, ctid LIMIT 1'
    )
    oid, ctid, before = session.execute(chosen).one()
    try:
        with session.begin_nested():
            after = session.execute(
                text(
                    f'UPDATE {table} t SET "{column}" = {value}'
                    " WHERE tableoid = :oid AND ctid = :ctid RETURNING to_jsonb(t)"
                ),
                {"oid": oid, "ctid": ctid},
            ).scalar_one()
    except IntegrityError:
        return None
    return before, after


# How verify names a row: the words, and the columns that follow them.
NAMES = (
    ("batch {}", "batch_id"), ("entry {}", "entry_id"), ("open item {}", "open_item_id"),
    ("allocation {}", "allocation_id"), ("account {}", "number"), ("block {}", "block_no"),
    ("position {}", "position"), ("draft {}", "draft_id"), ("document {}", "receipt"),
)  # fmt: skip


def names(session: Session, table: str, row: dict[str, Any]) -> set[str]:
    """Say by which words verify may locate a row: its own, its batch's, or its block's."""
    key = session.scalars(
        text(
            "SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey)"
            " WITH ORDINALITY k (attnum, place) JOIN pg_attribute a"
            " ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
            " WHERE i.indrelid = CAST(:table AS regclass) AND i.indisprimary ORDER BY k.place"
        ),
        {"table": table},
    ).all()
    found = {f"{table} {'/'.join(str(row[column]) for column in key)}"}
    found |= {words.format(row[column]) for words, column in NAMES if row.get(column) is not None}
    for column in ("entry_id", "open_item_id", "allocation_id"):
        if row.get(column) is not None:
            found.add(f"batch {row[column] >> 20}")
    if table == "voucher_counter":
        found.add(f"series id {row['series_id']} of {row['fiscal_year']}")
    return found


def rounds(session: Session) -> list[list[tuple[str, str, str]]]:
    """Share the columns out: a column of each table of master data at a time, any other alone.

    Master data is compared row by row, so that one change hides no other; it makes fewer rounds.
    """
    together, alone = defaultdict[int, list[tuple[str, str, str]]](list), []
    for table, of_table in groupby(columns(session), key=itemgetter(0)):
        for place, one in enumerate(of_table):
            together[place].append(one) if table in histories() else alone.append([one])
    return [*together.values(), *alone]


@pytest.mark.timeout(900)
def test_every_column_is_guarded_by_some_check(furnished: Engine) -> None:
    """By catalogue: no column of any fact or of master data can be changed unseen, or unlocated.

    A column that holds no value in these books is a failure: furnish it.
    """
    with Session(furnished) as session:
        assert service.verify(session) == []
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for table, column in session.execute(text(IDENTITIES)).all():
            session.execute(text(f'ALTER TABLE {table} ALTER "{column}" DROP IDENTITY'))
        loosened = service.verify(session)  # Told of every round, and no credit to any of them.
        assert {fault.check for fault in loosened} == {"catalogue"}
        stopped: list[str] = []
        unseen: dict[str, object] = {}
        for some in rounds(session):
            undo = session.begin_nested()
            changed = {}
            for table, column, value in some:
                if not session.scalar(text(f'SELECT count("{column}") FROM {table}')):
                    unseen[f"{table}.{column}"] = "holds no value; see furnished.py"
                    continue
                rows = corrupt(session, table, column, value)
                if rows is None:
                    stopped.append(f"{table}.{column}")
                else:
                    changed[f"{table}.{column}"] = [names(session, table, row) for row in rows]
            faults = [fault for fault in service.verify(session) if fault not in loosened]
            for where, words in changed.items():
                if not any(says(fault, set().union(*words)) for fault in faults):
                    unseen[where] = words, faults[:3]
            undo.rollback()
        assert service.verify(session) == loosened
        session.rollback()
    assert unseen == {}, stopped
    assert len(stopped) < 25, stopped


def says(fault: service.Fault, words: set[str]) -> bool:
    said = f"{fault.where}: {fault.detail}"
    return any(re.search(rf"{re.escape(one)}(?![\w/])", said) for one in words)


def crime(session: Session, *statements: str) -> dict[str, list[str]]:
    """Change the past with the triggers off; give what verify says, by check."""
    session.execute(text("SET LOCAL session_replication_role = replica"))
    for statement in statements:
        session.execute(text(statement))
    said: dict[str, list[str]] = {}
    for fault in service.verify(session):
        said.setdefault(fault.check, []).append(f"{fault.where}: {fault.detail}")
    session.rollback()
    return said


def test_a_changed_rate_is_named_with_what_it_was(superuser: Engine) -> None:
    """Master data is compared column by column with what was sealed."""
    with Session(superuser) as session:
        said = crime(session, "UPDATE vat_code SET rate_bp = 1500 WHERE rate_bp = 2500")
        assert any("rate_bp was '2500' when block 1 sealed it" in s for s in said["master data"])
        said = crime(session, "UPDATE vat_code SET valid_to = '2030-01-01'")
        assert said == {}  # A code may come to an end, once.
        said = crime(session, "DELETE FROM period_lock_event")
        assert any("sealed it, and it is gone" in s for s in said["master data"])
        said = crime(session, "UPDATE account SET name = 'x' WHERE number = '1500'")
        assert said["account version"] == [
            "account 1500: it is not what its last version says: name"
        ]


def test_the_next_seal_does_not_launder_a_change(superuser: Engine, key: Signer) -> None:
    """A forged rate is never sealed as if it were new: verify names it for ever."""
    with superuser.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE vat_code SET rate_bp = 1500 WHERE rate_bp = 2500"))
    with transaction() as session:
        service.seal(session, key)
    with transaction("auditor") as session:
        assert {fault.check for fault in service.verify(session)} == {"master data"}


CUT = (
    "DELETE FROM seal_anchor",
    "DELETE FROM seal_master WHERE block_no >= {block}",
    "DELETE FROM seal_member WHERE block_no >= {block}",
    "DELETE FROM seal_block WHERE block_no >= {block}",
    *(
        f"DELETE FROM {table} WHERE {batch} NOT IN (SELECT batch_id FROM seal_member)"
        for table, batch in {
            "event_outbox": "batch_id", "balance_delta": "batch_id", "batch_closed": "batch_id",
            "journal_line": "entry_id >> 20", "journal_entry": "entry_id >> 20",
            "posting_batch": "batch_id",
        }.items()
    ),
    "DELETE FROM voucher_counter WHERE series_id NOT IN (SELECT series_id FROM journal_entry)",
)  # fmt: skip


def test_a_removed_tail_is_found_by_the_anchor(superuser: Engine, anchors: str) -> None:
    """A tail cut off with everything that names it leaves books that hold; the anchor does not."""
    with Session(superuser) as session:
        last = session.scalar(text("SELECT max(block_no) FROM seal_block"))
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in CUT:
            session.execute(text(statement.format(block=last)))
        assert service.verify(session) == []
        faults = [fault for _, step in verification_steps([anchors]) for fault in step(session)]
        assert [fault.check for fault in faults] == ["anchor"]
        assert f"block {last} with positions up to 3" in faults[0].detail
        assert "the tail was removed" in faults[0].detail


def test_a_past_rewritten_under_another_key_is_found_by_the_anchor(
    superuser: Engine, anchors: str, tmp_path: Path
) -> None:
    """Whoever makes a new key and seals everything again still contradicts what was anchored."""
    with superuser.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in ("seal_anchor", "seal_master", "seal_member", "seal_block", "signing_key"):
            connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("UPDATE vat_code SET rate_bp = 1500 WHERE rate_bp = 2500"))
    seal_all(open_signer(tmp_path / "forged-key"))
    with transaction("auditor") as session:
        faults = [fault for _, step in verification_steps([anchors]) for fault in step(session)]
    assert [fault.check for fault in faults] == ["anchor"]


def test_an_anchor_is_written_once_and_missed_when_it_is_gone(anchors: str) -> None:
    """The same head twice is one document and one receipt; other content is not overwritten."""
    with transaction() as session:
        anchor, _ = write_anchor(session, anchors)
        assert session.scalar(text("SELECT count(*) FROM seal_anchor")) == 1
    document = Path(anchors) / anchor.name
    whole = document.read_bytes()
    document.write_bytes(whole.replace(b'"entry_count": ', b'"entry_count": 1'))
    with transaction() as session, pytest.raises(AnchorPlaceUnusable, match="another document"):
        write_anchor(session, anchors)
    with transaction("auditor") as session:
        assert "was changed" in service.verify(session)[0].detail
    document.unlink()
    with transaction("auditor") as session:
        assert "it was written and is gone" in service.verify(session)[0].detail
    document.write_bytes(whole)
    with transaction("auditor") as session:
        assert service.verify(session) == []


@pytest.mark.parametrize("octets", [0, 100])
def test_an_anchor_whose_writer_died_over_it_is_written_again(anchors: str, octets: int) -> None:
    """A part of a document says nothing else than the whole; nothing else is left beside it."""
    with transaction() as session:
        anchor, _ = write_anchor(session, anchors)
    document = Path(anchors) / anchor.name
    whole = document.read_bytes()
    document.write_bytes(whole[:octets])
    with transaction() as session:
        write_anchor(session, anchors)
    assert (document.read_bytes(), list(Path(anchors).iterdir())) == (whole, [document])


def test_incremental_verification_reads_what_no_anchor_covers(
    superuser: Engine, anchors: str, drafts: Drafts, key: Signer
) -> None:
    """A change before the last anchor is left to the full run, one after it is found at once."""
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-4", drafts.invoice("i-4")))
    change = "UPDATE journal_entry SET text = 'x' WHERE source_ref = '{}'"
    for sealed in (False, True):
        for ref, found in (("i-1", False), ("i-4", True)):
            with Session(superuser) as session:
                session.execute(text("SET LOCAL session_replication_role = replica"))
                session.execute(text(change.format(ref)))
                steps = verification_steps(incremental=True)
                faults = [fault.check for _, step in steps for fault in step(session)]
                assert faults == (["entry hash"] if found else []), (sealed, ref)
                session.rollback()
        seal_all(key)
