"""The desk as of what was known: by seal position or by the clock in Oslo, kept by every link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import CliRunner
from flask.testing import FlaskClient

from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import NotFound
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line
from ledger.service.signing import open_signer
from reporting.cli.billing import invoice_cli
from reporting.web.dates import OSLO
from tests.ledger.conftest import Drafts, seal_all
from tests.reporting.desk_books import BOOK, MARCH_END, PAID
from tests.reporting.test_desk import INVOICE, PAGE, book_of, enter, text_of
from tests.reporting.test_desk import client as _client

client = _client


def test_the_books_are_shown_as_they_were_known(client: FlaskClient, tmp_path: Path) -> None:
    """A posting that came later does not show, on the balance, the account or its own page."""
    seal_all(open_signer(tmp_path / "seal-key"))
    with transaction() as session:
        position = ledger.resolve_known(session, None).last_position
        lines = (Line("7830", 77_00), Line("1920", -77_00))
        entry = EntryDraft("JNL", MARCH_END, MARCH_END, "import", "late", "Sent", lines)
        ledger.post_batch(session, BatchDraft(BOOK, "test", "late", "tester", (entry,)))
    enter(client, "accountant")
    assert "77,00" in text_of(client, "/trial-balance")
    known = f"known_as_of={position}"
    seen = client.get(f"/trial-balance?{known}", headers=PAGE).text
    assert ("77,00" in seen, f"at seal position {position} " in seen) == (False, True)
    assert f'href="/accounts/1500?{known}"' in seen
    assert "77,00" not in text_of(client, f"/accounts/7830?{known}")
    assert client.get(f"/entries/JNL/2026/1?{known}", headers=PAGE).status_code == 404
    # Before the first seal nothing was known, by the clock on the wall in Oslo.
    assert "Nothing is posted yet" in text_of(client, "/trial-balance?known_as_of=01.01.2026 08:00")
    later = (datetime.now(UTC) + timedelta(hours=1)).astimezone(OSLO).strftime("%d.%m.%Y %H:%M")
    refused = client.get(f"/trial-balance?known_as_of={later}", headers=PAGE)
    assert (refused.status_code, "Nobody knows yet" in refused.text) == (422, True)
    assert client.get("/trial-balance?known_as_of=soon", headers=PAGE).status_code == 422


def test_claims_are_shown_as_they_were_known(client: FlaskClient, tmp_path: Path) -> None:
    """A bill that came later shows on no list of claims, on no customer, and in no workbook."""
    seal_all(open_signer(tmp_path / "seal-key"))
    with transaction() as session:
        position = ledger.resolve_known(session, None).last_position
        late = Drafts().invoice("late-1", party=7)
        stray = EntryDraft(
            "PAY", PAID, PAID, "payment", "late-2", "OCR giro", (
                Line("1940", 99_00),
                Line("2991", -99_00, item=ItemDraft("payment", "ocr/9", None, PAID, PAID)),
            ),
        )  # fmt: skip
        ledger.post_batch(session, BatchDraft(BOOK, "test", "late", "tester", (late, stray)))
    enter(client, "accountant")
    known = f"known_as_of={position}"
    for path, amount in {
        "/aging": "125,00", "/customers/7": "125,00", "/payments/unmatched": "99,00",
        "/ledger/chart": "349,00", "/": "241,48",
    }.items():  # fmt: skip
        assert amount in text_of(client, path), path
        assert "not all of it is sealed yet" in text_of(client, path), path
        seen = text_of(client, f"{path}?{known}")
        assert (amount in seen, f"at seal position {position} " in seen) == (False, True), path
    page = client.get(f"/aging?{known}&effective_as_of=30.04.2026", headers=PAGE).text
    excel = f"/aging/excel?effective_as_of=2026-04-30&{known}"
    assert f'href="{excel.replace("&", "&amp;")}"' in page
    told = book_of(client, excel)
    cells = {row[0].value: row[1].value for row in told["Parameters"].iter_rows()}
    assert (cells["Known as of seal position"], cells["Sealed"]) == (position, "yes")
    assert f"{cells['Effective as of']:%Y-%m-%d}" == "2026-04-30"
    # What the invoice is paid by came later than it.
    before = text_of(client, f"/invoices/{INVOICE}?effective_as_of=2026-03-31")
    assert "Outstanding 1 234,56 open" in before
    assert "settled" in text_of(client, f"/invoices/{INVOICE}?{known}")


def test_an_invoice_is_not_there_before_its_day(client: FlaskClient) -> None:
    """Nothing was owed on it then: over REST, on the desk and in a terminal it would seem paid."""
    enter(client, "accountant")
    told = f"has issued no invoice {INVOICE} dated 2026-03-30 or before"
    before, on_its_day = (f"effective_as_of=2026-03-{day}" for day in (30, 31))
    for path in (f"/api/v1/invoices/{INVOICE}", f"/invoices/{INVOICE}"):
        refused = client.get(f"{path}?{before}")
        assert (refused.status_code, told in refused.text) == (404, True)
        assert client.get(f"{path}?{on_its_day}").status_code == 200
    ran = CliRunner().invoke(invoice_cli, ["show", INVOICE, "--as-of", "2026-03-30"])
    assert (type(ran.exception), told in str(ran.exception)) == (NotFound, True)


def test_the_overview_is_of_the_day_and_the_seal_that_are_asked(
    client: FlaskClient, tmp_path: Path
) -> None:
    """Its figures are those of the pages behind it; what waits is said to be of now."""
    seal_all(open_signer(tmp_path / "seal-key"))
    enter(client, "accountant", "operations")
    for day, outstanding, paid in (
        ("2026-03-31", "1 351,04", "–"), ("2026-04-20", "116,48", "1 234,56"),
    ):  # fmt: skip
        page = client.get(f"/?effective_as_of={day}", headers=PAGE).text
        for path in ("/trial-balance", "/aging", "/payments/unmatched", "/invoices"):
            assert f'href="{path}?effective_as_of={day}"' in page
        assert f'href="/invoices?period=2026-03&amp;effective_as_of={day}"' in page
        seen = text_of(client, f"/?effective_as_of={day}")
        assert f"Outstanding from customers {outstanding}" in seen
        assert f"1 351,04 {paid} {outstanding}" in seen
        assert outstanding in text_of(client, f"/aging?effective_as_of={day}")
        waits = seen.partition("What waits now, whatever day")[2]
        assert "Files registered 2" in waits
        assert "Outstanding" not in waits.partition("State of the months")[0]
    assert "No month is billed yet" in text_of(client, "/?effective_as_of=2026-02-28")
    nothing = text_of(client, "/?known_as_of=0")
    assert "No month is billed yet" in nothing
    assert "what was known at seal position 0 and nothing later" in nothing
    newest, asked = text_of(client, "/"), text_of(client, "/?effective_as_of=2026-04-20")
    assert "20.04.2026 , the newest day with a posting." in newest
    assert newest.partition("At the end of")[2] == asked.partition("At the end of")[2]


# An address of each page that takes the clocks, and why the others take none.
CLOCKED = {
    "account": "/accounts/1500", "account_excel": "/accounts/1500/excel", "aging": "/aging",
    "aging_excel": "/aging/excel", "chart": "/ledger/chart", "customer": "/customers/7",
    "entry": "/entries/SAL/2026/1", "home": "/", "invoices_excel": "/invoices/excel",
    "invoice": f"/invoices/{INVOICE}", "invoices": "/invoices", "period": "/periods/2026-03",
    "trial_balance": "/trial-balance", "trial_balance_excel": "/trial-balance/excel",
    "unallocated": "/payments/unmatched", "unallocated_excel": "/payments/unmatched/excel",
}  # fmt: skip
WITHOUT_CLOCKS = {
    "Locks: each names its instant, and whoever looks wants to know what may be done now.": {
        "periods",
    },
    "Work that is not in the books yet.": {
        "journal", "journal_edit", "journal_file", "journal_new", "journals",
    },
    "Evidence that is the same for ever.": {
        "entry_proof", "invoice_pdf", "trace_invoice", "trace_record", "trace_voucher",
    },
    "Facts of the rooms above the journal, and of people.": {
        "access", "customers", "feed", "feeds", "login", "quote", "suspense", "tariff",
        "tariff_file", "tariffs",
    },
}  # fmt: skip


def test_every_page_of_the_books_takes_both_clocks(client: FlaskClient) -> None:
    """A new page has the clocks, or a reason in the list above; what is no clock is refused."""
    rules = client.application.url_map.iter_rules()
    pages = {
        rule.endpoint.removeprefix("desk.")
        for rule in rules
        if rule.endpoint.startswith("desk.") and "GET" in (rule.methods or ())
    }
    assert pages == CLOCKED.keys() | set().union(*WITHOUT_CLOCKS.values())
    enter(client, "accountant")
    for path in CLOCKED.values():
        for clock in ("known_as_of=99", "known_as_of=soon", "effective_as_of=31.02.2026"):
            assert client.get(f"{path}?{clock}", headers=PAGE).status_code == 422, (path, clock)
        if not path.endswith("/excel"):
            seen = text_of(client, f"{path}?effective_as_of=2026-04-30")
            assert "At the end of 30.04.2026" in seen, path
