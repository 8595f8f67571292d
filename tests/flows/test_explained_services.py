"""Months, orders, discounts and frames are explained by codes that tie to charges and postings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from click.testing import CliRunner

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import DoesNotTie
from ledger.vault import vault
from mediation.service import discount_charges, frame_charges, service_charges
from mediation.usage_files import read_parquet
from party import service as party
from rating import flat_codes
from rating import service as rating
from reporting.cli.trace import trace_cli
from tests.flows.home import MONTH
from tests.flows.test_late import _bill, _rows
from tests.flows.test_pools import _line, _rate, _take
from tests.flows.test_versions import TARIFF

DISCOUNTS = """
[[discount]]
id = "PAIR"
text = "Parrabatt"
reduces = "month"
percent = "12.5"
subscriptions = 2
[[discount]]
id = "SPRING"
text = "Vårrabatt"
reduces = "month"
amount = "31.00"
subscriptions = 1
valid_from = 2026-03-22
[[frame]]
id = "KOMMUNE"
  [[frame.term]]
  component = "month"
  percent = "10"
  valid_from = 2026-01-01
  [[frame.term]]
  component = "voice"
  percent = "20"
  valid_from = 2026-01-01
"""
# 310 a month: 155 for the 15 days from the 17th.
TOLD = {
    "month": "Abonnement: 310,00 i måneden, 15 av 31 dager: 150,00, etter CHANGING/1.",
    "start": "Etablering: 99,00 én gang, etter CHANGING/1.",
    "discount/PAIR": (
        "Parrabatt: Abonnement: 12,5 % av 150,00 for 15 av 15 dager: -18,75, etter CHANGING/1."
    ),
    "discount/SPRING": (
        "Vårrabatt: Abonnement: 31,00 i måneden av 131,25, 10 av 31 dager: -10,00, etter "
        "CHANGING/1."
    ),
    "frame/KOMMUNE": "Rammeavtale KOMMUNE: Abonnement: 10 % av 121,25: -12,125, etter CHANGING/1.",
}


@pytest.fixture
def contract(books: str, tmp_path: Path) -> str:
    """Two subscriptions of one account from the 17th, with discounts and a frame, and one call."""
    assert books
    source = TARIFF.replace("[[offering]]", f"{DISCOUNTS}[[offering]]", 1)
    source = source.replace('price_basis = "gross"', 'price_basis = "gross"\nframe = "KOMMUNE"')
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, source.encode())
        lines = [_line(1, "MOBIL", 17), _line(2, "MOBIL", 17)]
        done = party.apply_orders(session, lines, {"MOBIL"})
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    _take(tmp_path, "calls.csv", (1, 20, 400))
    return source


def _explained() -> dict[str, int]:
    """Sum the stored codes by the component of their charges. [millionths]"""
    with transaction("auditor") as session:
        run = rating.last_run(session, MONTH)
        assert run is not None
        assert run.explained_sha256
        table = read_parquet(vault().open(run.explained_sha256))
    sums = table.group_by("component").aggregate([("amount_micro", "sum")])
    return {row["component"]: row["amount_micro_sum"] for row in sums.to_pylist()}


@pytest.mark.usefixtures("contract")
def test_what_is_no_event_is_told_on_the_trail_of_its_invoice() -> None:
    """Each charge in a sentence that can be redone by hand, in Norwegian and English."""
    _rate()
    services = "SELECT component, sum(micro)::bigint FROM charge WHERE kind <> 'usage' GROUP BY 1"
    charged = dict(_rows(services))
    assert _explained() == charged
    assert set(charged) == {"month", "start", "voice"}
    assert _bill(MONTH) > 0
    (number,) = _rows("SELECT voucher_year || '-' || lpad(voucher_no::text, 6, '0') FROM invoice")
    trail = CliRunner().invoke(trace_cli, ["invoice", number[0], "--json"])
    assert trail.exit_code == 0, trail.output
    charges = [one for line in json.loads(trail.output)["lines"] for one in line["charges"]]
    told = {
        one.get("discount") or one["component"]: [line["text"] for line in one["explanation"]]
        for one in charges
        if one["kind"] != "usage" and one["component"] != "voice"
    }
    assert told == {name: [sentence] for name, sentence in TOLD.items()}
    (off,) = [one["explanation"][0]["text"] for one in charges
              if one["component"] == "voice" and one["kind"] == "one_off"]  # fmt: skip
    assert off.startswith("Rammeavtale KOMMUNE: Samtaler: 20 % av 3,00: -0,60")
    english = CliRunner().invoke(trace_cli, ["invoice", number[0], "--language", "en"])
    assert "310.00 a month, 15 of 31 days: 150.00, by CHANGING/1." in english.output
    voucher = CliRunner().invoke(trace_cli, ["voucher", "USG/2026/1", "--events", "20"])
    assert TOLD["discount/SPRING"] in voucher.output


def _more(made: Callable[..., flat_codes.FlatCode]) -> Callable[..., flat_codes.FlatCode]:
    def changed(*words: Any) -> flat_codes.FlatCode:
        code = made(*words)
        return replace(code, amount_micro=code.amount_micro + 1)

    return changed


@pytest.mark.usefixtures("contract")
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (service_charges, "month_code"), (service_charges, "once_code"),
        (discount_charges, "discount_code"), (frame_charges, "frame_code"),
    ],
)  # fmt: skip
def test_a_run_whose_services_are_explained_otherwise_is_refused(
    where: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One millionth between a price and its explanation: nothing is recorded."""
    monkeypatch.setattr(where, name, _more(getattr(flat_codes, name)))
    with pytest.raises(DoesNotTie, match="Explanations and rated amounts differ"):
        _rate()
    for table in ("rating_run", "charge_key", "posting_batch"):
        assert _rows(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.usefixtures("contract")
def test_a_second_run_stores_no_other_codes() -> None:
    """The same facts give the same octets, so the vault keeps them once."""
    _rate()
    before = _explained()
    _rate()
    assert _explained() == before
    assert _rows("SELECT count(*) FROM rating_run") == [(1,)]
    with transaction("auditor") as session:
        run = rating.last_run(session, MONTH)
        assert run is not None
        assert run.explained_sha256
        table = read_parquet(vault().open(run.explained_sha256))
    assert pc.sum(table["amount_micro"]).as_py() == sum(before.values())
