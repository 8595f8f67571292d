"""Usage that comes after its month was closed: the books of the month stay as they were."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ledger import service as ledger
from ledger.db import transaction
from mediation.cli import files_under, ingest_paths
from reporting import service as reporting
from reporting.cli.billing import run_bills
from reporting.seller import DEMO_SELLER
from tests.flows.test_late import BILLED, MONTH, UNBILLED, _bill, _open_books, _rate, _rows, _ties

# Revenue by the month it is posted in and the label it carries.
REVENUE = (
    "SELECT to_char(l.effective_date, 'YYYY-MM'), coalesce(d.canonical_key, ''),"
    " -sum(l.amount_minor)::bigint FROM journal_line l JOIN account a USING (account_id)"
    " LEFT JOIN dimension_set d USING (dim_set_id) WHERE a.number LIKE '3%' GROUP BY 1, 2"
)
CHARGED = (
    "SELECT accounting_month, coalesce('service_period=' || (dimensions ->> 'service_period'), ''),"
    " sum(minor_net)::bigint FROM charge GROUP BY 1, 2"
)
LINES = (
    "SELECT i.period_start::text, l.text, l.amount_minor FROM invoice_line l"
    " JOIN invoice i USING (invoice_id) WHERE l.text LIKE '%mars 2026'"
)


def _close(period: str, module: str = "GL") -> None:
    with transaction() as session:
        ledger.lock_period(
            session, "NO01", period, module=module, level="soft", actor="chief", reason="month end"
        )


def _late(period: str) -> list[tuple[Any, ...]]:
    with transaction("auditor") as session:
        found = ledger.late_postings(session, "NO01", period)
    return [(one.effective_date.isoformat(), one.module, one.under) for one in found]


def _unbilled_ties() -> None:
    (unbilled,) = _rows(UNBILLED)[0]
    with transaction("auditor") as session:
        assert ledger.control_balance(session, "NO01", ["1530"]) == unbilled
    assert sorted(_rows(REVENUE)) == sorted(_rows(CHARGED))
    _ties()


def test_late_usage_of_a_closed_month(books: str, month_files: Path) -> None:
    """It is posted on the first open day, under the month of use, once; the next bill says so."""
    assert books
    _open_books(month_files)
    ingest_paths(files_under([month_files / "orders"]))
    usage = files_under([month_files / "usage"])
    ingest_paths(usage[::3])
    _rate()
    _bill(MONTH)
    before, frozen = dict(_of_month(MONTH)), _rows(BILLED)
    _close(MONTH)
    ingest_paths(usage[1::3])
    _rate()
    assert _rows(BILLED) == frozen
    assert dict(_of_month(MONTH)) == before
    assert set(_of_month("2026-04")) == {"service_period=2026-03"}
    assert _late(MONTH) == [("2026-04-01", "GL", "moved")]
    _unbilled_ties()
    batches = _rows("SELECT count(*) FROM posting_batch")
    _rate()
    assert _rows("SELECT count(*) FROM posting_batch") == batches
    # April closes for billing alone: what comes now goes to May, and what was in April stays there.
    _close("2026-04", "BILLING")
    april = _of_month("2026-04")
    ingest_paths(usage[2::3])
    _rate()
    assert _of_month("2026-04") == april
    assert _late(MONTH) == [("2026-04-01", "GL", "moved"), ("2026-05-01", "GL", "moved")]
    assert _late("2026-04") == []
    _unbilled_ties()
    _bill_in_may()
    assert _rows(UNBILLED) == [(0,)]
    lines = _rows(LINES)
    assert {period for period, _, _ in lines} == {"2026-04-01"}
    assert sum(amount for *_, amount in lines) > 0
    _ties()


def _bill_in_may() -> None:
    """Bill what waits for April's bill; April is closed, so it is dated in May."""
    order = reporting.Order(
        book="NO01", period="2026-04", invoice_date=date(2026, 5, 2), seller=DEMO_SELLER,
        actor="test",
    )  # fmt: skip
    assert run_bills(order).invoices > 0


def _of_month(month: str) -> dict[str, int]:
    return {label: net for posted, label, net in _rows(REVENUE) if posted == month}
