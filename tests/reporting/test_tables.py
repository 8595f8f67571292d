"""Every list of the ledger as CSV and as a workbook: typed, whole, summed, and nothing runs."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient

from ledger import service as ledger
from ledger.db import transaction
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, Line
from ledger.service import access
from ledger.service.signing import open_signer
from ledger.web import tabled
from reporting.formats import xlsx
from tests.conftest import register_dimensions
from tests.ledger.conftest import APRIL, BOOK, MARCH, Drafts, seal_all
from tests.reporting.test_desk import make_app

drafts = Drafts()
YEAR = "first_day=2026-01-01&effective_as_of=2026-12-31"
# The address, the sheets, and the column that is summed on the first of them with its sum.
LISTS: dict[str, tuple[list[str], str, float]] = {
    "balances": (["Trial balance"], "Debit", 0),
    "balance-sheet": (["Assets", "Liabilities", "Equity", "Result"], "Amount", 0),
    f"income-statement?{YEAR}": (["Income", "Expenses", "Result"], "Amount", 0),
    "accounts/1500/statement": (["Statement"], "Amount", 85.0),
    "parties/1/statement": (["Statement"], "Amount", 85.0),
    "entries": (["Journal"], "Debit", 166.0),
    "open-items": (["Open items"], "Outstanding", 85.0),
    "allocations": (["Allocations"], "", 0),
}


@pytest.fixture
def client(db: str) -> FlaskClient:
    """A client over an invoice, its payment and a journal whose texts are formulas."""
    with transaction() as session:
        ledger.seed_book(session, BOOK)
        register_dimensions(session, BOOK)
        ledger.open_periods(session, BOOK, 2026)
    use = AllocationDraft((1, 2), (0, 1), 40_00, APRIL, "kid")
    lines = (Line("7830", 1_00, text='=HYPERLINK("http://evil")'), Line("1920", -1_00, text="@x"))
    evil = EntryDraft("JNL", MARCH, MARCH, "import", "+1", "=1+1", lines, document_ref="-2+3")
    entries = (drafts.invoice("i-1"), drafts.payment("p-1", 40_00), evil)
    with transaction() as session:
        ledger.post_batch(session, drafts.batch("b-1", *entries, allocations=(use,)))
        scopes = ["ledger:read", "receivables:read"]
        token = access.add_client(session, "trial", scopes, actor="test", now=datetime.now(UTC))
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def get(client: FlaskClient, path: str, form: str) -> Any:
    """A list in a form, which must be there as a file."""
    answer = client.get(f"/api/v1/{path}", headers={"Accept": form})
    assert answer.status_code == 200, answer.data
    assert answer.mimetype == form
    assert "attachment" in answer.headers["Content-Disposition"]
    return answer


def workbook(client: FlaskClient, path: str) -> Any:
    """A list as a workbook, formulas unevaluated."""
    return openpyxl.load_workbook(BytesIO(get(client, path, xlsx.MEDIA_TYPE).data))


@pytest.mark.parametrize("path", LISTS)
def test_each_list_is_a_workbook_with_live_sums(client: FlaskClient, path: str) -> None:
    """A sheet per table behind the parameters; sums stand as a formula and as the books' value."""
    titles, column, total = LISTS[path]
    book = workbook(client, path)
    assert book.sheetnames == ["Parameters", *titles]
    told = {row[0].value: row[1].value for row in book["Parameters"].iter_rows()}
    assert (told["Book"], told["Made by"]) == (BOOK, "client:trial")
    assert told["Asked for"].startswith(f"/api/v1/{path}")
    assert told["Sealed"].startswith("no")
    for title in titles:
        rows = list(book[title].iter_rows())
        heads = [cell.value for cell in rows[0]]
        if not column:
            continue
        at = heads.index(column)
        summed, control, difference = (row[at].value for row in rows[-3:])
        last = len(rows) - 3
        letter = rows[0][at].column_letter
        assert summed == (f"=SUM({letter}2:{letter}{last})" if last > 1 else "=0")
        assert difference == f"=ROUND({letter}{last + 1}-{letter}{last + 2},2)"
        amounts = [row[at].value or 0 for row in rows[1:last]]
        assert all(isinstance(amount, int | float) for amount in amounts)
        assert round(sum(amounts) - control, 2) == 0
        if total:
            assert control == total


@pytest.mark.parametrize("path", LISTS)
def test_each_list_is_csv_with_decimal_points(client: FlaskClient, path: str) -> None:
    """One heading, a row per line of the list, amounts as the JSON writes them."""
    rows = list(csv.reader(StringIO(get(client, path, "text/csv").text)))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) > 1
    body = client.get(f"/api/v1/{path}").json
    names = ("accounts", "entries", "items", "allocations")
    listed = next((body[name] for name in names if name in body), None)
    if listed is not None:
        assert len(rows) - 1 == len(listed)
    if path == "open-items":
        outstanding = rows[0].index("Outstanding")
        assert [row[outstanding] for row in rows[1:]] == [x["outstanding"] for x in body["items"]]


def test_no_text_of_the_books_runs_in_a_spreadsheet(client: FlaskClient) -> None:
    """Quoted as text in a workbook, behind an apostrophe in CSV; amounts stay numbers."""
    sheet = workbook(client, "entries")["Journal"]
    risky = [cell for row in sheet.iter_rows(min_row=2, max_row=4) for cell in row
             if isinstance(cell.value, str) and cell.value[:1] in "=+-@"]  # fmt: skip
    assert {cell.value for cell in risky} == {"=1+1", "+1", "-2+3"}
    assert all(cell.data_type == "s" and cell.quotePrefix for cell in risky)
    text = get(client, "entries", "text/csv").text
    assert ("'=1+1" in text, "'+1" in text, ",=1" in text) == (True, True, False)
    statement = get(client, "accounts/1920/statement", "text/csv").text
    assert ("-1.00" in statement, "'-1.00" in statement) == (True, False)


def test_a_table_is_the_whole_list_under_one_seal(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are read to the end, the block is named, and a list past the limit is refused."""
    entries = [drafts.invoice(f"i-{number}", party=9) for number in range(2, 9)]
    with transaction() as session:
        ledger.post_batch(session, drafts.batch("b-2", *entries))
    seal_all(open_signer(tmp_path / "seal-key"))
    monkeypatch.setattr(tabled, "_PAGE", 2)
    book = workbook(client, "entries?limit=1")
    assert book["Journal"].max_row == 1 + 10 + 3
    told = {row[0].value: row[1].value for row in book["Parameters"].iter_rows()}
    assert (told["Known as of seal position"], told["Sealed"]) == (2, "yes")
    assert (told["Seal block"], len(told["Seal block's hash"])) == (1, 64)
    statement = workbook(client, "accounts/1500/statement?newest=true&limit=1")["Statement"]
    assert statement.max_row == 1 + 9 + 3
    monkeypatch.setattr(tabled, "ROWS_MAX", 3)
    refused = client.get("/api/v1/entries", headers={"Accept": "text/csv"})
    assert (refused.status_code, refused.json["type"]) == (413, "/problems/table-too-large")


def test_tables_do_not_take_all_threads(client: FlaskClient) -> None:
    """Somebody who asks for many at once waits; pages are read and entries posted meanwhile."""
    with ExitStack() as taken:
        for _ in range(tabled.TABLES_AT_ONCE):
            taken.enter_context(tabled.table_place())
        refused = client.get("/api/v1/entries", headers={"Accept": "text/csv"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert client.get("/api/v1/entries").status_code == 200
    assert client.get("/api/v1/entries", headers={"Accept": "text/csv"}).status_code == 200


def test_two_currencies_are_never_added(client: FlaskClient) -> None:
    """Columns of mixed currencies have no sum; the book's own has."""
    lines = (Line("7830", 10_00, "EUR", base_minor=115_00),
             Line("1920", -10_00, "EUR", base_minor=-115_00))  # fmt: skip
    entry = EntryDraft("JNL", MARCH, MARCH, "import", "fx", "Gebyr", lines)
    with transaction() as session:
        ledger.post_batch(session, BatchDraft(BOOK, "test", "fx", "tester", (entry,)))
    rows = list(workbook(client, "balances")["Trial balance"].iter_rows(values_only=True))
    assert (rows[-3][3], rows[-3][6][:5]) == (None, "=SUM(")
    assert rows[-2][6] == 0


def test_json_stays_what_everybody_else_gets(client: FlaskClient) -> None:
    """A browser, a wildcard and a preference for JSON are answered as before; it is documented."""
    for accept in (
        "*/*", "application/json", "text/csv;q=0.5, application/json", "image/png", "text/cvs",
        "application/xml, image/*;q=0.5", "application/json;q=0", "nonsense", "",
    ):  # fmt: skip
        for path in ("balances", "books", "periods"):
            answer = client.get(f"/api/v1/{path}", headers={"Accept": accept})
            assert (answer.status_code, answer.mimetype) == (200, "application/json"), accept
        refused = client.get("/api/v1/entries/0", headers={"Accept": accept})
        assert (refused.status_code, refused.mimetype) == (404, "application/problem+json"), accept
    api = client.get("/api/v1/openapi.json").json
    assert "never 406" in api["info"]["description"]
    described = api["paths"]["/api/v1/balances"]["get"]
    assert "406" not in described["responses"]
    content = described["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/csv", xlsx.MEDIA_TYPE}
