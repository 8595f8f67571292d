"""Volume that rolls over and volume that is bought: two months, late usage, and prices again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths
from mediation.service.rating_run import RatingOutcome, rate_period
from mediation.service.rerating import Rerated, rerate_period
from party import service as party
from rating import service as rating
from reporting.service.invoices import billed_keys
from reporting.service.tracing import trace_record
from tests.flows.test_pools import TARIFF, _at, _line
from tests.party.rows import order

COMPONENT = """
[[component]]
id = "extra"
text = "Påfyll"
revenue = "voice"
vat = "3"
unit = "piece"
"""
OFFERINGS = """
[[offering]]
id = "MOBIL"
name = "Mobil"
price_basis = "gross"
  [[offering.allowance]]
  id = "minutes"
  component = "voice"
  quantity = 600
  rollover = "100"
  rollover_most = 400
  rollover_first = true
  [[offering.rate]]
  usage = "voice"
  zone = "NORWAY"
  component = "voice"
  price = "0.60"
  per = 60
[[offering]]
id = "EXTRA"
name = "Påfyll"
price_basis = "gross"
  [[offering.one_off]]
  on = "addon"
  component = "extra"
  price = "49.00"
  [[offering.top_up]]
  allowance = "minutes"
  quantity = 300
"""
SECOND = 10_000  # a second is an øre
CHARGES = (
    "SELECT usage_period, external_ref, sum(micro)::bigint FROM charge"
    " JOIN subscription USING (subscription_id) WHERE kind = 'usage' GROUP BY 1, 2"
    " HAVING sum(micro) <> 0 ORDER BY 1, 2"
)
RUNS = "SELECT period, count(*) FROM rating_run GROUP BY 1 ORDER BY 1"


def _calls(folder: Path, name: str, *calls: tuple[int, str, int]) -> None:
    """Take in calls of (subscriber, day, seconds)."""
    lines = [
        f"479100000{who},4790000009,{day}T10:00:00+0{2 if day > '2026-03-29' else 1}00,{seconds},"
        for who, day, seconds in calls
    ]
    path = folder / name
    path.write_text("\n".join(["caller,called,start,duration,octets", *lines]) + "\n")
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _rate(period: str) -> RatingOutcome:
    with transaction() as session:
        return rate_period(
            session, vault(), Month("NO01", period), lambda ids: billed_keys(session, ids)
        )


def _rerate(period: str, tariff: str) -> Rerated:
    with transaction() as session:
        return rerate_period(
            session, vault(), Month("NO01", period), lambda ids: billed_keys(session, ids),
            actor="tester", reason="the price list was wrong", tariff=tariff,
        )  # fmt: skip


def _charged() -> list[tuple[str, str, int]]:
    with transaction() as session:
        return [tuple(row) for row in session.execute(text(CHARGES))]


def _ties() -> None:
    """What is charged without VAT is what stands on 1530."""
    with transaction("auditor") as session:
        net = session.scalar(text("SELECT sum(minor_net)::bigint FROM charge"))
        assert ledger.control_balance(session, "NO01", ["1530"]) == net


@pytest.fixture
def two_months(books: str, tmp_path: Path) -> Path:
    """Two subscribers with 600 seconds a month; the second has not used anything in March."""
    assert books
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, (TARIFF + COMPONENT + OFFERINGS).encode())
        lines = [_line(1, "MOBIL", 1), _line(2, "MOBIL", 1, account_ref="30000002")]
        done = party.apply_orders(session, lines, {"MOBIL", "EXTRA"})
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    _calls(tmp_path, "first.csv", (1, "2026-03-05", 350), (1, "2026-04-05", 700),
           (1, "2026-04-06", 300), (2, "2026-04-07", 1050))  # fmt: skip
    return tmp_path


def test_april_begins_with_what_march_left(two_months: Path) -> None:
    """250 of 600 roll over for one, 400 at most for the other who used nothing."""
    _rate("2026-03")
    _rate("2026-04")
    settled = [("2026-04", "SUB1", 150 * SECOND), ("2026-04", "SUB2", 50 * SECOND)]
    assert _charged() == settled
    # A late call of March leaves less: April is rated again by a run of its own, to the øre.
    _calls(two_months, "late.csv", (1, "2026-03-20", 100))
    assert _rate("2026-03").followed == ("2026-04",)
    assert _charged() == [("2026-04", "SUB1", 250 * SECOND), ("2026-04", "SUB2", 50 * SECOND)]
    _ties()
    with transaction() as session:
        runs = [tuple(row) for row in session.execute(text(RUNS))]
        march, april = (rating.last_run(session, period) for period in ("2026-03", "2026-04"))
    assert runs == [("2026-03", 2), ("2026-04", 2)]
    assert march
    assert april
    assert march.remainder_out_sha256 == april.remainder_in_sha256
    # A second run of either finds nothing to do.
    for period in ("2026-03", "2026-04"):
        again = _rate(period)
        assert (again.charges_changed, again.batch_id, again.followed) == (0, None, ())
    with transaction() as session:
        assert [tuple(row) for row in session.execute(text(RUNS))] == runs
    with transaction("auditor") as session:
        trail = trace_record(session, vault(), "NO01", "first.csv#2", "en")["charges"][0]
    told = " ".join(line["text"] for line in trail["explanation"])
    assert "minutes carried over from the month before (2 min 30 s), minutes (9 min 10 s)" in told


def test_the_order_of_runs_changes_nothing(two_months: Path) -> None:
    """Who rates April first has its remainder put in when March is rated."""
    assert two_months
    _rate("2026-04")
    assert _charged() == [("2026-04", "SUB1", 400 * SECOND), ("2026-04", "SUB2", 450 * SECOND)]
    assert _rate("2026-03").followed == ("2026-04",)
    assert _charged() == [("2026-04", "SUB1", 150 * SECOND), ("2026-04", "SUB2", 50 * SECOND)]
    _ties()


def test_what_is_bought_serves_from_its_order_and_rolls_over_too(two_months: Path) -> None:
    """Bought on the 10th of March: not for the calls before, and what is left goes on."""
    zone = ZoneInfo("Europe/Oslo")
    bought = int(datetime(2026, 3, 10, tzinfo=zone).timestamp())
    with transaction() as session:
        done = party.apply_orders(
            session, [order(9, "addon", bought, offering="EXTRA")], {"MOBIL", "EXTRA"}
        )
        assert [outcome.state for outcome in done] == ["applied"], done
    _calls(two_months, "more.csv", (1, "2026-03-08", 300), (1, "2026-03-12", 100))
    _rate("2026-03")
    _rate("2026-04")
    # 350 + 300 before it, of which 600 are free; 200 of the 300 bought go on into April.
    settled = [
        ("2026-03", "SUB1", 50 * SECOND), ("2026-04", "SUB1", 200 * SECOND),
        ("2026-04", "SUB2", 50 * SECOND),
    ]  # fmt: skip
    assert _charged() == settled
    _ties()
    assert _rate("2026-03").charges_changed == 0
    assert _charged() == settled


def test_a_price_changed_afterwards_repeats_what_rolled_over_first(two_months: Path) -> None:
    """Both months are repeated with their remainders and top-ups before differences are booked."""
    bought = _at(10)
    with transaction() as session:
        party.apply_orders(
            session, [order(9, "addon", bought, offering="EXTRA")], {"MOBIL", "EXTRA"}
        )
    _calls(two_months, "more.csv", (1, "2026-03-12", 300))
    _rate("2026-03")
    _rate("2026-04")
    source = (TARIFF + COMPONENT + OFFERINGS).replace("version = 1", "version = 2")
    source = source.replace("2026-01-01", "2026-01-02").replace('"0.60"', '"1.20"')
    with transaction() as session:
        rating.load_tariff(session, source.replace("quantity = 600", "quantity = 500").encode())
    before = _charged()
    assert before == [("2026-04", "SUB1", 150 * SECOND), ("2026-04", "SUB2", 50 * SECOND)]
    done = _rerate("2026-03", "FAMILY/2")
    # March had 100 less to leave: April follows, by the tariff that is in force there.
    assert done.outcome
    assert done.outcome.followed == ("2026-04",)
    again = _rerate("2026-04", "FAMILY/2")
    assert again.outcome
    assert again.outcome.followed == ()
    assert _charged() == [
        ("2026-04", "SUB1", (1000 - 500 - 150) * 2 * SECOND),
        ("2026-04", "SUB2", (1050 - 500 - 400) * 2 * SECOND),
    ]
    _ties()
    assert _rerate("2026-04", "FAMILY/2").changes == ()
