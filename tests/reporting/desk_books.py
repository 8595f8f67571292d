"""A small month for the desk: two customers, their invoices, payments, files and suspense.

Stands in for party, rating and mediation as `unbilled` does, so that the pages can be tried alone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import NotFound
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.vault import vault
from party.service import (
    AccountOfCustomer,
    CustomerFacts,
    CustomerRow,
    SubscriptionOfCustomer,
)
from reporting import service
from reporting.seller import DEMO_SELLER
from reporting.web import sources
from tests.reporting.bills import BUSINESS, CONSUMER, charge
from tests.reporting.unbilled import Unbilled

BOOK = "NO01"
MARCH_END = date(2026, 3, 31)
PAID = date(2026, 4, 20)

CUSTOMERS = [
    CustomerFacts(
        party_id=account.party_id, customer_no=f"1{account.party_id:06d}", name=account.name,
        kind="organisation" if account.org_no else "person", org_no=account.org_no, email=None,
        street=account.street, postcode=account.postcode, city=account.city, country="NO",
        accounts=(
            AccountOfCustomer(account.billing_account_id, account.number, account.segment),
        ),
        subscriptions=(
            SubscriptionOfCustomer(
                1, "S1", "MOBIL-5GB", "4790000001", datetime(2026, 1, 14, 23, tzinfo=UTC), None
            ),
        ),
    )
    for account in (CONSUMER, BUSINESS)
]  # fmt: skip

FILES = [
    sources.FeedFile(
        2, "OSLMSC1_000002_20260302.ber", "OSLMSC1", "decoded", None, 48_211, "b" * 64,
        datetime(2026, 3, 3, 2, 0, tzinfo=UTC),
        (
            sources.MeasureTotals("records", 1_204, 1_190, 8, 4, 2),
            sources.MeasureTotals("seconds", 88_120, 87_900, 0, 120, 100),
        ),
    ),
    sources.FeedFile(
        1, "TAP3_NORSE_00001", "NORSE", "parked", "no_decoder", 900, "a" * 64,
        datetime(2026, 3, 2, 2, 0, tzinfo=UTC), (),
        (("SEQUENCE_GAP", "Files 2 to 4 of NORSE are missing."),),
    ),
]  # fmt: skip

SUSPENDED = [
    sources.SuspendedRecord(2, FILES[0].name, 17, 2_048, "unknown_number", "IMSI 2420100…"),
    sources.SuspendedRecord(2, FILES[0].name, 311, 40_960, "no_rate", None),
]


def open_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bill two customers for March, render their invoices, take one payment and one unknown."""
    unbilled = Unbilled()
    unbilled.install(monkeypatch)
    _stand_in(monkeypatch)
    unbilled.owes(CONSUMER, charge(1, 123456, component="subscription", quantity=1, unit="month"))
    unbilled.owes(BUSINESS, charge(2, 9318, "net", quantity=3600, unit="s"))
    with transaction() as session:
        order = service.Order(BOOK, "2026-03", MARCH_END, DEMO_SELLER, "test")
        service.run_billing(session, order)
        service.render_invoices(session, vault(), service.unrendered(session, BOOK))
        _take_payments(session)


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


def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer in place of party and mediation."""

    def search(_session: Session, wanted: str, limit: int) -> list[CustomerRow]:
        return [
            CustomerRow(one.party_id, one.customer_no, one.name, one.kind, one.org_no)
            for one in CUSTOMERS
            if wanted.lower() in one.name.lower()
        ][:limit]

    def find(_session: Session, party_id: int) -> CustomerFacts:
        for one in CUSTOMERS:
            if one.party_id == party_id:
                return one
        raise NotFound(f"There is no customer {party_id}.")

    def find_file(_session: Session, file_id: int) -> sources.FeedFile:
        for one in FILES:
            if one.file_id == file_id:
                return one
        raise NotFound(f"There is no file {file_id}.")

    def suspended(_session: Session, **wanted: Any) -> list[sources.SuspendedRecord]:
        reason, file_id = wanted.get("reason"), wanted.get("file_id")
        return [
            one
            for one in SUSPENDED
            if reason in {None, one.reason} and file_id in {None, one.file_id}
        ]

    by_reason = [sources.SuspenseReason(one.reason, 1, 60, 0) for one in SUSPENDED]
    monkeypatch.setattr(sources, "search_customers", search)
    monkeypatch.setattr(sources, "customer", find)
    monkeypatch.setattr(sources, "files", lambda _session: FILES)
    monkeypatch.setattr(sources, "file", find_file)
    monkeypatch.setattr(sources, "suspended", suspended)
    monkeypatch.setattr(sources, "suspense_by_reason", lambda _session: by_reason)
