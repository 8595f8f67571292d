"""Verify: what no guard can stop a superuser from doing is found, and named where it is."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from ledger import service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.service import rehash
from tests.ledger.conftest import post

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

APRIL = date(2026, 4, 20)

# What a superuser does with the triggers off, and the checks that must name it.
CRIMES = {
    "change an amount on one line": (
        ("UPDATE journal_line SET amount_minor = amount_minor + 1 WHERE line_no = 2"
        " AND effective_date = '2026-03-31'"),
        {"entry balance", "deltas and lines", "entry hash"},
    ),
    "change both sides and the deltas": (
        ("UPDATE journal_line SET amount_minor = amount_minor * 2, base_minor = base_minor * 2"
        " WHERE line_no > 1 AND effective_date = '2026-03-31';"
        "UPDATE journal_line SET amount_minor = amount_minor * 2, base_minor = base_minor * 2"
        " WHERE line_no = 1 AND effective_date = '2026-03-31';"
        "UPDATE open_item SET original_minor = original_minor * 2, base_minor = base_minor * 2"
        " WHERE effective_date = '2026-03-31';"
        "UPDATE balance_delta SET debit_minor = debit_minor * 2, credit_minor = credit_minor * 2,"
        " base_debit_minor = base_debit_minor * 2, base_credit_minor = base_credit_minor * 2"
        " WHERE effective_date = '2026-03-31'"),
        {"entry hash"},
    ),
    "move a line to another account": (
        ("UPDATE journal_line SET account_id = (SELECT min(account_id) FROM account)"
        " WHERE line_no = 2 AND effective_date = '2026-03-31'"),
        {"deltas and lines", "entry hash"},
    ),
    "change a text": ("UPDATE journal_line SET text = 'x' WHERE line_no = 3", {"entry hash"}),
    "change a VAT base": (
        "UPDATE journal_line SET tax_base_minor = 1 WHERE line_no = 3", {"entry hash"},
    ),
    "change the party": (
        ("UPDATE journal_line SET party_id = 99 WHERE party_id = 1;"
        "UPDATE open_item SET party_id = 99 WHERE party_id = 1"), {"entry hash"},
    ),
    "change a due date": ("UPDATE open_item SET due_date = '2027-01-01'", {"entry hash"}),
    "change a header's text": ("UPDATE journal_entry SET text = 'x'", {"entry hash"}),
    "change who posted it": ("UPDATE posting_batch SET created_by = 'x'", {"entry hash"}),
    "renumber": (
        "UPDATE journal_entry SET voucher_no = 7 WHERE entry_type = 'invoice'",
        {"entry hash", "voucher gap"},
    ),
    "remove an entry": (
        ("DELETE FROM open_item WHERE entry_id IN (SELECT entry_id FROM journal_entry"
        " WHERE entry_type = 'payment'); DELETE FROM allocation;"
        "DELETE FROM journal_line WHERE effective_date = '2026-04-20';"
        "DELETE FROM balance_delta WHERE effective_date = '2026-04-20';"
        "DELETE FROM journal_entry WHERE entry_type = 'payment'"),
        {"batch totals", "voucher gap"},
    ),
    "remove a batch": (
        "DELETE FROM posting_batch WHERE source_ref = 'b-1'", {"orphan entry"},
    ),
    "remove a line": (
        "DELETE FROM journal_line WHERE line_no = 3",
        {"entry balance", "entry lines", "deltas and lines", "entry hash"},
    ),
    "add a line": (
        ("INSERT INTO journal_line (entry_id, line_no, effective_date, account_id, amount_minor,"
        " base_minor, currency) SELECT entry_id, 9, effective_date, account_id, 5, 5, currency"
        " FROM journal_line LIMIT 1"),
        {"entry balance", "entry lines", "deltas and lines", "entry hash"},
    ),
    "change a delta": (
        "UPDATE balance_delta SET debit_minor = debit_minor + 1", {"deltas and lines"},
    ),
    "change an item": (
        "UPDATE open_item SET original_minor = original_minor + 1 WHERE kind = 'invoice'",
        {"control account", "open item"},
    ),
    "remove an item": (
        "DELETE FROM open_item WHERE kind = 'payment'",
        {"control account", "open item", "batch totals", "entry hash"},
    ),
    "allocate too much": ("UPDATE allocation SET amount_minor = 999999", {"allocation"}),
    "allocate the wrong way": (
        "UPDATE allocation SET credit_item_id = debit_item_id, debit_item_id = credit_item_id",
        {"allocation"},
    ),
    "reopen a batch": ("DELETE FROM batch_closed", {"batch not closed"}),
    "lose a counter": ("UPDATE voucher_counter SET last_no = 99", {"voucher gap"}),
    "drop a trigger": ("DROP TRIGGER refuse_change ON open_item", {"guard"}),
    "disable a trigger": ("ALTER TABLE allocation DISABLE TRIGGER refuse_change", {"guard"}),
    "disable all triggers of a partition": (
        "ALTER TABLE journal_line_2026_03 DISABLE TRIGGER ALL", {"guard"},
    ),
    "drop the statement trigger of a partition": (
        "DROP TRIGGER refuse_truncate ON balance_delta_2026_03", {"guard"},
    ),
    "drop the commit check": ("DROP TRIGGER check_batch ON posting_batch", {"guard"}),
    "detach a partition": (
        "ALTER TABLE journal_line DETACH PARTITION journal_line_2026_03",
        {"partition", "deltas and lines", "entry lines"},
    ),
}  # fmt: skip


def test_every_crime_is_found_and_named(pg: PrivateServer, posted: str) -> None:
    """With replication role on, every trigger is silent; verify is not."""
    engine = create_engine(pg.url("postgres", posted))
    for crime, (statements, expected) in CRIMES.items():
        with Session(engine) as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements.split(";"):
                session.execute(text(statement))
            faults = service.verify(session)
            assert expected <= {fault.check for fault in faults}, f"{crime}: {faults}"
            session.rollback()
    engine.dispose()


@pytest.mark.parametrize("held", [1, 2, 3])
def test_every_entry_is_hashed_however_few_are_held_at_once(
    pg: PrivateServer, posted: str, drafts: Drafts, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """Across the ends of batches and in the midst of them; the last and the first one too."""
    monkeypatch.setattr(rehash, "_ENTRIES_AT_A_TIME", held)
    post(drafts.batch("b-3", *(drafts.invoice(f"i-{n}") for n in range(2, 5))))
    engine = create_engine(pg.url("postgres", posted))
    with Session(engine) as session:
        assert list(rehash.wrong_leaves(session)) == []
        session.execute(text("SET LOCAL session_replication_role = replica"))
        changed = session.scalars(
            text("UPDATE journal_entry SET text = text || '!' RETURNING entry_id")
        ).all()
        found = [entry_id for entry_id, _ in rehash.wrong_leaves(session)]
        session.rollback()
    engine.dispose()
    assert (len(found), found) == (5, sorted(changed))


def test_sound_books_have_no_faults(posted: str) -> None:
    """Verify says nothing of books that hold, also inside the transaction that posts."""
    with transaction("auditor") as session:
        assert service.verify(session) == []
    with transaction() as session:
        drafts_in_flight = service.verify(session)
    assert drafts_in_flight == []


def test_a_registered_gap_is_no_fault(pg: PrivateServer, posted: str) -> None:
    """A missing number with an explanation in the gap register is not a gap."""
    url = pg.url("postgres", posted).replace("+psycopg", "", 1)
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE voucher_counter SET last_no = last_no + 1;"
            "INSERT INTO voucher_gap (series_id, fiscal_year, voucher_no, reason, actor)"
            " SELECT series_id, fiscal_year, last_no, 'printer test', 'x' FROM voucher_counter"
            " WHERE series_id = (SELECT series_id FROM voucher_series WHERE code = 'SAL')"
        )
    with transaction("auditor") as session:
        assert service.gaps(session) == ["PAY/2026/2"]
