"""What changed between two versions, told as prices and products."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rating.tariff_diff import tariff_diff
from rating.tariff_file import read_tariff
from tests.rating.tariffs import SMALL
from tests.rating.test_cli import run

SECOND = SMALL.replace("version = 1", "version = 2").replace("2026-01-01", "2026-03-15")
CHANGES = [
    ('price = "0.90"', 'price = "0.79"',
     "offering ONE, voice to HOME in band day: price from 0.90 to 0.79"),
    ('price = "299.00"', 'price = "319.00"',
     "offering ONE, monthly month: price from 299.00 to 319.00"),
    ('setup_fee = "0.69"', 'setup_fee = "0.00"',
     "offering ONE, voice to HOME in band day: setup_fee from 0.69 to 0.00"),
    ("quantity = 1000", "quantity = 2000",
     "offering ONE, allowance one-gb: quantity from 1000 to 2000"),
    ("quantity = 1000", 'amount = "50"', "offering ONE, allowance one-gb: money from no to yes"),
    ('prefixes = ["47"]', 'prefixes = ["47", "46"]', "zone HOME: prefixes added (46)"),
    ('"47829", "4782900"', '"4782900"', "zone DEAR: prefixes removed (47829)"),
    ("version = 2", "version = 2\nholidays = [2026-05-17]", "holidays added (2026-05-17)"),
    ('from = "17:00"', 'from = "18:00"', "band night at 18:00 added"),
    ('from = "17:00"', 'from = "18:00"', "band night at 17:00 removed"),
    ('name = "En"', 'name = "Ein"', "offering ONE: name from En to Ein"),
    ("per = 100", 'per = 100\n  max_charge = "9"',
     "offering ONE, data to DATA: max_charge from none to 9.00"),
    ("per = 100", 'per = 100\n  [[offering.rate.step]]\n  from = 9\n  price = "0.1"',
     "offering ONE, data to DATA, from 9 on added (0.10 per 1)"),
]  # fmt: skip


@pytest.mark.parametrize(("was", "becomes", "told"), CHANGES)
def test_a_change_is_told_in_words_of_the_product(was: str, becomes: str, told: str) -> None:
    """Which price, from what to what, by the name of the thing and not its place in the file."""
    assert was in SECOND
    before, after = (read_tariff(s.encode()) for s in (SMALL, SECOND.replace(was, becomes, 1)))
    diff = tariff_diff(before, after)
    assert (diff.before, diff.after, str(diff.valid_from)) == ("SMALL/1", "SMALL/2", "2026-03-15")
    assert told in [change.sentence() for change in diff.changes]


def test_order_in_the_file_is_no_change() -> None:
    """Zones in another order, and nothing else, is nothing."""
    zones = SECOND[SECOND.index("[[zone]]"):SECOND.index('[[zone]]\nid = "DATA"')]  # fmt: skip
    moved = SECOND.replace(zones, "").replace("[[band]]", f"{zones}[[band]]", 1)
    diff = tariff_diff(read_tariff(SMALL.encode()), read_tariff(moved.encode()))
    assert diff.changes == ()


def test_the_command_compares_files_and_versions(db: str, tmp_path: Path) -> None:
    """A version that is loaded against a file that is not."""
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(SMALL)
    two.write_text(SECOND.replace('price = "0.90"', 'price = "0.79"'))
    run("load", str(one))
    told = run("diff", "SMALL/1", str(two)).output
    assert told.splitlines() == [
        "From SMALL/1 to SMALL/2, from 2026-03-15:",
        "  offering ONE, voice to HOME in band day: price from 0.90 to 0.79",
        "1 change.",
    ]
    (change,) = json.loads(run("diff", str(one), str(two), "--json").output)["changes"]
    assert (change["key"], change["before"], change["after"]) == ("price", "0.90", "0.79")
