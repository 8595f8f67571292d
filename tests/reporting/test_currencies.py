"""Claims in several currencies: one list for each, and no sum over two of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from ledger import service as ledger
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.service import revaluation
from ledger.service.journal_list import list_entries
from ledger.tables import Groups
from reporting import service
from reporting.cli.report import report_cli
from reporting.formats.xlsx import workbook_bytes
from reporting.service import workbook
from tests.reporting.desk_books import open_books
from tests.reporting.test_desk import enter, make_app, text_of

DAY = date(2026, 4, 30)


@pytest.fixture
def client(db: str) -> FlaskClient:
    """A collector at the desk, over books with claims in kroner and one of 100 euro, overdue."""
    open_books()
    item = ItemDraft("invoice", "ROAM-1", None, date(2026, 3, 31), date(2026, 4, 14))
    entry = EntryDraft("JNL", date(2026, 3, 31), date(2026, 3, 31), "import", "roam-1", "Roaming", (
        Line("1510", 10_000, "EUR", party_id=7, item=item, base_minor=115_000),
        Line("3040", -10_000, "EUR", base_minor=-115_000),
    ))  # fmt: skip
    with transaction() as session:
        ledger.post_batch(session, BatchDraft("NO01", "roaming", "roam-1", "x", (entry,)))
    made = make_app().test_client()
    enter(made, "collector")
    return made


def test_the_aging_list_is_of_one_currency_and_names_the_others(client: FlaskClient) -> None:
    """A claim on a roaming partner neither stops the list of consumers nor is added to it."""
    with transaction() as session:
        kroner = service.aging_report(session, "NO01", DAY)
        euro = service.aging_report(session, "NO01", DAY, currency="EUR")
    assert (kroner.currency, kroner.others) == ("NOK", ("EUR",))
    assert (euro.currency, euro.others) == ("EUR", ("NOK",))
    assert euro.control_minor == {"1510": 10_000}
    assert euro.aging.totals_minor.tolist() == [0, 10_000, 0, 0, 0, 0, 0, 0]
    page = text_of(client, "/aging?effective_as_of=2026-04-30")
    assert "Open claims in NOK" in page
    assert "currency=EUR" in client.get("/aging?effective_as_of=2026-04-30").text
    page = text_of(client, "/aging?effective_as_of=2026-04-30&currency=EUR")
    assert "Open claims in EUR" in page
    assert "100,00" in page
    sheet = client.get("/aging/excel?effective_as_of=2026-04-30&currency=EUR")
    opened = openpyxl.load_workbook(BytesIO(sheet.data))["Aging list"]
    assert [row[0] for row in opened.iter_rows(values_only=True)].count("1510") == 1


def test_programs_and_the_command_line_ask_for_a_currency(
    client: FlaskClient, tmp_path: Path
) -> None:
    """Which one is echoed; a workbook holds a sheet for each."""
    found: Any = client.get("/api/v1/aging?effective_as_of=2026-04-30&currency=EUR").json
    assert (found["currency"], found["other_currencies"]) == ("EUR", ["NOK"])
    assert found["control"] == {"1510": "100.00"}
    words = ["aging", "--as-of", "2026-04-30"]
    told = CliRunner().invoke(report_cli, words, catch_exceptions=False).stdout
    assert "There are open claims in EUR too: --currency EUR lists them." in told
    euro = CliRunner().invoke(report_cli, [*words, "--currency", "EUR", "--json"])
    assert json.loads(euro.stdout)["totals"]["balance"] == "100.00"
    CliRunner().invoke(report_cli, [*words, "--xlsx", str(tmp_path / "x.xlsx")],
                       catch_exceptions=False)  # fmt: skip
    names = openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames
    assert {"Aging list", "Aging list EUR"} <= set(names)


def test_pages_sum_each_currency_apart(client: FlaskClient) -> None:
    """The overview and the page of the customer who owes in both."""
    page = text_of(client, "/?effective_as_of=2026-04-30")
    assert "Outstanding from customers, EUR" in page
    assert "currency=EUR" in client.get("/?effective_as_of=2026-04-30").text
    page = text_of(client, "/customers/7?effective_as_of=2026-04-30")
    assert "as posted, in NOK" in page
    assert "as posted, in EUR" in page
    assert "EUR 100,00 100,00" in page  # An open item says in which money it is.
    assert "EUR" not in text_of(client, "/customers/8")


def test_a_trial_balance_is_in_the_books_own_currency_too(client: FlaskClient) -> None:
    """On the desk and in a terminal as over REST: a difference of exchange is there or nowhere."""
    gain = (Line("1920", 0, "EUR", base_minor=30_00), Line("8060", 0, "EUR", base_minor=-30_00))
    entry = EntryDraft("JNL", DAY, DAY, "import", "gain-1", "Gain", gain)
    with transaction() as session:
        ledger.post_batch(session, BatchDraft("NO01", "bank", "gain-1", "x", (entry,)))
    enter(client, "accountant")
    rows = client.get("/api/v1/balances").json["accounts"]
    over_rest = {(x["account"], x["currency"]): x["base_balance"] for x in rows}
    assert over_rest["8060", "EUR"] == "-30.00"
    assert over_rest["1510", "EUR"] == "1150.00"
    for command, words in ((report_cli, "trial-balance"), (ledger_cli, "balance")):
        run = CliRunner().invoke(command, [words, "--json"], catch_exceptions=False)
        told = json.loads(run.stdout)["accounts"]
        assert {(x["account"], x["currency"]): x["base_balance"] for x in told} == over_rest
    assert "In NOK" in CliRunner().invoke(report_cli, ["trial-balance"]).stdout
    assert re.search(r"8060 .* EUR +0\.00 NOK +-30\.00\n",
                     CliRunner().invoke(ledger_cli, ["balance"]).stdout)  # fmt: skip
    page = text_of(client, "/trial-balance")
    assert "Balance In NOK" in page
    assert "EUR – – – −30,00" in page
    # In a book of one currency nothing is said twice.
    with transaction() as session:
        ledger.seed_book(session, "NO02")
        ledger.open_periods(session, "NO02", 2026)
        plain = replace(entry, source_ref="plain", lines=(Line("1920", 1), Line("3040", -1)))
        ledger.post_batch(session, BatchDraft("NO02", "bank", "plain", "x", (plain,)))
    plain_page = text_of(client, "/trial-balance?book=NO02")
    assert ("Total NOK" in plain_page, "In NOK" in plain_page) == (True, False)


def test_the_chart_names_what_is_not_the_books_own_currency(client: FlaskClient) -> None:
    """In a book that is kept in euro that is the kroner."""
    lines = tuple(
        Line(account, sign * amount, currency, base_minor=sign * base)
        for currency, amount, base in (("EUR", 70_00, 70_00), ("NOK", 500_00, 43_48))
        for account, sign in (("1920", 1), ("3040", -1))
    )
    entry = EntryDraft("JNL", DAY, DAY, "import", "branch-1", "Branch", lines)
    with transaction() as session:
        ledger.seed_book(session, "NO02", "Nordlys Europa", "EUR")
        ledger.open_periods(session, "NO02", 2026)
        ledger.post_batch(session, BatchDraft("NO02", "branch", "branch-1", "x", (entry,)))
    enter(client, "accountant")
    assert "70,00 NOK 500,00" in text_of(client, "/ledger/chart?book=NO02")
    assert "EUR 100,00" in text_of(client, "/ledger/chart?book=NO01")


def test_payments_in_several_currencies_are_summed_apart(client: FlaskClient) -> None:
    """Fifty euro that nobody expected are no fifty kroner, on the page, in the sheet, in a tile."""
    item = ItemDraft("payment", "SWIFT-1", None, DAY, DAY)
    entry = EntryDraft("PAY", DAY, DAY, "payment", "swift-1", "Unknown payer", (
        Line("1920", 5_000, "EUR", base_minor=57_500),
        Line("2991", -5_000, "EUR", party_id=7, item=item, base_minor=-57_500),
    ))  # fmt: skip
    with transaction() as session:
        ledger.post_batch(session, BatchDraft("NO01", "bank", "swift-1", "x", (entry,)))
    asked = "effective_as_of=2026-04-30"
    page = text_of(client, f"/payments/unmatched?{asked}")
    assert "SWIFT-1 none EUR 50,00 50,00 Total EUR 50,00 Total NOK 250,00" in page
    assert "Unmatched payments, EUR" in text_of(client, f"/?{asked}")
    sheet = client.get(f"/payments/unmatched/excel?{asked}")
    book = openpyxl.load_workbook(BytesIO(sheet.data))
    rows = list(book["Unmatched payments"].iter_rows(values_only=True))
    assert {row[3] for row in rows if isinstance(row[4], int | float)} == {"EUR", "NOK"}
    with transaction() as session:
        (euro,) = (
            row for row in service.trial_balance(session, "NO01", DAY).rows
            if (row.account, row.currency) == ("2991", "EUR")
        )  # fmt: skip
        sheet_of = workbook.unmatched_sheet(session, "NO01", DAY)
    assert sheet_of.groups is not None
    assert sheet_of.groups.control["EUR"] == (-euro.balance_minor,) == (5_000,)
    told = {row[0]: row[1] for row in book["Parameters"].iter_rows(values_only=True)}
    assert told["The book's currency"] == "NOK"


def test_a_party_that_nobody_registered_leads_nowhere(client: FlaskClient) -> None:
    """A program may post a party of its own; its number stands there, and is no dead link."""
    lines = (Line("1920", 5_000, party_id=987_654), Line("7830", -5_000, party_id=7))
    entry = EntryDraft("JNL", DAY, DAY, "import", "guest-1", "Guest", lines)
    with transaction() as session:
        ledger.post_batch(session, BatchDraft("NO01", "guest", "guest-1", "x", (entry,)))
    enter(client, "accountant")
    for number, known in (("1920", False), ("7830", True)):
        page = client.get(f"/accounts/{number}").text
        party = 7 if known else 987_654
        assert (f">C{party}</a>" if known else f">party {party}</span>") in page
        assert (f"/customers/{party}" in page) is known
        assert not known or client.get(f"/customers/{party}").status_code == 200


def test_a_list_without_rows_has_sums_of_nothing(client: FlaskClient) -> None:
    """Before any payment came, and where all of them found their claims: no sum over itself."""
    with transaction() as session:
        sheet = workbook.unmatched_sheet(session, "NO01", DAY)
    none = replace(sheet, rows=[], groups=Groups(3, {"NOK": (0,)}))
    book = openpyxl.load_workbook(BytesIO(workbook_bytes([none], [])))
    rows = list(book["Unmatched payments"].iter_rows(min_row=2, values_only=True))
    assert [row[5] for row in rows] == ["=0", 0, "=ROUND(F2-F3,2)"]


def test_what_a_voucher_moved_in_the_books_currency_is_shown(client: FlaskClient) -> None:
    """A difference of exchange is nothing in the currency: without it, its voucher says nothing."""
    paid = EntryDraft("PAY", DAY, DAY, "payment", "paid-1", "Paid", (
        Line("1920", 10_000, "EUR", base_minor=118_000),
        Line("1510", -10_000, "EUR", party_id=7, base_minor=-118_000,
             item=ItemDraft("payment", "PAID-1", None, DAY, DAY)),
    ))  # fmt: skip
    with transaction() as session:
        (claim,) = ledger.open_items(session, "NO01", accounts=["1510"])
        used = (AllocationDraft((0, 2), claim.open_item_id, 10_000, DAY, "hand"),)
        ledger.post_batch(session, BatchDraft("NO01", "bank", "b", "x", (paid,), used))
        made = revaluation.post_realised(session, "NO01", DAY, actor="x")
    assert made is not None
    (number,) = made.vouchers
    enter(client, "accountant")
    read: Any = client.get(f"/api/v1/entries/{number}").json
    assert [(x["amount"], x["currency"], x["base_amount"]) for x in read["lines"]] == [
        ("0.00", "EUR", "30.00"), ("0.00", "EUR", "-30.00")
    ]  # fmt: skip
    page = text_of(client, f"/entries/{number}")
    assert "In NOK" in page
    assert "30,00" in page
    plain = voucher_of_kroner()
    assert "In NOK" not in text_of(client, f"/entries/{plain}")


def voucher_of_kroner() -> str:
    """Name a voucher whose lines are all of the book's own currency."""
    with transaction() as session:
        page = list_entries(session, "NO01")
    return str(next(row.voucher for row in page.rows if set(row.debit_minor) == {"NOK"}))
