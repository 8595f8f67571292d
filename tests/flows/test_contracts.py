"""What contracts promise, from order and usage file to the charges: fair use, limits, binding."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction as Q
from pathlib import Path
from zoneinfo import ZoneInfo

from click.testing import CliRunner
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths, mediation_cli
from mediation.service.rating_run import rate_period
from mediation.service.rerating import rerate_period
from party import service as party
from rating import service as rating
from reporting.service.invoices import billed_keys
from reporting.service.tracing import trace_voucher
from tests.flows.home import MONTH
from tests.mediation.octets import container, integer, pgw, tgpp_file
from tests.party.rows import order
from tests.rating.oracle import round_half_away
from tests.rating.tariffs import GB
from tests.rating.test_fair_use import TARIFF

LIMIT = """
[[spend_limit]]
id = "roaming"
component = ["eea"]
valid_from = 2026-01-01
amount = "50.00"
currency = "EUR"
notify = [80]
stop = true
[[binding_limit]]
valid_from = 2005-01-01
months = 12
"""
BINDING = """
  [[offering.binding]]
  component = "rest"
  months = 12
  charge = "2400.00"
"""
REST = """
[[component]]
id = "rest"
text = "Restbeløp i bindingstid"
revenue = "subscription"
vat = "3"
unit = "piece"
[[zone]]
"""
CHARGES = (
    "SELECT component, sum(micro)::bigint, sum(quantity)::bigint FROM charge GROUP BY 1 ORDER BY 1"
)
BEGUN = datetime(2026, 1, 15, tzinfo=ZoneInfo("Europe/Oslo"))
CEASED = datetime(2026, 3, 30, tzinfo=ZoneInfo("Europe/Oslo"))


def _tariff() -> bytes:
    text = TARIFF.replace("[[zone]]", LIMIT + REST, 1) + BINDING
    return text.replace('price = "0.00"', f'price = "10.00"\n  per = {GB}').encode()


def _take(folder: Path, name: str, gigabytes: int, charging_id: int) -> None:
    _take_octets(folder, name, gigabytes * GB, charging_id)


def _take_octets(
    folder: Path, name: str, octets: int, charging_id: int, changes: dict[int, bytes] | None = None
) -> None:
    service = container(300, integer(octets), b"\0")
    record = pgw({0x85: integer(charging_id), **(changes or {})}, service=service)
    path = folder / name
    one_record, ninth = (1).to_bytes(4, "big"), (9).to_bytes(4, "big")
    own = (charging_id - 7000).to_bytes(4, "big")  # the file's place in the node's sequence
    path.write_bytes(tgpp_file([record]).replace(one_record + ninth, one_record + own, 1))
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _rate() -> dict[str, tuple[int, int]]:
    with transaction() as session:
        rate_period(session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids))
        rows = session.execute(text(CHARGES)).all()
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


def _rerate() -> list[tuple[str, int]]:
    """Rate the month again by the tariff in force; give what each charge is changed by, in øre."""
    with transaction() as session:
        done = rerate_period(
            session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids),
            actor="test", reason="looked at again",
        )  # fmt: skip
    return [(one.component, one.difference_minor) for one in done.changes]


def test_a_traveller_beyond_fair_use_who_leaves_in_his_term(books: str, tmp_path: Path) -> None:
    """Surcharges of what lies beyond, the rest of the term, a limit reached; a rerun adds none."""
    assert books
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, _tariff())
        done = party.apply_orders(
            session,
            [
                order(1, "add", int(BEGUN.timestamp()), offering="FRI", imsi=242010000000001),
                order(2, "change", int(BEGUN.timestamp()) + 86_400, offering="FRI",
                      imsi=242010000000001, agreed_price_micro=399_000_000),
                order(3, "cease", int(CEASED.timestamp()), offering=""),
            ],
            {"FRI"},
        )  # fmt: skip
        assert [outcome.state for outcome in done] == ["applied"] * 3, done
    _take(tmp_path, "PGW_0001.dat", 40, 7001)
    volume = -(-2 * Q(399 * 4, 5) * GB * 1000 // 12_650)  # 2 x 319.20 / (1.10 x 11.50)
    rest = round_half_away(Q(2_400_000_000 * 291, 365))  # 30 March to 15 January
    assert volume > 50 * GB
    assert _rate() == {
        "eea": (400_000_000, 40 * GB),
        "month": (round_half_away(Q(399_000_000 * 29, 31)), 29),
        "rest": (rest, 291),
    }
    _take(tmp_path, "PGW_0002.dat", 20, 7002)
    beyond = 60 * GB - int(volume)
    settled = _rate()
    # The cap of the day, 1.10 at 12.00, with VAT.
    assert settled["surcharge"] == (round_half_away(Q(beyond * 16_500_000, GB)), beyond)
    assert _rate() == settled
    assert _rerate() == []
    with transaction() as session:
        trail = trace_voucher(session, vault(), "NO01", "USG/2026/2")
    surcharge = next(one for one in trail["charges"] if one["component"] == "surcharge")
    assert (surcharge["events"], surcharge["counted"]) == (2, "eea")
    (told,) = surcharge["explanation"]
    assert f"{beyond} B utover rimelig bruk i 1 økter" in told["text"]
    with transaction() as session:
        first = trace_voucher(session, vault(), "NO01", "USG/2026/1", language="en")
    (rest_of_term,) = [one for one in first["charges"] if one["component"] == "rest"]
    assert "2400.00 when the term began, 291 of 365 days are left: " in str(rest_of_term)
    told = CliRunner().invoke(mediation_cli, ["limits", "--month", MONTH, "--json"])
    assert told.exit_code == 0, told.output
    reached = [json.loads(line) for line in told.output.splitlines()]
    assert [(one["percent"], one["cost"], one["limit_amount"], one["beyond"]) for one in reached
            ] == [(80, "480.00", "575.00", "0.00")]  # fmt: skip
    _take(tmp_path, "PGW_0003.dat", 20, 7003)
    told = CliRunner().invoke(mediation_cli, ["limits", "--month", MONTH])
    assert "100 % of roaming (640.00 of 575.00, 65.00 beyond)" in told.output
    assert told.output.endswith("2 thresholds reached in 2026-03.\n")


def test_a_version_in_mid_month_prices_what_lies_beyond(books: str, tmp_path: Path) -> None:
    """A lower surcharge holds from its day; the volume stays that of the month's first day."""
    assert books
    newer = TARIFF.replace("version = 1\nvalid_from = 2025-01-01",
                           "version = 2\nvalid_from = 2026-03-02")  # fmt: skip
    newer = newer.replace('price = "499.00"', 'price = "998.00"')
    newer = newer.replace(
        '  surcharge = "surcharge"', '  surcharge = "surcharge"\n  price = "5.00"', 1
    )
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, TARIFF.encode())
        rating.load_tariff(session, newer.encode())
        added = order(1, "add", int(BEGUN.timestamp()), offering="FRI", imsi=242010000000001)
        done = party.apply_orders(session, [added], {"FRI"})
        assert [outcome.state for outcome in done] == ["applied"], done
    _take(tmp_path, "PGW_0001.dat", 40, 7001)
    _take(tmp_path, "PGW_0002.dat", 40, 7002)
    volume = -(-2 * Q(499 * 4, 5) * GB * 1000 // 12_650)
    beyond = 80 * GB - int(volume)
    settled = _rate()
    assert settled["surcharge"] == (round_half_away(Q(beyond * 5_000_000, GB)), beyond)
    assert _rate() == settled
    assert _rerate() == []


POOL = """
  [[offering.pool]]
  component = "eea"
  overage = "surcharge"
  included = 1000
  price = "2.00"
  per = 1000
  step = 1000
  minimum = 100
"""


def test_a_fleet_pays_for_its_pool_and_each_card_its_part(books: str, tmp_path: Path) -> None:
    """Two cards bring 1000 octets each and use 5050: four thousand beyond, by use."""
    assert books
    free = TARIFF.replace('  [[offering.fair_use]]\n  component = "eea"\n', "").replace(
        '  surcharge = "surcharge"\n', ""
    )
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, (free + POOL).encode())
        done = party.apply_orders(
            session,
            [
                order(1, "add", int(BEGUN.timestamp()), offering="FRI", imsi=242010000000001),
                order(2, "add", int(BEGUN.timestamp()), offering="FRI", imsi=242010000000002,
                      subscription_ref="SUB2", msisdn=4791000002),
            ],
            {"FRI"},
        )  # fmt: skip
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    other = bytes.fromhex("42020100000000f2")
    _take_octets(tmp_path, "PGW_0001.dat", 4950, 7001)
    _take_octets(tmp_path, "PGW_0002.dat", 1, 7002, {0x83: other})
    charged = _rate()
    assert charged["surcharge"] == (8_000_000, 5050)  # 3050 beyond: four steps at 2.00
    with transaction() as session:
        trail = trace_voucher(session, vault(), "NO01", "USG/2026/1", language="en")
    parts = [one["explanation"] for one in trail["charges"] if one["component"] == "surcharge"]
    (told,) = [part for part in parts if "for 4950 B" in str(part)]
    assert "2 cards bring 2000 B and used 5050 B; 4000 B beyond at 2.00 per" in told[0]["text"]
    with transaction("auditor") as session:
        rows = session.execute(
            text("SELECT sum(micro)::bigint FROM charge WHERE component = 'surcharge'"
                 " GROUP BY subscription_id ORDER BY subscription_id")
        ).scalars()  # fmt: skip
        assert list(rows) == [7_841_584, 158_416]
    assert _rate() == charged
    with transaction() as session:
        dearer = (free + POOL).replace('price = "2.00"', 'price = "3.00"')
        dearer = dearer.replace("version = 1", "version = 2", 1).replace(
            "2025-01-01", "2026-02-01", 1
        )
        rating.load_tariff(session, dearer.encode())
    # Four steps at 3.00 by use: 11.76 and 0.24 in the place of 7.84 and 0.16.
    assert _rerate() == [("surcharge", 392), ("surcharge", 8)]
    assert _rerate() == []
