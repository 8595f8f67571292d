"""Frames by agreement and by day: from the list of agreements to the charges beside."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths
from mediation.service.rating_run import rate_period
from party import service as party
from rating import service as rating
from reporting.service.invoices import billed_keys
from tests.flows.home import MONTH
from tests.party.rows import order
from tests.rating.test_margins import OSLO, RETAIL

FRAMES = """
[[component]]
id = "month"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[frame]]
id = "LISTE"
  [[frame.term]]
  component = "voice"
  percent = "1"
  valid_from = 2026-01-01
[[frame]]
id = "KOMMUNE"
  [[frame.term]]
  component = "voice"
  percent = "20"
  valid_from = 2026-01-01
  [[frame.term]]
  component = "voice"
  percent = "50"
  valid_from = 2026-03-11
  [[frame.term]]
  component = "month"
  percent = "10"
  valid_from = 2026-03-21
[[offering]]"""
TARIFF = RETAIL.replace("[[offering]]", FRAMES, 1).replace(
    'price_basis = "gross"\n',
    'price_basis = "gross"\n  frame = "LISTE"\n  [[offering.recurring]]\n'
    '  component = "month"\n  price = "310.00"\n',
)  # fmt: skip
CHARGES = (
    "SELECT s.external_ref, c.component, c.charge_ref, sum(c.micro)::bigint FROM charge c"
    " JOIN subscription s USING (subscription_id) WHERE c.charge_ref <> ''"
    " GROUP BY 1, 2, 3 HAVING sum(c.micro) <> 0 ORDER BY 1, 2, 3"
)


def _rate() -> list[tuple[Any, ...]]:
    with transaction() as session:
        rate_period(session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids))
        return [tuple(row) for row in session.execute(text(CHARGES))]


def _take(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n")
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _begin(folder: Path) -> None:
    """Two customers' accounts, one of them under an agreement below one that has a frame."""
    first = int(datetime(2026, 3, 1, tzinfo=OSLO).timestamp())
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, TARIFF.encode())
        lines = [
            order(n, "add", first, subscription_ref=f"SUB{n}", offering="MOBIL",
                  account_ref=f"3000000{n}", msisdn=4791000000 + n, imsi=242010000000000 + n)
            for n in (1, 2)
        ]  # fmt: skip
        done = party.apply_orders(session, lines, {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    _take(folder / "agreements.csv", "agreement,parent,billing_account,valid_from",
          "SKOLE 7,KOMMUNE,30000001,2026-01-01")  # fmt: skip
    calls = [(1, 10, 600), (1, 11, 600), (2, 11, 600)]  # 5.00 each
    _take(folder / "calls.csv", "caller,called,start,duration,octets", *(
        f"479100000{who},4740000001,2026-03-{day}T00:30:00+0100,{seconds},"
        for who, day, seconds in calls
    ))  # fmt: skip


def test_a_frame_is_inherited_from_the_agreement_above_and_holds_by_the_day(
    books: str, tmp_path: Path
) -> None:
    """20 per cent on the 10th, 50 on the 11th; of the month's price 10 from the 21st on."""
    assert books
    _begin(tmp_path)
    charges = [
        ("SUB1", "month", "frame/KOMMUNE", -11 * 10_000_000 // 10),
        ("SUB1", "voice", "frame/KOMMUNE", -(1_000_000 + 2_500_000)),
        ("SUB2", "voice", "frame/LISTE", -50_000),
    ]
    assert _rate() == charges
    assert _rate() == charges
    # Whoever leaves the agreement has the frame of the offering; the difference is booked.
    _take(tmp_path / "left.csv", "agreement,parent,billing_account,valid_from",
          ",,30000001,2026-02-01")  # fmt: skip
    assert _rate() == [("SUB1", "voice", "frame/LISTE", -100_000), charges[2]]


def test_a_version_in_mid_month_agrees_anew(books: str, tmp_path: Path) -> None:
    """From the 11th version 2 takes nothing off calls, and all of the month off from the 21st."""
    assert books
    _begin(tmp_path)
    newer = TARIFF.replace("version = 1\nvalid_from = 2026-01-01",
                           "version = 2\nvalid_from = 2026-03-11")  # fmt: skip
    newer = newer.replace('percent = "50"', "none = true").replace(
        'percent = "10"', 'percent = "100"'
    )
    with transaction() as session:
        rating.load_tariff(session, newer.encode())
    assert _rate() == [
        ("SUB1", "month", "frame/KOMMUNE", -110_000_000),
        ("SUB1", "voice", "frame/KOMMUNE", -1_000_000),
        ("SUB2", "voice", "frame/LISTE", -50_000),
    ]
