"""Books with a row in every fact table of the ledger and a value in every column."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Engine, text

from ledger import service
from ledger.db import transaction
from ledger.drafts import Draft
from ledger.journal import AllocationDraft, EntryDraft, ItemDraft, Line
from ledger.service import access, chart, closing, dimensions, drafting, rates
from ledger.service.anchors import write_anchor
from ledger.service.assertions import Assertion, assert_balance
from ledger.service.book_access import set_book_access
from ledger.service.reading import fold_balances
from ledger.service.signing import Signer
from ledger.vault import vault
from tests.ledger.conftest import APRIL, BOOK, MARCH, seal_all

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

MAY = date(2026, 5, 4)
ANNA, BERIT = "staff:anna", "staff:berit"
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"


def furnish(superuser: Engine, drafts: Drafts, key: Signer, anchors: str) -> None:
    """Do everything that leaves a row of its own, seal it in two blocks, and anchor the first."""
    _keep_house()
    _trade(drafts)
    with superuser.begin() as connection:  # What no verb does: a code comes to its end.
        connection.execute(text("UPDATE vat_code SET valid_to = '2029-12-31' WHERE code = '33'"))
    seal_all(key)
    with transaction() as session:
        fold_balances(session, BOOK, 1)
        seen = closing.run_checklist(session, BOOK, "2026-03", actor="x")
        closing.waive_check(session, seen.checklist_id, "assertions", actor="x", reason="x")
        closing.close_period(session, BOOK, "2026-02", level="soft", actor="x")
        write_anchor(session, anchors)
        service.post_batch(
            session, drafts.batch("b-3", drafts.journal("j-1", ("1920", 5), ("1940", -5)))
        )
    with superuser.begin() as connection:  # And a number that was lost is explained.
        connection.execute(
            text(
                "INSERT INTO voucher_gap (series_id, fiscal_year, voucher_no, reason, actor)"
                " SELECT series_id, fiscal_year, last_no + 1, 'printer test', 'x'"
                " FROM voucher_counter JOIN voucher_series USING (series_id) WHERE code = 'SAL'"
            )
        )
        connection.execute(
            text(
                "UPDATE voucher_counter SET last_no = last_no + 1 WHERE series_id ="
                " (SELECT series_id FROM voucher_series WHERE code = 'SAL')"
            )
        )
    seal_all(key)


def _keep_house() -> None:
    """Keep rates, dimensions, accounts, periods, approval rules and what others say."""
    with transaction() as session:
        rates.set_rate(session, "NOK", rates.Rate("EUR", MARCH, 1_150_000_000, "x"), actor="x")
        dimensions.add_dimension(session, BOOK, "product", "Product", actor="x")
        dimensions.add_value(session, BOOK, "product", "mobile", "Mobile", actor="x")
        dimensions.add_value(
            session, BOOK, "product", "fixed", "Fixed", valid_to=date(2027, 1, 1), actor="x"
        )
        dimensions.set_dimension_rule(
            session, BOOK, dimensions.DimensionRule("product", "77", "required", MARCH), actor="x"
        )
        chart.open_account(
            session, BOOK,
            chart.ChartAccount(
                "1929", "Bank, euro", "A", "EUR", is_control=False, party_required=False,
                open_item=False, manual_post_allowed=True, valid_from=MARCH,
                grouping_category="balanseverdiForOmloepsmiddel", grouping_code="1920",
            ),
            actor="x",
        )  # fmt: skip
        chart.close_account(session, BOOK, "1949", date(2026, 6, 30), actor="x", reason="x")
        lock = {"module": "GL", "actor": "x", "reason": "x"}
        service.lock_period(session, BOOK, "2026-01", level="hard", **lock)
        for period in ("2026-02", "2026-06"):
            service.lock_period(session, BOOK, period, level="soft", **lock)
        ahead = datetime.now(UTC) + timedelta(days=1)
        service.reopen_period(session, BOOK, "2026-06", **lock, until=ahead)
        service.grant_exception(
            session, BOOK, "2026-02", **lock, granted_by="y", expires_at=ahead
        )  # fmt: skip
        drafting.set_approval_policy(
            session, BOOK, entry_type="manual", account_prefix="7", amount_from_minor=100_00,
            valid_from=(ahead + timedelta(days=1)).date(), actor="x",
        )  # fmt: skip
        said = Assertion("1500", "NOK", MARCH, 1, "bank", party_id=1)
        assert_balance(session, BOOK, said, actor="x")
        access.add_client(session, "xx", ["ledger:read"], actor="x", now=datetime.now(UTC))
        set_book_access(session, "client:xx", BOOK, granted=True, reason="x", actor="x")
        access.record_event(session, "x", "books furnished", f"book/{BOOK}", why="x")


def _trade(drafts: Drafts) -> None:
    """Post an invoice and its payment, one in euro, a reversal, an undoing and a person's draft."""
    invoice = replace(drafts.invoice("i-1"), document_ref="2026-000001")
    item = ItemDraft("invoice", "i-2", "00000002", MARCH, MARCH)
    lines = (Line("1500", 900, "EUR", party_id=2, item=item), Line("1920", -900, "EUR"))
    abroad = EntryDraft("SAL", MARCH, MARCH, "invoice", "i-2", "Invoice", lines)
    with transaction() as session:
        first = service.post_batch(session, drafts.batch("b-1", invoice, abroad))
        settle = AllocationDraft((0, 2), first.open_item_ids[0, 1], 5_00, APRIL, "kid")
        payment = drafts.payment("p-1", 5_00)
        paid = service.post_batch(session, drafts.batch("b-2", payment, allocations=(settle,)))
        service.undo_allocation(
            session, paid.batch_id << 20, effective_date=MAY, reason="x", actor="x"
        )
        service.reverse_entry(session, first.entry_ids[1], reason="x", actor="x")
    manual = replace(drafts.journal("", ("7830", 5), ("1920", -5)), entry_type="manual")
    with transaction() as session:
        view, _ = drafting.create_draft(
            session, Draft(BOOK, manual), actor=ANNA, key="d-1", ready=True
        )
        view, _ = drafting.attach(session, vault(), view.draft_id, 1, "x.pdf", PDF, actor=ANNA)
        drafting.approve(
            session, view.draft_id, view.latest.content_hash, approver=BERIT, comment="seen"
        )
    with transaction() as session:
        view, _ = drafting.create_draft(
            session, Draft(BOOK, manual), actor=ANNA, key="d-2", ready=True
        )
        drafting.withdraw(session, view.draft_id, actor=ANNA, reason="x")
