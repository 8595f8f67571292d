"""A tariff that changes on 15 March: usage, months, orders and allowances, up to the bill."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation.usage_files import read_parquet
from party import service as party
from rating import service as rating
from reporting import service as reporting
from reporting.cli.billing import month_end, run_bills
from reporting.seller import DEMO_SELLER
from reporting.service.tracing import trace_record
from tests.flows.home import MONTH
from tests.flows.test_pools import _line, _rate, _take

TARIFF = """
format = "hovedbok-tariff/1"
name = "CHANGING"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"

[[zone]]
id = "NORWAY"
prefixes = ["47"]

[[component]]
id = "voice"
text = "Samtaler"
revenue = "voice"
vat = "3"
unit = "s"
[[component]]
id = "month"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[component]]
id = "start"
text = "Etablering"
revenue = "subscription"
vat = "3"
unit = "piece"

[[offering]]
id = "MOBIL"
name = "Mobil"
price_basis = "gross"
  [[offering.recurring]]
  component = "month"
  price = "310.00"
  [[offering.one_off]]
  on = "add"
  component = "start"
  price = "99.00"
  [[offering.allowance]]
  id = "minutes"
  component = "voice"
  quantity = 100
  [[offering.rate]]
  usage = "voice"
  zone = "NORWAY"
  component = "voice"
  price = "0.60"
  per = 60
"""
CHANGES = [
    ("version = 1", "version = 2"), ("2026-01-01", "2026-03-15"), ('"310.00"', '"620.00"'),
    ('"0.60"', '"1.20"'), ('"99.00"', '"149.00"'), ('text = "Abonnement"', 'text = "Måned"'),
]  # fmt: skip


def _second() -> str:
    source = TARIFF
    for was, becomes in CHANGES:
        source = source.replace(was, becomes)
    return source


def test_a_month_of_two_versions_is_billed_by_days_and_starts(books: str, tmp_path: Path) -> None:
    """14 days at ten kroner and 17 at twenty; calls at a øre and at two; one line a component."""
    assert books
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, TARIFF.encode())
        proposed = rating.propose_tariff(session, _second().encode(), actor="staff:maja")
        lines = [_line(1, "MOBIL", 1), _line(2, "MOBIL", 20, account_ref="30000002")]
        done = party.apply_orders(session, lines, {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    _take(tmp_path, "calls.csv", (1, 5, 80), (1, 14, 100), (1, 15, 100), (2, 21, 300))
    # What nobody has approved does not rate: 180 seconds less 100 at one øre, and 100 more.
    assert _rate() == {"SUB1": 180 * 10_000, "SUB2": 200 * 10_000}
    with transaction() as session:
        rating.approve_tariff(
            session, proposed.book.label, proposed.book.content_hash, judge="staff:jens"
        )
    settled = {"SUB1": 80 * 10_000 + 100 * 20_000, "SUB2": 200 * 20_000}
    assert _rate() == settled
    assert _rate() == settled
    with transaction() as session:
        runs = rating.rating_runs(session, MONTH)
        charges = rating.charges_for_billing(session, "NO01", MONTH)
    assert [run.counts["tariffs"] for run in runs] == [
        ["CHANGING/1"], ["CHANGING/1", "CHANGING/2"],
    ]  # fmt: skip
    by_account = [
        (charge.key.subscription_id, charge.key.component, charge.key.text, charge.amount_minor)
        for charge in charges
    ]
    one, two = sorted({row[0] for row in by_account})
    assert by_account == [
        (one, "month", "Abonnement", 140_00 + 340_00), (one, "start", "Etablering", 99_00),
        (one, "voice", "Samtaler", 2_80), (two, "month", "Abonnement", 240_00),
        (two, "start", "Etablering", 149_00), (two, "voice", "Samtaler", 4_00),
    ]  # fmt: skip
    kept = [read_parquet(vault().open(name)) for name in runs[-1].rated_refs]
    assert [set(part["tariff_version"].to_pylist()) for part in kept] == [{1}, {2}]
    amounts = [pc.sum(part["amount_micro"]).as_py() for part in kept]
    assert sum(amounts) == sum(settled.values())
    with transaction("auditor") as session:
        trails = [
            trace_record(session, vault(), "NO01", f"calls.csv#{n}", "en")["charges"][0]
            for n in (1, 3)
        ]
    told = [[line["text"] for line in trail["explanation"]] for trail in trails]
    assert "Priced by CHANGING/1, in force from 2026-01-01." in told[0]
    assert "Priced by CHANGING/2, in force from 2026-03-15." in told[1]
    bills = reporting.Order(
        book="NO01", period=MONTH, invoice_date=month_end(MONTH), seller=DEMO_SELLER, actor="test"
    )
    assert run_bills(bills).invoices >= 1
    with transaction("auditor") as session:
        assert ledger.control_balance(session, "NO01", ["1530"]) == 0
        owed = sum(row[3] for row in by_account)
        assert ledger.control_balance(session, "NO01", ["1500", "1505"]) == owed
