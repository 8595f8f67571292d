"""What partners ask, by the day of each event, beside prices that were put right, or came along."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger import service as ledger
from ledger.db import transaction
from ledger.service import rates
from ledger.service.rates import Rate
from ledger.vault import vault
from mediation.charging import Month
from mediation.service import charge_partners
from mediation.service.rerating import Rerated, rerate_period
from mediation.service.wholesale import WholesaleOutcome
from party import service as party
from rating import service as rating
from reporting.cli.trace import trace_cli
from reporting.service.invoices import billed_keys
from tests.flows import test_carried as carried
from tests.flows.home import MONTH
from tests.flows.test_wholesale import _take
from tests.party.rows import order
from tests.rating.test_margins import OSLO, RETAIL, WHOLESALE

BOOKED = "NO01/2026-03/"


def _version(source: str, version: int, first_day: str, *changes: tuple[str, str]) -> bytes:
    """Make a later version of a tariff."""
    newer = source.replace(
        "version = 1\nvalid_from = 2026-01-01", f"version = {version}\nvalid_from = {first_day}"
    )
    for old, new in changes:
        assert old in newer
        newer = newer.replace(old, new)
    return newer.encode()


def _begin(*tariffs: bytes) -> None:
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rates.set_rate(session, "NOK", Rate("EUR", date(2026, 3, 1), 1_150_000_000, "test"),
                       actor="test")  # fmt: skip
        for tariff in tariffs:
            rating.load_tariff(session, tariff)
        first = int(datetime(2026, 3, 1, tzinfo=OSLO).timestamp())
        done = party.apply_orders(session, [order(1, "add", first, offering="MOBIL")], {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"], done


def _again(tariff: str) -> Rerated:
    with transaction() as session:
        return rerate_period(
            session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids),
            actor="tester", reason="the price list was wrong", tariff=tariff,
        )  # fmt: skip


def _partners() -> WholesaleOutcome:
    with transaction() as session:
        return charge_partners(session, vault(), Month("NO01", MONTH), "INTERCONNECT", "OUT")


def _booked() -> dict[tuple[str, ...], int]:
    with transaction("auditor") as session:
        found = ledger.booked_by_document(session, "NO01", "wholesale", BOOKED)
    return {tuple(place): minor for place, minor in found.items()}


def _told(record: str) -> Any:
    told = CliRunner().invoke(trace_cli, ["explain", record, "--language", "en", "--json"])
    assert told.exit_code == 0, told.output
    return json.loads(told.output)


@pytest.mark.usefixtures("books")
def test_costs_go_by_the_day_and_revenue_by_the_prices_put_right(tmp_path: Path) -> None:
    """A dearer partner from the 15th, and a month rated again before its late call came."""
    per_minute = 'component = "voice"\n  price = "{}"'
    _begin(
        RETAIL.encode(), WHOLESALE.encode(),
        _version(WHOLESALE, 2, "2026-03-15", ('"0.0057"', '"0.0114"'),
                 ("Terminering Telia", "Terminering hos Telia")),
    )  # fmt: skip
    _take(tmp_path, "a.csv", (1, "4740000001", 5, 600))
    carried._rate()
    for version, price in ((2, "1.00"), (3, "9.99")):
        newer = _version(RETAIL, version, f"2026-02-{version:02}",
                         (per_minute.format("0.50"), per_minute.format(price)))  # fmt: skip
        with transaction() as session:
            rating.load_tariff(session, newer)
    (changed,) = _again("RETAIL/2").changes
    assert (changed.before_minor, changed.after_minor) == (500, 1_000)
    _take(tmp_path, "late.csv", (1, "4740000001", 20, 600))
    carried._rate()
    assert carried._rows("SELECT sum(micro)::bigint FROM charge") == [(20_000_000,)]
    batches = carried._rows("SELECT count(*) FROM posting_batch")
    assert _again("RETAIL/2").changes == ()
    assert carried._rows("SELECT count(*) FROM posting_batch") == batches
    done = _partners()
    # Ten minutes at 0.0057 and ten at 0.0114 are 0.171 euro; a customer pays 16.00 without VAT.
    assert [(each.events, each.owed_minor) for each in done.costs] == [(2, 17)]
    assert (done.revenue_minor, done.cost_minor, done.margin_minor) == (1_600, 197, 1_403)
    assert _partners().batch_id is None
    document = "2026-03/INTERCONNECT/interconnect/TELIA"
    assert _booked() == {
        (document, "4300", "EUR", "partner=TELIA"): 17,
        (document, "2400", "EUR", "partner=TELIA"): -17,
    }
    for file, label, cost in (("a.csv", "INTERCONNECT/1", 57_000),
                              ("late.csv", "INTERCONNECT/2", 114_000)):  # fmt: skip
        retail, partner = _told(f"{file}#1")
        assert (retail["amount_micro"], partner["amount_micro"]) == (10_000_000, cost)
        assert partner["sentences"][1].startswith(f"Priced by {label}, ")
    voucher = CliRunner().invoke(trace_cli, ["voucher", partner["posted"][0], "--language", "en"])
    assert "Terminering Telia at TELIA: 1 events cost 0.057 EUR together, by INTERCONNECT/1." in (
        voucher.output
    )
    assert "Terminering hos Telia at TELIA: 1 events cost 0.114 EUR together" in voucher.output


ROAMED = """
[[component]]
id = "roam"
text = "Gjesting"
revenue = "roaming"
vat = "6"
unit = "s"
partner = "ORANGE"
[[carried]]
service = "TAP"
component = "roam"
valid_from = 2026-01-01
[[carried]]
service = "TAP-B"
component = "roam"
valid_from = 2026-01-01
[[carried]]
service = "TAP"
component = "roam"
valid_from = 2026-03-10
percent = "5"
[[offering]]"""


@pytest.mark.usefixtures("books")
def test_what_brings_its_price_costs_that_and_leaves_the_mark_up(tmp_path: Path) -> None:
    """TAP with our mark-up, dearer from the 10th, a refund, and services that one side knows."""
    _begin(carried._tariff(), WHOLESALE.replace("[[offering]]", ROAMED, 1).encode())
    abroad = carried._abroad
    carried._take(
        tmp_path, "tap.csv",
        abroad("voice", 6, 90, "2.00", "B1"),  # 23.00 and 10 % for the customer, 2.00 euro for us
        abroad("voice", 7, 90, "-2.00", "B1-back"),
        abroad("voice", 10, 60, "10.00", "B2"),  # 120.00 and 5.00 with VAT; 10.50 euro
        abroad("voice", 11, 60, "1.00", "B3").replace(",TAP,", ",TAP-B,"),  # no price to customers
        carried._bought(12, "29.00", "A1"),  # content: nobody's wholesale price
    )  # fmt: skip
    carried._rate()
    done = _partners()
    assert [(each.partner, each.kind, each.events, each.owed_minor) for each in done.costs] == [
        ("ORANGE", "roaming", 4, 1_150)
    ]
    # 150.00 and 5.00 with VAT are 124.00; what costs 1.00 euro and is not sold is in neither.
    assert (done.revenue_minor, done.cost_minor, done.margin_minor) == (12_400, 12_075, 325)
    assert done.unknown == 1
    assert _partners().batch_id is None
    sold, cost = _told("tap.csv#1")
    assert (sold["amount_micro"], cost["amount_micro"]) == (31_625_000, 2_000_000)
    assert cost["sentences"][2:] == [
        "The price it brought, 2.00 EUR: 2.00.",
        "Total 2.00 EUR excluding VAT.",
        "The cost is 2.00 EUR at 11.5000, which is 23.00 NOK.",
        "The customer pays 25.30 without VAT, the cost is 23.00: margin 2.30.",
    ]
    back, returned = _told("tap.csv#2")
    assert (back["amount_micro"], returned["amount_micro"]) == (-31_625_000, -2_000_000)
    assert returned["sentences"][-1].endswith("the cost is -23.00: margin -2.30.")
    _, dearer = _told("tap.csv#3")
    assert dearer["sentences"][-1].endswith("the cost is 120.75: margin 3.25.")
    assert "Mark-up 5.00 %: 0.50." in dearer["sentences"]
    unsold, lost = _told("tap.csv#4")
    assert (unsold["amount_micro"], lost["amount_micro"]) == (0, 1_000_000)
    assert lost["sentences"][-1] == "The cost is 1.00 EUR at 11.5000, which is 11.50 NOK."
    content, unknown = _told("tap.csv#5")
    assert content["amount_micro"] == 29_000_000
    assert unknown["sentences"][-1].startswith("Not priced: ")
