"""The journal leaves the house whole: other programs find our trial balance to the øre."""

from __future__ import annotations

import csv
import json
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from openpyxl import load_workbook

import app
from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.errors import DoesNotTie
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line
from ledger.money import format_amount
from reporting.cli.export import export_command
from reporting.service import journal_workbook
from tests.conftest import register_dimensions
from tests.ledger.nasty import NASTY
from tests.ledger.test_plaintext import hledger, hledger_balances

BOOK = "NO01"


def run(form: str, out: Path | str, *more: str) -> Result:
    """Run the export as a user does."""
    arguments = ["--format", form, "--out", str(out), *more]
    return CliRunner().invoke(export_command, arguments, catch_exceptions=False)


@pytest.fixture(name="books")
def _books(db: str) -> str:
    """A book with entries in three months and two currencies, and every nasty text there is."""
    with transaction() as session:
        service.seed_book(session, BOOK)
        register_dimensions(session, BOOK)
        service.open_periods(session, BOOK, 2026)
        entries = []
        for number, text in enumerate(NASTY, 1):
            day = date(2026, number % 3 + 1, 28)
            item = ItemDraft("claim", f"i-{number}", None, day, day)
            lines = (
                Line("1500", 125 * number, party_id=number, item=item, text=text),
                Line("2700", -25 * number, vat_code="3", tax_base_minor=-100 * number),
                Line("3000", -100 * number, dimensions={"area": f"@{number}"}),
            )
            entries.append(EntryDraft("JNL", day, day, "test", f"={number}", text, lines))
        abroad = (Line("2400", -700, "EUR", base_minor=-8000),
                  Line("4310", 700, "EUR", base_minor=8000))  # fmt: skip
        day = date(2026, 2, 1)
        entries.append(EntryDraft("JNL", day, day, "test", "eur", "Roaming", abroad))
        service.post_batch(session, BatchDraft(BOOK, "test", "b-1", "tester", tuple(entries)))
        zero = (Line("1920", 5), Line("1940", -5)), (Line("1920", -5), Line("1940", 5))
        for number, pair in enumerate(zero):
            back = EntryDraft("JNL", day, day, "test", f"z-{number}", "Til og fra", pair)
            service.post_batch(session, BatchDraft(BOOK, "test", f"z-{number}", "tester", (back,)))
    return db


def balances(*more: str) -> dict[tuple[str, str], str]:
    """Our own trial balance by the documented command, without the zeros."""
    told = CliRunner().invoke(ledger_cli, ["balance", "--json", *more], catch_exceptions=False)
    return {(row["account"], row["currency"]): row["balance"]
            for row in json.loads(told.output)["accounts"] if row["balance"] != "0.00"}  # fmt: skip


@pytest.mark.parametrize("more", [(), ("--as-of", "2026-02-27")])
def test_hledger_finds_our_trial_balance(books: str, home: Path, more: tuple[str, ...]) -> None:
    """To the øre, per currency, of everything and of a day; and accepts the journal strictly."""
    out = home / "books.journal"
    assert "they sum to the trial balance" in run("hledger", out, *more).output
    journal = out.read_text()
    assert hledger_balances(journal) == balances(*more)
    hledger(journal, "check", "--strict", "ordereddates", "uniqueleafnames")


def test_beancount_gets_every_entry_and_account(books: str, home: Path) -> None:
    """Every account is opened and every entry written; sums by its lines are ours."""
    out = home / "books.beancount"
    run("beancount", out)
    sums: dict[tuple[str, str], int] = {}
    text = out.read_text()
    for line in text.splitlines():
        cells = line.split()
        if line.startswith("  ") and len(cells) == 3 and cells[2] in {"NOK", "EUR"}:
            key = (cells[0].split(":")[1].split("-")[0], cells[2])
            sums[key] = sums.get(key, 0) + int(cells[1].replace(".", ""))
            assert f" open {cells[0]}\n" in text
    assert {k: format_amount(v) for k, v in sums.items() if v} == balances()
    assert text.count(" * ") == len(NASTY) + 3


def test_csv_holds_every_line(books: str, home: Path) -> None:
    """All lines with both amounts; the sums are the trial balance."""
    out = home / "books.csv"
    run("csv", out)
    rows = list(csv.DictReader(StringIO(out.read_bytes().decode(), newline="")))
    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["account"], row["currency"])
        sums[key] = sums.get(key, 0) + int(row["amount"].replace(".", ""))
    assert {k: format_amount(v) for k, v in sums.items() if v} == balances()
    assert [row["base_amount"] for row in rows if row["currency"] == "EUR"] == ["-80.00", "80.00"]
    assert len(rows) == 3 * len(NASTY) + 6


def test_a_workbook_holds_every_line_and_no_formula_of_ours(
    books: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sheets are cut at their limit; a text that looks like a formula stays a text."""
    monkeypatch.setattr(journal_workbook, "SHEET_LINES", 40)
    out = home / "books.xlsx"
    run("xlsx", out)
    book = load_workbook(out)
    sheets = [name for name in book.sheetnames if name.startswith("Lines")]
    count = 3 * len(NASTY) + 6
    assert sheets == ["Lines", *(f"Lines {n}" for n in range(2, -(-count // 40) + 1))]
    rows = [row for name in sheets for row in book[name].iter_rows(min_row=2) if row[2].value]
    assert len(rows) == count
    assert "f" not in {cell.data_type for row in rows for cell in row}
    total = sum(row[11].value for row in rows if row[8].value == "1500")
    assert format_amount(round(total * 100)) == balances()["1500", "NOK"]


def test_standard_output_takes_text_and_refuses_a_workbook(books: str) -> None:
    """The journal goes to a pipe, what is said about it does not."""
    told = run("hledger", "-")
    assert told.stdout.startswith("; Journal of book NO01")
    assert "Wrote" not in told.stdout
    assert "Wrote" in told.stderr
    assert run("xlsx", "-").exit_code == 2


def test_a_journal_that_does_not_tie_leaves_no_file(
    books: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of before stays, and no draft lies about."""
    out = home / "books.csv"
    out.write_text("of yesterday")
    exported: Any = service.reading.exported  # type: ignore[attr-defined]
    honest = exported.iter_lines
    monkeypatch.setattr(exported, "iter_lines", lambda *a: list(honest(*a))[:-1])
    for form in ("csv", "hledger", "xlsx"):
        with pytest.raises(DoesNotTie, match="its balance is"):
            run(form, out)
    assert out.read_text() == "of yesterday"
    assert [path.name for path in home.iterdir() if "books" in path.name] == ["books.csv"]


def test_export_is_a_command_of_the_ledger() -> None:
    """A higher room adds it to the lower room's group; it is not a command of its own."""
    told = CliRunner().invoke(app.cli, ["ledger", "--help"], catch_exceptions=False).output
    assert "export" in told
    rooms = CliRunner().invoke(app.cli, ["--help"], catch_exceptions=False).output
    assert "ledger export" not in rooms
