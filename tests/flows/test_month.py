"""A month from files to invoices, payments and a workbook comes to what its generator expects."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import pikepdf
import pytest
from click.testing import CliRunner
from openpyxl.worksheet.worksheet import Worksheet

from ledger import service as ledger
from ledger.db import transaction
from ledger.money import parse_amount
from ledger.vault import vault
from mediation.cli import files_under, ingest_paths
from rating import service as rating
from reporting.cli.month import month_cli
from tests.flows.conftest import Finished
from tests.flows.home import MONTH, Home
from tests.flows.test_late import _rows

# Charges by what they are, whatever numbers their rows got.
CHARGES = (
    "SELECT a.number, c.subscription_id, c.component, c.kind, c.charge_ref, c.usage_period,"
    " c.billing_period, c.price_basis, c.revenue_account, c.vat_code, c.micro, c.minor_net,"
    " c.minor_gross, c.events, c.quantity"
    " FROM charge c JOIN billing_account a USING (billing_account_id) ORDER BY 1, 2, 3, 4, 5, 6, 7"
)
FACTS = (
    "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE p.proname = 'ledger_refuse_change' AND NOT c.relispartition ORDER BY 1"
)


def _facts() -> dict[str, int]:
    """Count the rows of every table that can only be added to."""
    tables = [name for (name,) in _rows(FACTS)]
    assert {"source_file", "journal_line", "charge_delta", "invoice", "allocation"} <= {*tables}
    return {name: _rows(f'SELECT count(*) FROM "{name}"')[0][0] for name in tables}


def _seal(home: Home) -> None:
    """Seal everything; what the server itself has open may hold some back for a moment."""
    deadline = time.monotonic() + 60
    while _rows("SELECT 1 FROM ledger_unsealed_batches() LIMIT 1"):
        assert time.monotonic() < deadline
        home.run("ledger", "seal")


@pytest.fixture
def expected(finished: Finished) -> dict[str, Any]:
    """What the generator of the files says they come to, by its own arithmetic."""
    found: dict[str, Any] = json.loads((finished.files / "expected.json").read_text())
    return found


def test_the_summary_is_what_the_generator_expects(
    finished: Finished, expected: dict[str, Any]
) -> None:
    """Records, usage, value, invoices, VAT, payments: every figure, by another program's count."""
    found, want = finished.home.summary["totals"], expected["totals"]
    counted = {
        name: found[name] for name in ("records", "seconds", "octets", "invoices", "payments")
    }
    assert counted == {name: want[name] for name in counted}
    assert found["rated_events"] == want["priced_events"] + want["unpriced_events"]
    assert (found["unpriced_events"], found["rated_micro"]) == (
        want["unpriced_events"], want["usage_micro"],
    )  # fmt: skip
    money = {
        "invoiced_net": "net_minor", "vat": "vat_minor", "invoiced_gross": "gross_minor",
        "paid": "paid_minor", "allocated": "allocated_minor", "unallocated": "unallocated_minor",
        "outstanding": "outstanding_minor", "accrued_net": "net_minor",
    }  # fmt: skip
    assert {name: parse_amount(found[name]) for name in money} == {
        name: want[theirs] for name, theirs in money.items()
    }
    assert (found["unbilled"], found["trial_balance"]) == ("0.00", "0.00")
    bank_file = 1
    assert found["files"] == want["files"] + len(expected["orders"]["rows"]) + bank_file
    assert found["documents"] == found["invoices"]


def test_every_record_ends_where_the_generator_expects(
    finished_books: Finished, expected: dict[str, Any]
) -> None:
    """Outcome by outcome: records, seconds and octets, and the order row that nobody can apply."""
    found: dict[str, Counter[str]] = {}
    moves = _rows(
        "SELECT from_bucket, to_bucket, m.reason, measure, quantity FROM control_move m"
        " JOIN source_file USING (file_id) WHERE format NOT IN ('order_csv', 'ocr_giro')"
        # Whether there is a price is the word of rating; these are the outcomes of mediation.
        " AND m.reason <> 'NO_RATE'"
    )
    for source, bucket, reason, measure, quantity in moves:
        found.setdefault(f"{bucket} {reason}".strip(), Counter())[measure] += quantity
        if source == "held":
            found.setdefault("held PARTIAL", Counter())[measure] -= quantity
    assert {name: +sums for name, sums in found.items()} == {
        name: +Counter(sums) for name, sums in expected["outcomes"].items()
    }
    rows = _rows(
        "SELECT coalesce(sum(quantity), 0) FROM control_move JOIN source_file USING (file_id)"
        " WHERE format = 'order_csv' AND to_bucket = 'suspended'"
    )
    assert rows == [(expected["orders"]["suspended"],)]


def test_every_invoice_is_what_the_generator_expects(
    finished_books: Finished, expected: dict[str, Any]
) -> None:
    """Per account: KID, net, VAT and gross to the øre, what was allocated and what is left."""
    found = {
        number: {"kid": kid, "net_minor": net, "vat_minor": vat, "gross_minor": gross}
        for number, kid, net, vat, gross in _rows(
            "SELECT account_no, kid, net_minor, vat_minor, gross_minor FROM invoice"
        )
    }
    billed = {number: bill for number, bill in expected["accounts"].items() if bill["gross_minor"]}
    assert found == {
        number: {name: bill[name] for name in ("kid", "net_minor", "vat_minor", "gross_minor")}
        for number, bill in billed.items()
    }
    with transaction("auditor") as session:
        items = ledger.open_items(session, "NO01", settled=True)
    open_minor = {i.kid: i.outstanding_minor for i in items if i.kind == "invoice"}
    assert open_minor == {bill["kid"]: bill["outstanding_minor"] for bill in billed.values()}


def test_every_tie_holds_and_is_written_as_money_or_count(finished: Finished) -> None:
    """Each tie shows both sides, both sources, and a difference of nothing."""
    ties = finished.home.summary["ties"]
    assert len({tie["name"] for tie in ties}) == len(ties) > 40
    for tie in ties:
        assert tie["difference"] in {"0.00", 0}
        assert type(tie["left"]) is type(tie["right"]) is type(tie["difference"])
        assert tie["left_source"] != tie["right_source"]
    assert f"{len(ties)} of {len(ties)} hold" in finished.said


def test_a_second_run_changes_nothing(finished_books: Finished) -> None:
    """The same files again: the summary byte for byte, no fact more, no voucher more."""
    home = finished_books.home
    _seal(home)  # A worker does by the minute; the second run would where a minute has gone since.
    summary = (home.folder / "out" / "summary.json").read_bytes()
    facts = _facts()
    vouchers = _rows("SELECT series_id, fiscal_year, last_no FROM voucher_counter ORDER BY 1, 2")
    charges = _rows(CHARGES)
    home.run("month", "run", str(finished_books.files), "--month", MONTH)
    assert (home.folder / "out" / "summary.json").read_bytes() == summary
    assert _facts() == facts
    assert _rows("SELECT series_id, fiscal_year, last_no FROM voucher_counter ORDER BY 1, 2") == (
        vouchers
    )
    assert _rows(CHARGES) == charges


def test_the_books_verify(finished: Finished) -> None:
    """`ledger verify` finds no fault, every series is without gaps, and the month proves itself."""
    assert "nothing that differs" in finished.home.run("ledger", "verify")
    assert "without gaps" in finished.home.run("ledger", "gaps")
    proved = json.loads(finished.home.run("month", "check", "--month", MONTH, "--json"))
    assert proved == finished.home.summary


def test_vouchers_are_numbered_without_gaps(finished_books: Finished) -> None:
    """Sales, accrual and payment series each count from one to their last number."""
    numbers: dict[tuple[str, int], list[int]] = {}
    for series, year, number in _rows(
        "SELECT s.code, e.fiscal_year, e.voucher_no FROM journal_entry e"
        " JOIN voucher_series s USING (series_id) ORDER BY 1, 2, 3"
    ):
        numbers.setdefault((series, year), []).append(number)
    assert {series for series, _ in numbers} >= {"SAL", "USG", "PAY"}
    for found in numbers.values():
        assert found == list(range(1, len(found) + 1))


def test_every_invoice_has_its_document(finished_books: Finished) -> None:
    """One PDF per invoice, archived under its hash, laid out in the folder, and readable."""
    archived = dict(
        _rows(
            "SELECT voucher_year || '-' || lpad(voucher_no::text, 6, '0'), sha256"
            " FROM invoice JOIN document USING (invoice_id)"
        )
    )
    folder = finished_books.home.folder / "out" / "invoices"
    laid_out = {path.stem: path for path in folder.glob("*.pdf")}
    assert laid_out.keys() == archived.keys()
    assert len(archived) == finished_books.home.summary["totals"]["invoices"]
    for number, path in laid_out.items():
        assert path.read_bytes() == vault().get(archived[number])
    with pikepdf.open(next(iter(laid_out.values()))) as document:
        assert len(document.pages) >= 1


def test_the_workbook_adds_up(finished: Finished) -> None:
    """Every sum is a formula over typed cells, and equals the control figure and the summary."""
    totals = finished.home.summary["totals"]
    book = openpyxl.load_workbook(finished.home.folder / "out" / f"{MONTH}.xlsx")
    balance = _columns(book["Trial balance"])
    assert sum(balance["Debit"]) == sum(balance["Credit"])
    assert sum(balance["Balance"]) == 0
    assert sum(_columns(book["Aging list"])["Balance"]) == Decimal(totals["outstanding"])
    invoices = _columns(book["Invoices"])
    assert [sum(invoices[name]) for name in ("Net", "VAT", "Gross")] == [
        Decimal(totals[name]) for name in ("invoiced_net", "vat", "invoiced_gross")
    ]
    waiting = _columns(book["Unmatched payments"])
    assert sum(waiting["Not allocated"]) == Decimal(totals["unallocated"])


def _columns(sheet: Worksheet) -> dict[str, list[Decimal]]:
    """Read the money of a sheet, and check its sum line and its control line against the rows."""
    heading, *rows = sheet.iter_rows(values_only=True)
    last = next(n for n, row in enumerate(rows) if row[0] == "Sum")
    control = {row[0]: row for row in rows[last + 1 :]}
    found = {}
    for place, name in enumerate(heading):
        formula = rows[last][place]
        if not str(formula).startswith("=SUM"):
            continue
        letter = openpyxl.utils.get_column_letter(place + 1)
        apart = f"=SUMIF($D$2:$D${last + 1},$D{last + 2},{letter}$2:{letter}${last + 1})"
        assert formula in {f"=SUM({letter}2:{letter}{last + 1})", apart}
        assert formula != apart or {row[3] for row in rows[: last + 1]} == {"NOK"}
        money = [Decimal(str(row[place])) for row in rows[:last]]
        if "Control (books)" in control:
            assert sum(money) == Decimal(str(control["Control (books)"][place]))
        found[str(name)] = money
    return found


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_files_changes_nothing(
    order: str, finished_books: Finished, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Switch files in any order: the same totals, and every charge the same to the millionth."""
    charges = _rows(CHARGES)
    request.getfixturevalue("books")
    folder = finished_books.files
    usage = files_under([folder / "usage"])
    usage.reverse()
    if order == "shuffled":
        random.Random(1).shuffle(usage)
    with transaction() as session:
        ledger.seed_book(session, "NO01")
        ledger.open_periods(session, "NO01", 2026)
        rating.load_tariff(session, (folder / "tariff.toml").read_bytes())
    ingest_paths(files_under([folder / "orders"]))
    ingest_paths(usage)
    words = ["run", str(folder), "--month", MONTH]
    told = CliRunner().invoke(month_cli, words, obj=SimpleNamespace(home=tmp_path))
    assert told.exit_code == 0, told.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary == finished_books.home.summary | {"ties": summary["ties"]}
    assert not [tie for tie in summary["ties"] if tie["difference"] not in {"0.00", 0}]
    assert _rows(CHARGES) == charges
