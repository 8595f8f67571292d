"""A small month for the desk: two customers, their invoices, payments, files and suspense."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
from sqlalchemy.orm import Session

from ledger import closing
from ledger import service as ledger
from ledger.db import transaction
from ledger.drafts import Draft, draft_entry
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.service import draft_reading, drafting
from ledger.service.signing import signer
from ledger.vault import vault
from mediation.models import ControlMove, FileAlarm, SourceFile, Suspense
from party.models import SubscriptionAccount, SubscriptionOffering
from reporting import service
from reporting.seller import DEMO_SELLER
from reporting.service.closing import SUSPENDED, UNBILLED
from tests.ledger.conftest import seal_all
from tests.reporting.bills import BUSINESS, CONSUMER, charge
from tests.reporting.unbilled import SUBSCRIPTION, Unbilled

BOOK = "NO01"
SWITCH_FILE = "OSLMSC1_000002_20260302.ber"
MARCH_END = date(2026, 3, 31)
PAID = date(2026, 4, 20)
RECEIPT = b"%PDF-1.7\nA receipt.\n"
RECEIPT_HASH = sha256(RECEIPT).hexdigest()


def open_books() -> None:
    """Bill two customers for March, render their invoices, take one payment and one unknown."""
    unbilled = Unbilled()
    unbilled.owes(CONSUMER, charge(1, 123456, component="subscription", quantity=1, unit="month"))
    unbilled.owes(BUSINESS, charge(2, 9318, "net", quantity=3600, unit="s"))
    with transaction() as session:
        order = service.Order(BOOK, "2026-03", MARCH_END, DEMO_SELLER, "test")
        service.bill_next_chunk(session, order)
        service.render_invoices(session, vault(), service.unrendered(session, BOOK))
        _take_payments(session)
        _take_files(session)
        _subscribe(session)
        _write_draft(session)


def await_march(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close February and seal all, so that of the year March is next, and hold it to two checks."""
    monkeypatch.setattr(closing, "_room_checks", lambda: [UNBILLED, SUSPENDED])
    with transaction() as session:
        ledger.lock_period(session, BOOK, "2026-02", module="GL", level="soft", actor="x",
                           reason="x")  # fmt: skip
    seal_all(signer())


def _take_payments(session: Session) -> None:
    """The consumer pays in full; somebody pays 250 kroner with a KID that nobody has."""
    claim = next(
        item for item in ledger.open_items(session, BOOK) if item.party_id == CONSUMER.party_id
    )
    amount = claim.original_minor
    paid = _payment(
        "ocr/1", amount,
        Line("1500", -amount, party_id=claim.party_id, item=_money("ocr/1", claim.kid)),
    )  # fmt: skip
    stray = _payment(
        "ocr/2", 250_00, Line("2991", -250_00, item=_money("ocr/2", "123456789012347"))
    )
    use = AllocationDraft((0, 2), claim.open_item_id, amount, PAID, "kid")
    ledger.post_batch(
        session, BatchDraft(BOOK, "ocr", "ocr/1", "test", (paid, stray), allocations=(use,))
    )


def _payment(ref: str, amount: int, credit: Line) -> EntryDraft:
    lines = (Line("1940", amount), credit)
    return EntryDraft("PAY", PAID, PAID, "payment", ref, "Payment by OCR giro", lines)


def _money(ref: str, kid: str | None) -> ItemDraft:
    return ItemDraft("payment", ref, kid, PAID, PAID)


def _write_draft(session: Session) -> None:
    """A colleague's journal, changed once, waits for approval with its receipt."""
    lines = (Line("7830", 90_00, text="Fee"), Line("1920", -90_00))
    entry = draft_entry("JNL", PAID, PAID, "Bank charge April", lines)
    author = "staff:colleague"
    view, _ = drafting.create_draft(
        session, Draft(BOOK, entry), actor=author, key="first", ready=False
    )
    drafting.attach(session, vault(), view.draft_id, 1, "receipt.pdf", RECEIPT, actor=author)
    kept = draft_reading.read_draft(session, view.draft_id).draft
    lines = (Line("7830", 125_50, text="Fee"), Line("1920", -125_50))
    changed = replace(kept, entry=replace(kept.entry, lines=lines))
    drafting.save_draft(session, view.draft_id, 2, changed, actor=author, ready=True)


def _subscribe(session: Session) -> None:
    """The consumer's subscription has an offering and a payer since January."""
    since = datetime(2026, 1, 14, 23, tzinfo=UTC)
    number = SUBSCRIPTION + CONSUMER.billing_account_id
    account = CONSUMER.billing_account_id
    session.add_all(
        [
            SubscriptionOffering(subscription_id=number, offering="MOBIL-5GB", valid_from=since),
            SubscriptionAccount(
                subscription_id=number, billing_account_id=account, valid_from=since
            ),
        ]
    )


def _take_files(session: Session) -> None:
    """Register a switch's file whose sums tie, and a parked one with an alarm."""
    parked = {"source_system": "NORSE", "format": "tap", "state": "parked", "size": 900}
    switch = {"source_system": "OSLMSC1", "format": "msc", "state": "accepted", "size": 48_211}
    session.add_all(
        [
            SourceFile(
                file_id=1, name="CDNORSE00001", sha256="a" * 64, reason="no_decoder",
                record_count=0, **parked,
            ),
            SourceFile(
                file_id=2, name=SWITCH_FILE, sha256="b" * 64, record_count=1204, **switch
            ),
        ]
    )  # fmt: skip
    session.flush()
    session.add(FileAlarm(file_id=1, kind="SEQUENCE_GAP", detail="Files 2 to 4 are missing."))
    for measure, to_bucket, reason, quantity in _MOVES:
        session.add(
            ControlMove(
                file_id=2, measure=measure, from_bucket="received", to_bucket=to_bucket,
                reason=reason, quantity=quantity, cause="file 2",
            )
        )  # fmt: skip
    for record_no, reason, offset in ((17, "UNKNOWN_SUBSCRIBER", 2_048), (311, "NO_RATE", 40_960)):
        session.add(
            Suspense(
                file_id=2, record_no=record_no, part_no=0, reason=reason, work_group="party",
                byte_offset=offset, seconds=50, octets=0, detail="No subscription had it then.",
            )
        )  # fmt: skip


_MOVES = (
    ("records", "accepted", "", 1_190),
    ("records", "filtered", "ZERO_USAGE", 8),
    ("records", "duplicate", "EXACT", 4),
    ("records", "suspended", "UNKNOWN_SUBSCRIBER", 2),
    ("seconds", "accepted", "", 87_900),
    ("seconds", "duplicate", "EXACT", 120),
    ("seconds", "suspended", "UNKNOWN_SUBSCRIBER", 100),
)
