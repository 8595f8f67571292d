"""Drafts that the tests of the ledger share, and a seeded book with its periods open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date

import pytest

from ledger import closing, service
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.journal import (
    AllocationDraft,
    BatchDraft,
    EntryDraft,
    ItemDraft,
    Line,
    Posted,
)
from ledger.service.signing import Signer
from tests.ledger.crashes import Saboteur, sabotage

BOOK = "NO01"
MARCH = date(2026, 3, 31)
APRIL = date(2026, 4, 20)


class Drafts:
    """Builds invoices, payments and journals; source references are what the test says."""

    book = BOOK

    def invoice(self, ref: str, gross: int = 125_00, party: int = 1) -> EntryDraft:
        """Draft an invoice of a gross amount with 25 % VAT on 1500."""
        vat = gross // 5
        item = ItemDraft("invoice", ref, f"{party:08d}", MARCH, date(2026, 4, 14))
        return EntryDraft(
            "SAL", MARCH, MARCH, "invoice", ref, "Faktura",
            (
                Line("1500", gross, party_id=party, item=item),
                Line("1530", vat - gross, dimensions={"product": "mobile", "area": "consumer"}),
                Line("2700", -vat, vat_code="3", tax_base_minor=vat - gross, text="MVA"),
            ),
        )  # fmt: skip

    def payment(self, ref: str, amount: int, party: int = 1) -> EntryDraft:
        """Draft a payment by OCR onto 1500."""
        item = ItemDraft("payment", ref, None, APRIL, APRIL)
        lines = (Line("1940", amount), Line("1500", -amount, party_id=party, item=item))
        return EntryDraft("PAY", APRIL, APRIL, "payment", ref, "Innbetaling", lines)

    def journal(self, ref: str, *amounts: tuple[str, int], day: date = MARCH) -> EntryDraft:
        """Draft a manual journal of plain lines."""
        lines = tuple(Line(account, amount) for account, amount in amounts)
        return EntryDraft("JNL", day, day, "manual", ref, "Bilag", lines)

    def batch(self, ref: str, *entries: EntryDraft, **more: object) -> BatchDraft:
        """Draft a batch of the source system 'test'."""
        return BatchDraft(BOOK, "test", ref, "tester", entries, **more)  # type: ignore[arg-type]


def post(draft: BatchDraft) -> Posted:
    """Post in a transaction of its own, so that the commit check runs."""
    with transaction() as session:
        return service.post_batch(session, draft)


@pytest.fixture(autouse=True)
def _no_rooms_above() -> Iterator[None]:
    """Close months by the ledger's own checks, whatever a test before asked of this process."""
    # A patch of its own: that of the test ends before its database does.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "_room_checks", tuple)
        yield


@pytest.fixture
def drafts() -> Drafts:
    """The builder of drafts."""
    return Drafts()


@pytest.fixture
def books(_seeded: str, db: str) -> str:
    """A committed book NO01 with the periods of 2026 open; gives the database's name."""
    return db


@pytest.fixture
def posted(books: str, drafts: Drafts) -> str:
    """An invoice, and a payment that is allocated to it; gives the database's name."""
    first = post(drafts.batch("b-1", drafts.invoice("i-1")))
    settle = AllocationDraft((0, 2), first.open_item_ids[0, 1], 5_00, APRIL, "kid")
    post(drafts.batch("b-2", drafts.payment("p-1", 5_00), allocations=(settle,)))
    return books


@pytest.fixture
def saboteur(pg: PrivateServer, db: str) -> Iterator[Saboteur]:
    """Who cuts the lines of this process to its database."""
    made = sabotage(pg.url("postgres", db).replace("+psycopg", "", 1))
    yield made
    made.close()


def seal_all(key: Signer) -> None:
    """Seal until every batch is: whoever was just cut off may hold the horizon for a moment."""
    deadline = time.monotonic() + 60
    while True:
        with transaction() as session:
            lag = service.seal(session, key).lag
        if not lag.unsealed_batches:
            return
        assert time.monotonic() < deadline, lag
        time.sleep(0.05)
