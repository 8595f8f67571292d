"""A family that shares its minutes, from order and usage file to the bill, and a late call."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths
from mediation.service.rating_run import rate_period
from party import service as party
from party.orders import Customer
from rating import service as rating
from rating.tariff import parse_tariff
from rating.tariff_terms import TariffInvalid
from reporting import service as reporting
from reporting.cli.billing import month_end, run_bills
from reporting.seller import DEMO_SELLER
from reporting.service.invoices import billed_keys
from tests.flows.home import MONTH, broken_ties
from tests.party.rows import order

TARIFF = """
format = "hovedbok-tariff/1"
name = "FAMILY"
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
"""
OFFERING = """
[[offering]]
id = "{id}"
name = "{id}"
price_basis = "gross"
  [[offering.allowance]]
  id = "minutes"
  component = "voice"
  quantity = {quantity}
  prorate = true
  shared = true
  member_cap = 400
  [[offering.rate]]
  usage = "voice"
  zone = "NORWAY"
  component = "voice"
  setup_fee = "0.30"
  price = "0.60"
  per = 60
"""
BERIT = Customer("10000002", "person", "Kunde 10000002", street="Prøveveien 2", postcode="0150",
                 city="Oslo")  # fmt: skip
ALL_MONTH, HALF = 1, 17  # of March; 15 of its 31 days are left on the 17th
CHARGES = (
    "SELECT s.external_ref, sum(c.micro)::bigint FROM charge c JOIN subscription s"
    " USING (subscription_id) WHERE kind = 'usage' GROUP BY 1 ORDER BY 1"
)


def _at(day: int) -> int:
    return int(datetime(2026, 3, day, tzinfo=ZoneInfo("Europe/Oslo")).timestamp())


def _line(number: int, offering: str, day: int, **changed: Any) -> Any:
    return order(number, "add", _at(day), subscription_ref=f"SUB{number}", offering=offering,
                 msisdn=4791000000 + number, imsi=242011000000000 + number, **changed)  # fmt: skip


def _take(folder: Path, name: str, *calls: tuple[int, int, int]) -> None:
    lines = [
        f"479100000{who},4790000009,2026-03-{day:02}T10:00:00+0100,{seconds},"
        for who, day, seconds in calls
    ]
    path = folder / name
    path.write_text("\n".join(["caller,called,start,duration,octets", *lines]) + "\n")
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _rate() -> dict[str, int]:
    with transaction() as session:
        rate_period(session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids))
        rows = session.execute(text(CHARGES)).all()
    return {str(name): int(micro) for name, micro in rows}


def test_a_family_shares_its_minutes_by_days_and_caps(books: str, tmp_path: Path) -> None:
    """620 seconds a month: all of them, or 300 from the 17th; no member uses more than 400."""
    assert books
    tariff = TARIFF + OFFERING.format(id="FAMILY", quantity=620)
    tariff += OFFERING.format(id="MEMBER", quantity=0)
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, tariff.encode())
        done = party.apply_orders(
            session,
            [
                _line(1, "FAMILY", ALL_MONTH),
                _line(2, "MEMBER", ALL_MONTH),
                _line(3, "FAMILY", HALF, account_ref="30000002", customer=BERIT),
            ],
            {"FAMILY", "MEMBER"},
        )
        assert [outcome.state for outcome in done] == ["applied"] * 3, done
    _take(tmp_path, "first.csv", (2, 5, 450), (1, 6, 300), (3, 18, 310))
    second = 10_000  # a second is an øre, a call 30 øre
    assert _rate() == {
        "SUB1": 300_000 + 80 * second,  # 620 - 400 are left of 300 wanted
        "SUB2": 300_000 + 50 * second,  # the cap
        "SUB3": 300_000 + 10 * second,  # 15 days' part
    }
    # A call made before all of them arrives late: the other member is put right as well.
    _take(tmp_path, "late.csv", (1, 4, 300))
    settled = {
        "SUB1": 300_000 + 300 * second,
        "SUB2": 300_000 + 130 * second,
        "SUB3": 300_000 + 10 * second,
    }
    assert _rate() == settled
    assert _rate() == settled
    bills = reporting.Order(
        book="NO01", period=MONTH, invoice_date=month_end(MONTH), seller=DEMO_SELLER, actor="test"
    )
    assert run_bills(bills).invoices == 2
    with transaction("auditor") as session:
        assert ledger.control_balance(session, "NO01", ["1530"]) == 0
        assert ledger.control_balance(session, "NO01", ["1500", "1505"]) == 330 + 160 + 40


AGREED = "agreement,parent,billing_account,valid_from\n"


def _agree(folder: Path, name: str, *rows: str) -> None:
    path = folder / name
    path.write_text(AGREED + "".join(f"{row}\n" for row in rows))
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def test_a_group_of_companies_shares_one_pool(books: str, tmp_path: Path) -> None:
    """Accounts of two customers, one under an agreement below the other's; a third is under none.

    Whoever leaves shares no more from the next month on; what came before is put right.
    """
    assert books
    wide = 'shared = true\n  scope = "agreement"'
    tariff = TARIFF + OFFERING.format(id="FAMILY", quantity=310).replace("shared = true", wide)
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, tariff.replace("  member_cap = 400\n", "").encode())
        done = party.apply_orders(
            session,
            [
                _line(1, "FAMILY", ALL_MONTH),
                _line(2, "FAMILY", ALL_MONTH, account_ref="30000002", customer=BERIT),
                _line(3, "FAMILY", ALL_MONTH, account_ref="30000003"),
            ],
            {"FAMILY"},
        )
        assert [outcome.state for outcome in done] == ["applied"] * 3, done
    _agree(tmp_path, "agreements.csv", "KONSERN,,30000001,2026-03-01",
           "DATTER,KONSERN,30000002,2026-02-01", "KONSERN,,30000009,2026-02-01",
           "DATTER,ANDRE,30000001,2026-02-01", "KONSERN,,30000003,1. mars")  # fmt: skip
    _agree(tmp_path, "again.csv", "KONSERN,,30000001,2026-03-01", "DATTER,,30000001,2026-03-01")
    _take(tmp_path, "first.csv", (1, 5, 500), (2, 6, 200), (3, 7, 320))
    second = 10_000
    shared = {
        "SUB1": 0,  # 500 of the 620 that both bring
        "SUB2": 300_000 + 80 * second,
        "SUB3": 300_000 + 10 * second,
    }
    with transaction("auditor") as session:
        told = session.execute(text("SELECT reason, line_no FROM suspense ORDER BY 2, 1")).all()
    assert [tuple(row) for row in told] == [
        ("AGREEMENT_CONFLICT", 3), ("UNKNOWN_ACCOUNT", 4), ("AGREEMENT_CONFLICT", 5), ("BAD_ROW", 6)
    ]  # fmt: skip
    assert _rate() == shared
    assert _rate() == shared
    # A change from April on is none of March's.
    _agree(tmp_path, "leaves.csv", ",,30000002,2026-04-01")
    assert _rate() == shared
    # One that says that she left before March is: each uses what the account brings.
    _agree(tmp_path, "left.csv", ",,30000002,2026-02-15")
    assert _rate() == {
        "SUB1": 300_000 + 190 * second,
        "SUB2": 0,
        "SUB3": 300_000 + 10 * second,
    }
    bills = reporting.Order(
        book="NO01", period=MONTH, invoice_date=month_end(MONTH), seller=DEMO_SELLER, actor="test"
    )
    assert run_bills(bills).invoices >= 2
    with transaction("auditor") as session:
        assert ledger.control_balance(session, "NO01", ["1530"]) == 0
    assert broken_ties() == {"documents"}  # None is rendered.


def test_what_an_offering_shares_has_one_scope() -> None:
    """A scope needs something shared, is one of two words, and is one for all that is shared."""
    whole = OFFERING.format(id="FAMILY", quantity=310)
    other = whole[whole.index("  [[offering.allowance]]") : whole.index("  [[offering.rate]]")]
    for changed, told in (
        (whole.replace("shared = true", 'scope = "agreement"'), "only what is shared has one"),
        (whole.replace("shared = true", 'shared = true\n  scope = "family"'), "scope"),
        (whole + other.replace('"minutes"', '"more"').replace(
            "shared = true", 'shared = true\n  scope = "agreement"'), "all shared by account or"),
    ):  # fmt: skip
        with pytest.raises(TariffInvalid, match=told):
            parse_tariff((TARIFF + changed.replace("  member_cap = 400\n", "")).encode())
