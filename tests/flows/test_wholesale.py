"""A month's calls at partners' prices beside their own, and discounts beside what they are off."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction as Q
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask, g
from sqlalchemy import text

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import DoesNotTie
from ledger.service import rates
from ledger.service.rates import Rate
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import ingest_paths, mediation_cli
from mediation.service import charge_partners, wholesale
from mediation.service.rating_run import rate_period
from party import service as party
from rating import service as rating
from rating.margins import cost_lines, costs, margins, second_run
from reporting import service as reporting
from reporting.cli.billing import month_end, run_bills
from reporting.cli.trace import trace_cli
from reporting.seller import DEMO_SELLER
from reporting.service.invoices import billed_keys
from reporting.service.tracing import trace_record, trace_voucher
from reporting.web.trails import step_of
from tests.flows.home import MONTH
from tests.party.rows import order
from tests.rating.oracle import round_half_away
from tests.rating.test_margins import OSLO, RETAIL, WHOLESALE

AGREED = """
[[component]]
id = "month"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[frame]]
id = "KOMMUNE"
  [[frame.term]]
  component = "voice"
  percent = "20"
  valid_from = 2026-01-01
  [[frame.term]]
  component = "month"
  percent = "10"
  valid_from = 2026-01-01
[[frame]]
id = "SKOLE"
parent = "KOMMUNE"
  [[frame.term]]
  component = "voice"
  none = true
  valid_from = 2026-01-01
[[discount]]
id = "FLERE"
text = "Flere abonnement"
reduces = "month"
percent = "50"
subscriptions = 2
[[offering]]"""
TARIFF = RETAIL.replace("[[offering]]", AGREED, 1).replace(
    'price_basis = "gross"\n',
    'price_basis = "gross"\n  frame = "KOMMUNE"\n  [[offering.recurring]]\n'
    '  component = "month"\n  price = "310.00"\n',
)
SCHOOL = TARIFF[TARIFF.index('[[offering]]\nid = "MOBIL"') :].replace("MOBIL", "SKOLE").replace(
    'frame = "KOMMUNE"', 'frame = "SKOLE"'
)  # fmt: skip
CHARGES = (
    "SELECT s.external_ref, c.component, c.charge_ref, sum(c.micro)::bigint FROM charge c"
    " JOIN subscription s USING (subscription_id) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)


def _take(folder: Path, name: str, *calls: tuple[int, str, int, int]) -> None:
    lines = [
        f"479100000{who},{called},2026-03-{day:02}T10:00:00+0100,{seconds},"
        for who, called, day, seconds in calls
    ]
    path = folder / name
    path.write_text("\n".join(["caller,called,start,duration,octets", *lines]) + "\n")
    assert [taken.state for taken in ingest_paths([path])] == ["accepted"]


def _run(*words: str) -> dict[str, object]:
    told = CliRunner().invoke(
        mediation_cli,
        ["wholesale", "--month", MONTH, "--tariff", "INTERCONNECT", "--offering", "OUT", "--json",
         *words],
    )  # fmt: skip
    assert told.exit_code == 0, (told.output, told.exception)
    found: dict[str, object] = json.loads(told.output)
    return found


def _cost(partner: str, kind: str, events: int, owed: str, posted: str) -> dict[str, object]:
    return {"partner": partner, "kind": kind, "currency": "EUR", "events": events, "owed": owed,
            "posted": posted}  # fmt: skip


def _refused(where: str) -> None:
    with pytest.raises(DoesNotTie, match=where), transaction() as session:
        charge_partners(session, vault(), Month("NO01", MONTH), "INTERCONNECT", "OUT")
    with transaction("auditor") as session:
        assert not ledger.booked_by_document(session, "NO01", "wholesale", "NO01/2026-03/")


def _broken_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A millionth on a cost, on a margin and on a sum, and an øre in the books: all are refused."""

    def dearer(*words: Any) -> Any:
        asked, rated = second_run(*words)
        rated.amount_micro[rated.amount_micro.argmax()] += 1
        return asked, rated

    def better(*words: Any, **names: Any) -> Any:
        found = margins(*words, **names)
        found.margin_micro[0] += 1
        return found

    def more(*words: Any) -> Any:
        first, *rest = costs(*words)
        return [replace(first, micro=first.micro + 10_000), *rest]

    def elsewhere(*words: Any) -> Any:
        return tuple(
            replace(line, dimensions={"partner": "ICE"}) for line in cost_lines(*words)
        )  # fmt: skip

    for name, broken, told in (
        ("second_run", dearer, "its explanation from book INTERCONNECT/1"),
        ("margins", better, "has margin_micro"),
        ("costs", more, "Explanations and amounts differ in 2 sums"),
        ("cost_lines", elsewhere, "Explanations and amounts differ in 8 sums"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(wholesale, name, broken)
            _refused(told)


def _told_of_partners() -> None:
    """A record says what it costs at the partner and what is left; the voucher says its sum."""
    told = CliRunner().invoke(trace_cli, ["explain", "a.csv#1", "--language", "en", "--json"])
    assert told.exit_code == 0, told.output
    retail, partner = json.loads(told.output)
    assert (retail["amount_micro"], "currency" in retail) == (300_000_000, False)
    assert (partner["amount_micro"], partner["currency"]) == (3_420_000, "EUR")
    assert partner["sentences"][-3:] == [
        "Total 3.42 EUR excluding VAT.",
        "The cost is 3.42 EUR at 11.5000, which is 39.33 NOK.",
        "The customer pays 240.00 without VAT, the cost is 39.33: margin 200.67.",
    ]
    (voucher,) = partner["posted"]
    of_voucher = CliRunner().invoke(trace_cli, ["voucher", voucher])
    assert "koster til sammen 3,762 EUR, etter INTERCONNECT/1." in of_voucher.output
    with transaction("auditor") as session:
        trail = trace_record(session, vault(), "NO01", "a.csv#1")
    with Flask(__name__).app_context():
        g.actor = SimpleNamespace(may=lambda scope: not scope)
        (page,) = [step for step in step_of("", trail).steps if step.heading.startswith("Partners")]
    assert {fact.label: fact.text for fact in page.facts} == {
        "Tariff": "INTERCONNECT", "Component": "telia", "Currency": "EUR", "Amount": "3,42",
        "Margin": "200,67",
    }  # fmt: skip
    unknown = CliRunner().invoke(trace_cli, ["record", "a.csv#4"])
    assert "Ikke priset" in unknown.output


def test_a_month_is_charged_twice_and_discounted_once(
    books: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partners are owed what calls cost, once; frames and families have their discounts beside."""
    assert books
    first = int(datetime(2026, 3, 1, tzinfo=OSLO).timestamp())
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rates.set_rate(session, "NOK", Rate("EUR", date(2026, 3, 1), 1_150_000_000, "test"),
                       actor="test")  # fmt: skip
        rating.load_tariff(session, (TARIFF + SCHOOL).encode())
        rating.load_tariff(session, WHOLESALE.encode())
        done = party.apply_orders(
            session,
            [
                order(1, "add", first, subscription_ref="SUB1", offering="MOBIL"),
                order(2, "add", first + 16 * 86_400, subscription_ref="SUB2", offering="SKOLE",
                      msisdn=4791000002, imsi=242010000000002),
            ],
            {"MOBIL", "SKOLE"},
        )  # fmt: skip
        assert [outcome.state for outcome in done] == ["applied"] * 2, done
    _take(tmp_path, "a.csv", (1, "4740000001", 5, 36_000), (2, "4740000001", 20, 3_600),
          (1, "0046700000001", 6, 600), (1, "4791000009", 7, 60))  # fmt: skip
    with transaction() as session:
        rate_period(session, vault(), Month("NO01", MONTH), lambda ids: billed_keys(session, ids))
        charges = {tuple(row[:3]): int(row[3]) for row in session.execute(text(CHARGES))}
    shared, alone = 15, 16  # days: two subscriptions from the 17th on
    half = {1: Q(310 * shared, 62), 2: Q(310 * shared, 62)}
    voice = Q(36_000 + 60, 60) / 2 + Q(600, 60) * Q("1.25")
    assert charges == {
        ("SUB1", "month", ""): 310 * 10**6,
        ("SUB1", "month", "discount/FLERE"): -round_half_away(half[1] * 10**6),
        ("SUB1", "month", "frame/KOMMUNE"): -round_half_away((310 - half[1]) * 10**5),
        ("SUB1", "voice", ""): voice * 10**6,
        ("SUB1", "voice", "frame/KOMMUNE"): -voice * 2 * 10**5,
        ("SUB2", "month", ""): shared * 10 * 10**6,
        ("SUB2", "month", "discount/FLERE"): -round_half_away(half[2] * 10**6),
        ("SUB2", "month", "frame/SKOLE"): -round_half_away((shared * 10 - half[2]) * 10**5),
        ("SUB2", "voice", ""): 30 * 10**6,
    }
    assert shared + alone == 31
    bills = reporting.Order(
        book="NO01", period=MONTH, invoice_date=month_end(MONTH), seller=DEMO_SELLER, actor="test"
    )
    assert run_bills(bills).invoices == 1
    with transaction() as session:
        assert ledger.control_balance(session, "NO01", ["1530"]) == 0
        trail = trace_voucher(session, vault(), "NO01", "USG/2026/1", 20)
        gross = ledger.control_balance(session, "NO01", ["1500", "1505"])
    discounts = {one["discount"] for one in trail["charges"] if "discount" in one}
    assert discounts == {"discount/FLERE", "frame/KOMMUNE", "frame/SKOLE"}
    assert not any("order" in one for one in trail["charges"])
    # Each charge is rounded to øre in gross: 310 - 75 - 23.50, 313 - 62.60; 150 - 75 - 7.50, 30.
    assert gross == 31_000 - 7_500 - 2_350 + 31_300 - 6_260 + 15_000 - 7_500 - 750 + 3_000
    interconnect = _cost("TELIA", "interconnect", 2, "3.76", "3.76")
    _broken_runs(monkeypatch)
    tried = _run("--dry-run")
    assert tried["costs"] == [interconnect, _cost("TELIA", "roaming", 1, "0.20", "0.20")]
    assert (tried["batch_id"], tried["unknown"]) == (None, 1)
    done_once = _run()
    assert done_once["costs"] == tried["costs"]
    # 3.762 and 0.20 euro at 11.50; the call to a network without a price is in neither.
    assert (done_once["revenue"], done_once["cost"], done_once["margin"]) == (
        "274.00", "45.56", "228.44"
    )  # fmt: skip
    refused = CliRunner().invoke(
        mediation_cli, ["wholesale", "--month", MONTH, "--tariff", "RETAIL", "--offering", "MOBIL"]
    )
    assert "holds what customers pay" in str(refused.exception or refused.output)
    _told_of_partners()
    again = _run()
    assert again["batch_id"] is None
    assert [cost["posted"] for cost in again["costs"]] == ["0.00", "0.00"]  # type: ignore[index,attr-defined]
    _take(tmp_path, "b.csv", (1, "4748000001", 8, 6_000))
    later = _run()
    assert later["costs"][0] == _cost("ICE", "interconnect", 1, "0.61", "0.61")  # type: ignore[index]
    with transaction("auditor") as session:
        booked = ledger.booked_by_document(session, "NO01", "wholesale", "NO01/2026-03/")
    assert booked == {
        ("2026-03/INTERCONNECT/interconnect/ICE", "4300", "EUR", "partner=ICE"): 61,
        ("2026-03/INTERCONNECT/interconnect/ICE", "2400", "EUR", "partner=ICE"): -61,
        ("2026-03/INTERCONNECT/interconnect/TELIA", "4300", "EUR", "partner=TELIA"): 376,
        ("2026-03/INTERCONNECT/interconnect/TELIA", "2400", "EUR", "partner=TELIA"): -376,
        ("2026-03/INTERCONNECT/roaming/TELIA", "4310", "EUR", "partner=TELIA"): 20,
        ("2026-03/INTERCONNECT/roaming/TELIA", "2400", "EUR", "partner=TELIA"): -20,
    }
