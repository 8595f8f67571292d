"""The Excel button of a page gives the page: its rows, its filters, its clocks."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from ledger.service.signing import open_signer
from ledger.web import tabled
from reporting import norwegian as no
from reporting.web import books, customers
from tests.ledger.conftest import seal_all
from tests.reporting.test_desk import PAGE, book_of, enter
from tests.reporting.test_desk import client as _client

client = _client


def rows_of(client: FlaskClient, path: str, caption: str) -> list[list[str]]:
    """The body of a table of a page, as text."""
    page = client.get(path, headers=PAGE)
    assert page.status_code == 200, page.text
    table = next(one for one in page.text.split("<table")[1:] if f"<caption>{caption}" in one)
    body = table.split("<tbody>")[1].split("</tbody>")[0]
    return [
        [unescape(re.sub("<[^>]+>", "", cell)).strip()
         for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in body.split("<tr")[1:]
    ]  # fmt: skip


def excel_of(client: FlaskClient, path: str) -> str:
    """The address behind the Excel button of a page."""
    found = re.search(r'href="([^"]*/excel[^"]*)"', client.get(path, headers=PAGE).text)
    assert found is not None, f"{path} has no Excel button"
    return unescape(found[1])


def cells_of(client: FlaskClient, path: str, name: str) -> tuple[list[list[Any]], dict[str, Any]]:
    """The rows of a sheet above its sums, as people write them, and the parameters."""
    book = book_of(client, path)
    told = {row[0].value: row[1].value for row in book["Parameters"].iter_rows()}
    rows = []
    for row in book[name].iter_rows(min_row=2):
        if any(str(cell.value).startswith("=") for cell in row):
            break
        rows.append([_written(cell) for cell in row])
    return rows, told


def _written(cell: Any) -> str:
    if cell.value is None:
        return ""
    if isinstance(cell.value, datetime):
        return no.long_date(cell.value.date())
    return no.kroner(round(cell.value * 100)) if "0.00" in cell.number_format else str(cell.value)


@pytest.mark.parametrize(
    "asked", ["", "?effective_as_of=2026-03-31", "?first_day=2026-04-01", "?known_as_of=3"]
)
def test_the_sheet_of_an_account_is_its_page(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
) -> None:
    """All lines of the dates, whatever page is open; balances carried forward stand on top."""
    enter(client, "accountant")
    seal_all(open_signer(tmp_path / "seal-key"))
    shown = rows_of(client, f"/accounts/1500{asked}", "Lines of account")
    # One line a page: the button still gives all of them.
    monkeypatch.setattr(books, "_LINES_SHOWN", 1)
    monkeypatch.setattr(tabled, "_PAGE", 1)
    sheet, told = cells_of(client, excel_of(client, f"/accounts/1500{asked}"), "Statement")
    lines = [[day, voucher, text, customer, amount, balance]
             for day, voucher, _, _, text, customer, _, amount, balance in sheet
             if text != "Carried forward" or balance != "0,00"]  # fmt: skip
    assert lines == shown
    assert len(shown) >= 1
    assert told["Account"].startswith("1500 ")
    first = told["From"]
    assert (first == "no limit of days") != ("first_day" in asked)
    assert first == "no limit of days" or no.long_date(first.date()) == "01.04.2026"


@pytest.mark.parametrize(
    ("asked", "count"),
    [("", 2), ("?period=2026-03", 2), ("?period=2026-02", 0), ("?effective_as_of=2026-03-30", 0),
     ("?period=2026-03&known_as_of=0", 0)],
)  # fmt: skip
def test_the_sheet_of_invoices_is_their_page(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str, count: int
) -> None:
    """The same period and clocks; what is outstanding stands there too."""
    enter(client, "accountant")
    seal_all(open_signer(tmp_path / "seal-key"))
    shown = rows_of(client, f"/invoices{asked}", "Issued invoices") if count else []
    monkeypatch.setattr(customers, "_INVOICES_SHOWN", 1)
    monkeypatch.setattr(tabled, "_PAGE", 1)
    sheet, told = cells_of(client, excel_of(client, f"/invoices{asked}"), "Invoices")
    # A page of one month does not repeat it in each row.
    listed = [
        [number, name, *([] if "period=" in asked else [period]), day, due, kid, net, vat, gross,
         "–" if left == "0,00" else left]
        for number, _, name, kid, period, day, due, net, vat, gross, _, left in sheet
    ]  # fmt: skip
    assert {row[4] for row in sheet} <= {"2026-03"}
    assert listed == shown
    assert len(shown) == count
    assert told["Period"] == ("2026-03" if "2026-03&" in asked else told["Period"])


def test_a_sheet_is_no_longer_than_a_spreadsheet_takes(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page says so, with what to do instead."""
    enter(client, "accountant")
    monkeypatch.setattr(tabled, "ROWS_MAX", 1)
    for path in ("/accounts/1500/excel", "/invoices/excel"):
        refused = client.get(path, headers=PAGE)
        assert refused.status_code == 413
        assert "Narrow it by dates" in refused.text


def test_what_may_not_be_seen_on_the_page_is_not_in_the_sheet(client: FlaskClient) -> None:
    """Outstanding amounts need the scope of receivables, on the page and in the sheet."""
    enter(client, "operations")
    page = client.get("/invoices", headers=PAGE).text
    heads = [cell.value for cell in book_of(client, "/invoices/excel")["Invoices"][1]]
    assert "Outstanding" not in page
    assert "Outstanding" not in heads


def test_a_sheet_waits_for_none_but_is_refused_while_many_are_made(client: FlaskClient) -> None:
    """A person is told in a page to ask again; the page that it is of opens meanwhile."""
    enter(client, "accountant")
    sheet = excel_of(client, "/accounts/1920")
    with ExitStack() as taken:
        for _ in range(tabled.TABLES_AT_ONCE):
            taken.enter_context(tabled.table_place())
        refused = client.get(sheet, headers=PAGE)
        assert (refused.status_code, refused.mimetype) == (503, "text/html")
        assert "Ask again in a few seconds" in refused.text
        assert client.get("/accounts/1920", headers=PAGE).status_code == 200
    assert client.get(sheet, headers=PAGE).status_code == 200
