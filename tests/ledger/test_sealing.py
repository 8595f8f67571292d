"""Sealing: order, the horizon, who holds it back, and that nobody seals but the functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.refusals import NotYetKnown, SealOutOfStep
from ledger.seals import SealedBlock, block_hash, block_payload, is_signed
from ledger.service import batch_roots
from ledger.service.blocks import last_block
from ledger.service.signing import SealKeyUnusable, Signer, open_signer
from tests.ledger.conftest import post, seal_all

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


@pytest.fixture
def key(tmp_path: Path) -> Signer:
    """A sealing key of this test."""
    return open_signer(tmp_path / "seal-key")


def find_head(session: Session) -> SealedBlock:
    """The newest block, which is there."""
    newest = last_block(session)
    assert newest is not None
    return newest.block


@pytest.fixture
def open_write(pg: PrivateServer, posted: str) -> Iterator[psycopg.Connection]:
    """A forgotten transaction that has written, in another database of the server."""
    url = pg.url("postgres", "postgres").replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_current_xact_id()")
        yield connection
        connection.rollback()


def test_batches_are_sealed_in_order_under_a_signature(posted: str, key: Signer) -> None:
    """One block holds both batches and the master data; its signature and chain hold."""
    seal_all(key)
    with transaction() as session:
        rows = session.execute(text("SELECT * FROM seal_block ORDER BY block_no")).all()
        members = session.execute(text("SELECT position, batch_id FROM seal_member")).all()
        head = find_head(session)
    assert [position for position, _ in members] == [1, 2]
    assert [batch for _, batch in members] == sorted(batch for _, batch in members)
    assert is_signed(block_payload(head), rows[-1].signature, key.public_key)
    assert block_hash(head) == rows[-1].block_hash
    assert sum(row.entry_count for row in rows) == 2
    assert rows[0].master_count > 50


def test_no_more_entries_are_held_at_once_than_fit(
    posted: str, drafts: Drafts, key: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many large batches wait; a batch larger than that is read alone, and seals hold."""
    post(drafts.batch("b-3", *(drafts.invoice(f"i-{n}") for n in range(2, 5))))
    held: list[int] = []

    def leaves_of(*arguments: Any) -> dict[int, list[bytes]]:
        leaves = batch_leaves(*arguments)
        held.append(len(leaves))
        return leaves

    batch_leaves = batch_roots.batch_leaves
    monkeypatch.setattr(batch_roots, "batch_leaves", leaves_of)
    monkeypatch.setattr(batch_roots, "_ENTRIES_AT_A_TIME", 2)
    seal_all(key)
    assert held == [2, 1]
    monkeypatch.undo()
    with transaction("auditor") as session:
        assert service.verify(session) == []


def test_nothing_new_is_no_block(posted: str, key: Signer) -> None:
    """Sealing again writes nothing; a locked period, with its line in the log, is worth a block."""
    seal_all(key)
    with transaction() as session:
        assert service.seal(session, key).block is None
        service.lock_period(
            session, "NO01", "2026-01", module="GL", level="soft", actor="x", reason="x"
        )
    with transaction() as session:
        block = service.seal(session, key).block
    assert block is not None
    assert (block.batch_count, block.master_count) == (0, 2)


def test_a_forgotten_transaction_holds_back_and_is_named(
    open_write: psycopg.Connection, posted: str, drafts: Drafts, key: Signer
) -> None:
    """What was posted after an open transaction began waits, and the report says for whom."""
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-3", drafts.invoice("i-3")))
        late = session.scalar(text("SELECT max(batch_id) FROM posting_batch"))
    with transaction() as session:
        report = service.seal(session, key)
        sealed = session.scalars(text("SELECT batch_id FROM seal_member")).all()
    assert late not in sealed
    assert report.lag.unsealed_batches >= report.lag.held_batches >= 1
    pids = {(blocker.pid, blocker.database) for blocker in report.lag.blockers}
    assert (open_write.info.backend_pid, "postgres") in pids
    open_write.rollback()
    seal_all(key)
    with transaction() as session:
        assert late in session.scalars(text("SELECT batch_id FROM seal_member")).all()
        assert service.sealing_lag(session).unsealed_batches == 0


def test_a_batch_that_commits_late_comes_later(books: str, drafts: Drafts, key: Signer) -> None:
    """A batch that began first and committed last is sealed after what was known before it."""
    with transaction() as early:
        service.post_batch(
            early, drafts.batch("b-1", drafts.journal("j-1", ("1920", 5), ("1940", -5)))
        )
        with transaction() as session:
            posted = service.post_batch(session, drafts.batch("b-2", drafts.invoice("i-2")))
        with transaction() as session:
            service.seal(session, key)
            assert session.scalar(text("SELECT count(*) FROM seal_member")) == 0
    seal_all(key)
    with transaction() as session:
        order = session.scalars(text("SELECT batch_id FROM seal_member ORDER BY position")).all()
    assert order == [posted.batch_id - 1, posted.batch_id]


def test_a_restored_cluster_counts_transactions_anew(
    pg: PrivateServer, posted: str, drafts: Drafts, key: Signer
) -> None:
    """What names transactions of another cluster holds nothing up and hides nothing."""
    url = pg.url("postgres", posted).replace("+psycopg", "", 1)
    restore = "SET session_replication_role = replica; UPDATE {} = '999999999999'"
    with psycopg.connect(url) as connection:
        connection.execute(restore.format("posting_batch SET xid"))
    seal_all(key)
    with psycopg.connect(url) as connection:
        connection.execute(restore.format("seal_block SET horizon"))
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-3", drafts.invoice("i-3")))
    with transaction() as session:
        assert service.resolve_known(session, None) == service.Known(None, False, 2, 1)


def test_known_positions_resolve(posted: str, drafts: Drafts, key: Signer) -> None:
    """Without a position everything committed counts; with one, what was sealed up to it."""
    with transaction() as session:
        assert service.resolve_known(session, None) == service.Known(None, False, 0, 2)
    seal_all(key)
    with transaction() as session:
        assert service.resolve_known(session, None) == service.Known(None, True, 2, 0)
        assert service.resolve_known(session, 1) == service.Known(1, True, 2, 0)
        service.post_batch(session, drafts.batch("b-3", drafts.invoice("i-3")))
        assert service.resolve_known(session, 2) == service.Known(2, True, 2, 1)
        assert not service.resolve_known(session, None).sealed
        for beyond in (3, -1):
            with pytest.raises(NotYetKnown, match="reach from 0 to 2, and 1 batches"):
                service.resolve_known(session, beyond)


def test_the_functions_trust_no_sealer(pg: PrivateServer, posted: str, key: Signer) -> None:
    """A block out of chain, with too few batches or with wrong sums is refused by the database."""
    seal_all(key)
    seal = (
        "SELECT ledger_seal_block((SELECT to_jsonb(b) FROM seal_block b ORDER BY block_no DESC"
        " LIMIT 1) || '{}', '{{}}', '{{}}', '[]')"
    )
    follow = (
        '{"block_no": 99, "first_position": 3, "batch_count": 0, "last_position": 2,'
        ' "entry_count": 0, "line_count": 0, "debit_totals": {}, "master_count": 0}'
    )
    with transaction() as session:
        last = session.execute(text("SELECT max(block_no) AS n FROM seal_block")).scalar_one()
    good = follow.replace("99", str(last + 1))
    chained = seal.replace(
        "|| '{}'",
        f"|| '{good}' || (SELECT jsonb_build_object('prev_hash',"
        " block_hash) FROM seal_block ORDER BY block_no DESC LIMIT 1)",
    )
    attacks = {
        "a second head": (seal.format("{}"), "HB040"),
        "a hole in the numbers": (seal.format(follow), "HB040"),
        "another past": (seal.format(good), "HB040"),
        "an empty block": (chained.replace("'{{}}'", "'{}'"), "HB043"),
        "a batch that is sealed": (
            chained.replace("'{{}}'", "'{1}'", 1).replace("'{{}}'", "ARRAY[sha256('x')]"),
            "HB043",
        ),
        "a batch that does not exist": (
            chained.replace("'{{}}'", "'{4711}'", 1).replace("'{{}}'", "'{}'"), "HB041",
        ),
        "a key of another name": ("SELECT ledger_register_key('x', sha256('x'))", "HB042"),
        "a receipt of no block": ("SELECT ledger_record_anchor(1, sha256('x'), 'x', 'x')", "HB044"),
    }  # fmt: skip
    url = pg.url("service", posted).replace("+psycopg", "", 1)
    for name, (statement, state) in attacks.items():
        with pytest.raises(psycopg.Error) as caught, psycopg.connect(url) as connection:
            connection.execute(statement)
        assert caught.value.sqlstate == state, f"{name}: {caught.value}"


def test_a_sealer_that_was_overtaken_is_told(posted: str, key: Signer, session: Session) -> None:
    """The chain is checked again in the database, whatever the sealer believed."""
    seal_all(key)
    from ledger.service import sealing

    block = find_head(session)
    with pytest.raises(SealOutOfStep, match="Another sealer was faster"):
        sealing._insert(session, block, bytes(64), [], [])


@pytest.mark.parametrize("login", ["service", "owner", "postgres"])
def test_seals_are_facts(pg: PrivateServer, posted: str, key: Signer, login: str) -> None:
    """Nobody changes, removes or empties them, and the service does not even insert."""
    seal_all(key)
    with transaction() as session:
        head = find_head(session)
        session.execute(
            text("SELECT ledger_record_anchor(:n, :hash, 'x', 'x')"),
            {"n": head.block_no, "hash": block_hash(head)},
        )
    url = pg.url(login, posted).replace("+psycopg", "", 1)
    tables = {
        "signing_key": "key_id", "seal_block": "horizon", "seal_member": "position",
        "seal_master": "content", "seal_anchor": "receipt",
    }  # fmt: skip
    for table, column in tables.items():
        attacks = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}",
                   f"TRUNCATE {table} CASCADE"]  # fmt: skip
        if login == "service":
            attacks.append(f"INSERT INTO {table} DEFAULT VALUES")
        for attack in attacks:
            with pytest.raises(psycopg.Error) as caught, psycopg.connect(url) as connection:
                connection.execute(attack)
            assert caught.value.sqlstate in {"42501", "HB090"}, attack


def test_the_key_is_made_once_and_kept_close(tmp_path: Path, key: Signer) -> None:
    """The file is for its owner only; the same key is found again and never shown."""
    path = tmp_path / "seal-key"
    assert path.stat().st_mode & 0o777 == 0o600
    again = open_signer(path)
    assert again.public_key == key.public_key
    assert path.read_text().splitlines()[1] not in repr(again)
    assert [p.name for p in tmp_path.iterdir() if "draft" in p.name] == []
    path.chmod(0o644)
    with pytest.raises(SealKeyUnusable, match="may be read by others"):
        open_signer(path)
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(SealKeyUnusable, match="holds no Ed25519 key"):
        open_signer(path)
