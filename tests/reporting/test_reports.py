"""Reports at the door: screen, JSON and workbook say the same, in the notation of their readers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from ledger.db import Base, engine, transaction
from ledger.errors import NotFound
from reporting import models, service
from reporting.cli.billing import billing_cli, invoice_cli
from reporting.cli.report import report_cli
from reporting.screen import table
from tests.reporting.bills import BUSINESS, CONSUMER, charge
from tests.reporting.unbilled import Unbilled

AS_OF = ["--as-of", "2026-04-30"]


@pytest.fixture
def billed(db: str) -> Unbilled:
    """A book with two invoices of March, issued through the command."""
    unbilled = Unbilled()
    unbilled.owes(CONSUMER, charge(1, 123456, component="subscription", quantity=1, unit="month"))
    unbilled.owes(BUSINESS, charge(2, 9318, "net"))
    said = run(billing_cli, "run", "--period", "2026-03")
    assert said.exit_code == 0, said.output
    return unbilled


def run(group: Any, *arguments: str) -> Result:
    """Call a command as the shell would."""
    return CliRunner().invoke(group, list(arguments), catch_exceptions=False)


def loaded(group: Any, *arguments: str) -> Any:
    """The JSON that a command prints on standard output."""
    said = run(group, *arguments)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def test_the_aging_list_on_screen_is_norwegian(billed: Unbilled) -> None:
    """Grouped figures with a comma, the proof below the list."""
    said = run(report_cli, "aging", *AS_OF).stdout.replace("\u00a0", " ")
    assert "Aging list of NO01, 30.04.2026, NOK" in said
    assert "Testkunde En" in said
    assert "1 234,56" in said
    assert "Equals account 1505 in the journal: 116,48" in said


def test_the_aging_list_as_json_has_decimal_strings(billed: Unbilled) -> None:
    """Amounts are strings of kroner; buckets, credits and balance per customer and in all."""
    told = loaded(report_cli, "aging", *AS_OF, "--json")
    assert [(row["account"], row["party_id"], row["days_1_30"]) for row in told["rows"]] == [
        ("1500", 7, "1234.56"),
        ("1505", 8, "116.48"),
    ]
    assert told["totals"]["balance"] == "1351.04"
    assert told["control"] == {"1500": "1234.56", "1505": "116.48"}


def test_the_trial_balance_sums_to_zero_in_both_notations(billed: Unbilled) -> None:
    """Screen and JSON show the same accounts, the total is zero."""
    told = loaded(report_cli, "trial-balance", *AS_OF, "--json")
    assert [row["account"] for row in told["accounts"]] == ["1500", "1505", "1530", "2700", "3010"]
    assert told["totals"][0]["balance"] == "0.00"
    said = run(report_cli, "trial-balance", *AS_OF).stdout
    assert all(row["account"] in said for row in told["accounts"])


def test_reports_are_of_what_was_known(billed: Unbilled, tmp_path: Path) -> None:
    """Both clocks are taken, and told as they came out, by every report and by an invoice."""
    then = ["--known-as-of", "0"]
    aged = loaded(report_cli, "aging", *AS_OF, "--json")
    clocks = ("effective_as_of", "known_as_of", "sealed")
    assert [aged[clock] for clock in clocks] == ["2026-04-30", None, False]
    # Who names no day gets the newest that was posted on.
    assert loaded(report_cli, "aging", "--json")["effective_as_of"] == "2026-03-31"
    aged = loaded(report_cli, "aging", *AS_OF, *then, "--json")
    assert (aged["rows"], [aged[clock] for clock in clocks]) == ([], ["2026-04-30", 0, True])
    told = loaded(report_cli, "trial-balance", *then, "--json")
    assert (told["accounts"], [told[clock] for clock in clocks]) == ([], [None, 0, True])
    said = run(report_cli, "aging", *AS_OF, *then, "--xlsx", str(tmp_path / "then.xlsx")).stdout
    assert "Up to 2026-04-30, as known at seal position 0." in said
    book = openpyxl.load_workbook(tmp_path / "then.xlsx")
    assert ("Known as of seal position", 0) in list(book["Parameters"].values)
    assert book["Invoices"].max_row == 2
    # Nothing waited yet: the heading, and a sum of nothing that the books agree with.
    waited = list(book["Unmatched payments"].iter_rows(min_row=2, values_only=True))
    assert [(row[0], row[3], row[5]) for row in waited] == [
        ("Sum", "NOK", "=0"), ("Control (books)", "NOK", 0),
        ("Difference", "NOK", "=ROUND(F2-F3,2)"),
    ]  # fmt: skip
    shown = loaded(invoice_cli, "show", "2026-000001", *AS_OF, "--json")
    assert [shown[clock] for clock in clocks] == ["2026-04-30", None, False]
    with pytest.raises(NotFound, match="by seal position 0"):
        run(invoice_cli, "show", "2026-000001", *then)


def test_the_workbook_holds_the_month(billed: Unbilled, tmp_path: Path) -> None:
    """Five sheets; each control equals what the sheet's own cells sum to."""
    path = tmp_path / "month.xlsx"
    assert run(report_cli, "aging", *AS_OF, "--xlsx", str(path)).exit_code == 0
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [
        "Parameters", "Trial balance", "Aging list", "Invoices", "Unmatched payments",
    ]  # fmt: skip
    for name in ("Trial balance", "Aging list"):
        assert_sums(book[name])
    invoices = [row[0].value for row in book["Invoices"].iter_rows(min_row=2, max_row=3)]
    assert invoices == ["2026-000001", "2026-000002"]
    assert book["Invoices"]["J4"].value == "=SUM(J2:J3)"
    kid = book["Invoices"]["D2"]
    assert (kid.data_type, kid.value) == ("s", "100000010000015")


def assert_sums(sheet: Any) -> None:
    """Below the list: live sums, and controls that equal the cells above them."""
    rows = {row[0].value: row for row in sheet.iter_rows() if row[0].value}
    last = rows["Sum"][0].row - 1
    for cell in rows["Sum"]:
        if cell.data_type != "f":
            continue
        letter = cell.column_letter
        assert cell.value == f"=SUM({letter}2:{letter}{last})"
        summed = round(sum(sheet[f"{letter}{row}"].value for row in range(2, last + 1)), 2)
        assert summed == sheet[f"{letter}{cell.row + 1}"].value


def test_an_invoice_is_shown_with_what_is_left(billed: Unbilled, tmp_path: Path) -> None:
    """By its number: lines, sums, outstanding; the archived PDF on request."""
    assert run(billing_cli, "render").stdout == "Rendered 2 invoices.\n"
    pdf = tmp_path / "invoice.pdf"
    told = loaded(invoice_cli, "show", "2026-000001", "--json", "--pdf", str(pdf))
    assert (told["gross"], told["outstanding"]) == ("1234.56", "1234.56")
    assert told["lines"][0]["quantity"] == 1
    assert pdf.read_bytes().startswith(b"%PDF")
    said = run(invoice_cli, "show", "2026-000002").stdout
    assert "Prøve og Sønner AS" in said


def test_a_run_that_leaves_an_account_unbilled_fails(billed: Unbilled) -> None:
    """The account and the reason are told, on standard error and in JSON; the exit status is 1."""
    billed.owes(replace(CONSUMER, billing_account_id=9), charge(9, 100), known=False)
    said = run(billing_cli, "run", "--period", "2026-03", "--json")
    assert said.exit_code == 1
    assert json.loads(said.stdout)["refused"][0]["billing_account_id"] == 9
    assert "nobody who pays" in said.stderr


def test_workbooks_can_go_to_a_stream(billed: Unbilled) -> None:
    """The web answers with the same workbook that the command writes."""
    stream = BytesIO()
    with transaction("auditor") as session:
        service.write_workbook(session, stream, "NO01", date(2026, 4, 30))
    assert openpyxl.load_workbook(stream)["Parameters"]["B2"].value == "NO01"


def test_tables_align() -> None:
    """Figures to the right, texts to the left, sums under a rule."""
    lines = list(table(["A", "Sum"], [["x", "1"], ["yy", "10"]], figures=[1], totals=[["", "11"]]))
    assert lines == ["A   Sum", "──  ───", "x     1", "yy   10", "──  ───", "     11"]


def test_models_describe_the_migrated_tables(db: str) -> None:
    """Columns, nullability and named constraints of the models are those of the database."""
    tables = [
        each.__table__ for each in vars(models).values()
        if isinstance(each, type) and issubclass(each, Base) and each.__module__ == models.__name__
    ]  # fmt: skip
    assert len(tables) == 5
    with engine("auditor").connect() as connection:
        for described in tables:
            found = connection.execute(
                text(
                    "SELECT column_name, is_nullable = 'YES' FROM information_schema.columns"
                    " WHERE table_name = :name"
                ),
                {"name": described.name},
            ).all()
            assert {(c.name, c.nullable) for c in described.columns} == {tuple(r) for r in found}
            named = set(
                connection.execute(
                    text("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:name)"
                         " AND contype IN ('c', 'u', 'f', 'p')"),
                    {"name": described.name},
                ).scalars()
            )  # fmt: skip
            assert {str(c.name) for c in described.constraints} == named
