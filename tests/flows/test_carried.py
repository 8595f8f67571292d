"""Events that bring their price, from file to bill: content, what a partner charges, refunds."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger import service as ledger
from ledger.db import transaction
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths
from mediation.service import settle_content
from mediation.service.rating_run import rate_period
from mediation.service.rerating import rerate_period
from party import service as party
from rating import service as rating
from reporting import service as reporting
from reporting.cli.billing import month_end, run_bills
from reporting.cli.trace import trace_cli
from reporting.seller import DEMO_SELLER
from reporting.service.invoices import billed_keys
from tests.flows.home import MONTH, broken_ties
from tests.flows.test_late import _rows
from tests.party.rows import order
from tests.rating.test_margins import OSLO, RETAIL

CARRIED = """
[[component]]
id = "games"
text = "Innholdstjenester"
revenue = "content_others"
vat = "7"
unit = "piece"
[[component]]
id = "abroad"
text = "Bruk i utlandet"
revenue = "roaming"
vat = "3"
unit = "s"
[[exchange]]
currency = "EUR"
valid_from = 2026-01-01
rate = "11.50"
[[exchange]]
currency = "EUR"
valid_from = 2026-03-10
rate = "12.00"
[[carried]]
service = "829"
component = "games"
valid_from = 2026-01-01
provider = "Spill AS"
fee_vat = "3"
  [[carried.share]]
  holder = "own"
  percent = "15"
[[carried]]
service = "TAP"
component = "abroad"
valid_from = 2026-01-01
percent = "10"
minimum = "0.50"
maximum = "5.00"
"""
HEADING = "type,served,other,start,duration,octets,service,price,currency,vat_included,reference"
CHARGES = (
    "SELECT component, price_basis, sum(micro)::bigint, sum(events)::bigint, sum(quantity)::bigint"
    " FROM charge GROUP BY 1, 2 ORDER BY 1, 2"
)


def _tariff(version: int = 1, since: str = "01-01", *changes: tuple[str, str]) -> bytes:
    source = RETAIL.replace("[[offering]]", CARRIED + "[[offering]]", 1)
    source = source.replace(
        "version = 1\nvalid_from = 2026-01-01", f"version = {version}\nvalid_from = 2026-{since}"
    )
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source.encode()


def _bought(day: int, price: str, reference: str) -> str:
    priced = f"{price},NOK,yes" if price else ",,"
    return f"content,4791000001,,2026-03-{day:02}T12:00:00+0100,,,829,{priced},{reference}"


def _abroad(kind: str, day: int, seconds: int, price: str, reference: str) -> str:
    at = f"2026-03-{day:02}T13:00:00+0100"
    return f"{kind},4791000001,34911000000,{at},{seconds},,TAP,{price},EUR,no,{reference}"


def _take(folder: Path, name: str, *lines: str) -> None:
    path = folder / name
    path.write_text("\n".join([HEADING, *lines]) + "\n")
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _rate() -> Any:
    with transaction() as session:
        return rate_period(
            session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids)
        )


def _balance(account: str) -> int:
    with transaction("auditor") as session:
        return sum(
            row.balance_minor
            for row in ledger.trial_balance(session, "NO01", date(2026, 3, 31))
            if row.account == account
        )


@pytest.fixture
def taken(books: str, tmp_path: Path) -> Path:
    """A month with content and use abroad; one event of a service brought no price."""
    assert books
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, _tariff())
        first = int(datetime(2026, 3, 1, tzinfo=OSLO).timestamp())
        done = party.apply_orders(session, [order(1, "add", first, offering="MOBIL")], {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"], done
    _take(
        tmp_path, "events.csv",
        _bought(3, "29.00", "A1"), _bought(4, "49.00", "A2"), _bought(4, "-29.00", "A1-back"),
        _bought(5, "", "A3"),
        _abroad("voice", 6, 90, "2.00", "B1"),  # 23.00, with VAT 28.75, and 2.875
        _abroad("voice_in", 7, 30, "0.30", "B2"),  # a call received: 4.3125 and the least, 0.50
        _abroad("voice", 10, 0, "10.00", "B3"),  # at the new rate 150.00 and the most, 5.00
        "voice,4791000001,4740000001,2026-03-08T10:00:00+0100,60,,,,,,",  # 0.50
    )  # fmt: skip
    return tmp_path


def test_prices_from_file_to_bill(taken: Path) -> None:
    """Content is owed to its provider, the mark-up is ours, and all come in one price basis."""
    done = _rate()
    assert (done.events, done.unpriced) == (8, 1)
    assert _rows(CHARGES) == [
        ("abroad", "gross", 191_437_500, 3, 120),
        ("games", "gross", 49_000_000, 3, 1),
        ("voice", "gross", 500_000, 1, 60),
    ]
    assert (_balance("2992"), _balance("1530")) == (-4_900, 15_315 + 4_900 + 40)
    (waits,) = _rows("SELECT reason, detail FROM suspense")
    assert waits[0] == "NO_RATE"
    assert waits[1].startswith("NO_PRICE: service 829 is priced by what its events bring")
    again = _rate()
    assert (again.batch_id, again.charges_changed) == (None, 0)
    with transaction() as session:
        settled = settle_content(session, vault(), Month("NO01", MONTH))
    assert [(one.account, one.holder, one.minor) for one in settled.lines] == [
        ("2700", "", -147), ("2992", "", 4_900), ("2992", "Spill AS", -4_165), ("3700", "", -588),
    ]  # fmt: skip
    bills = reporting.Order(
        book="NO01", period=MONTH, invoice_date=month_end(MONTH), seller=DEMO_SELLER, actor="test"
    )
    assert run_bills(bills).invoices == 1
    lines = _rows("SELECT text, amount_minor, net_minor FROM invoice_line ORDER BY text")
    assert lines == [
        ("Bruk i utlandet", 19_144, 15_315), ("Innholdstjenester", 4_900, 4_900),
        ("Samtaler", 50, 40),
    ]  # fmt: skip
    assert taken
    assert broken_ties() == {"documents"}  # None is rendered.


@pytest.mark.usefixtures("taken")
def test_a_carried_price_is_explained_and_traced() -> None:
    """The sentences name price, rate, mark-up and its limits, and lead to the voucher."""
    _rate()
    told = {
        number: json.loads(
            CliRunner()
            .invoke(trace_cli, ["explain", f"1#{number}", "--language", "en", "--json"])
            .output
        )[0]
        for number in (3, 5, 6, 7)
    }
    assert told[3]["sentences"] == [
        "Purchase, service 829, 2026-03-04 12:00:00, -1, Mobil.",
        "Priced by RETAIL/1, in force from 2026-01-01.",
        "A refund: what the sale cost, with the opposite sign.",
        "The price it brought, -29.00 NOK: -29.00.",
        "Total -29.00 NOK including VAT.",
    ]
    assert told[5]["sentences"][2:] == [
        "The price it brought, 2.00 EUR at 11.50, with 25.00 % VAT: 28.75.",
        "Mark-up 10.00 %, at least 0.50, at most 5.00: 2.875.",
        "Total 31.625 NOK including VAT.",
    ]
    assert (told[6]["amount_micro"], told[7]["amount_micro"]) == (4_812_500, 155_000_000)
    assert told[7]["posted"] == ["USG/2026/1"]
    record = json.loads(CliRunner().invoke(trace_cli, ["record", "1#5", "--json"]).output)
    assert record["charges"][0]["explanation"][0]["text"].startswith("Anrop til ")
    assert "tjeneste TAP" in record["charges"][0]["explanation"][0]["text"]


@pytest.mark.usefixtures("taken")
def test_another_mark_up_posts_the_difference() -> None:
    """Rated again at 20 per cent: only what a partner charged changes, and only once."""
    _rate()
    with transaction() as session:
        rating.load_tariff(session, _tariff(2, "02-01", ('percent = "10"', 'percent = "20"')))
    batches = "SELECT count(*) FROM posting_batch"

    def again() -> Any:
        with transaction() as session:
            return rerate_period(
                session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids),
                actor="tester", reason="a new agreement", tariff="RETAIL/2",
            )  # fmt: skip

    ((before,),) = _rows(batches)
    done = again()
    changed = [(one.component, one.before_minor, one.after_minor) for one in done.changes]
    # 2.875 becomes 5.00, the most; 0.50 becomes 0.8625.
    assert changed == [("abroad", 19_144, 19_393)]
    assert again().changes == ()
    assert _rows(batches) == [(before + 1,)]


@pytest.mark.usefixtures("taken")
def test_a_version_in_mid_month_marks_up_its_own_days() -> None:
    """From the 7th on nothing is added, and the service has another place in the file."""
    other = '[[carried]]\nservice = "1"\ncomponent = "voice"\nvalid_from = 2026-01-01\n'
    changes = (
        ('percent = "10"\nminimum = "0.50"\nmaximum = "5.00"', 'percent = "0"'),
        ('[[carried]]\nservice = "829"', other + '[[carried]]\nservice = "829"'),
    )
    with transaction() as session:
        rating.load_tariff(session, _tariff(2, "03-07", *changes))
    _rate()
    assert _rows(CHARGES)[:2] == [
        ("abroad", "gross", 31_625_000 + 4_312_500 + 150_000_000, 3, 120),
        ("games", "gross", 49_000_000, 3, 1),
    ]


def test_the_same_reference_is_never_sold_twice(taken: Path) -> None:
    """A copy is a duplicate; the same sale at another price waits for somebody to compare."""
    _take(taken, "again.csv", _bought(3, "29.00", "A1"), _bought(4, "59.00", "A2"))
    _rate()
    assert _rows("SELECT reason FROM suspense ORDER BY 1") == [("DUP_CONFLICT",), ("NO_RATE",)]
    assert _rows(CHARGES)[1] == ("games", "gross", 49_000_000, 3, 1)
    # A file without such columns lies beside it.
    path = taken / "plain.csv"
    path.write_text(
        "caller,called,start,duration,octets\n4791000001,4740000001,2026-03-09T10:00:00+0100,60,\n"
    )
    ingest_paths([path])
    _rate()
    assert _rows(CHARGES)[2] == ("voice", "gross", 1_000_000, 2, 120)
