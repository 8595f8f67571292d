"""The trail on the desk: what it names has a page, and its links lead there."""

from __future__ import annotations

import json

from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger.db import transaction
from mediation.models import BankPayment, SourceFile
from reporting.cli.trace import trace_cli
from reporting.web import trails
from tests.reporting.desk_books import BOOK, PAID
from tests.reporting.test_desk import INVOICE, PAGE, enter, text_of
from tests.reporting.test_desk import client as _client

client = _client
BANK_FILE = "OCR_20260420_0001.txt"


def take_bank_file() -> None:
    """Say that the payment of the invoice came in line 41 of a bank's file."""
    with transaction() as session:
        session.add(
            SourceFile(
                file_id=9, name=BANK_FILE, sha256="c" * 64, record_count=1, source_system="NETS",
                format="ocr", state="accepted", size=160,
            )
        )  # fmt: skip
        session.flush()
        entry_id, kid = session.execute(
            text(
                "SELECT entry_id, kid FROM open_item WHERE original_minor < 0 AND kid IS NOT NULL"
                " ORDER BY open_item_id LIMIT 1"
            )
        ).one()
        session.add(
            BankPayment(
                file_id=9, line_no=41, book=BOOK, transmission_no=1, assignment_line_no=2,
                assignment_no=1, agreement="1", account="12345678903", kind=10, tx_no=1,
                settlement_date=PAID, centre="", day_code="", part=0, serial=0, form_no="",
                kid=kid, amount_minor=123456, card_issuer="", outcome="exact", entry_id=entry_id,
                batch_id=entry_id >> 20, allocated_minor=123456, unallocated_minor=0,
                claim_item_ids=[], payment_item_ids=[],
            )
        )  # fmt: skip


def test_the_bank_s_file_of_a_payment_has_its_page(client: FlaskClient) -> None:
    """From the invoice and from the payment's voucher; its number stands in no column."""
    take_bank_file()
    enter(client, "accountant")
    for address in (f"/trace/invoice/{INVOICE}", "/trace/voucher/PAY/2026/1"):
        page = client.get(address, headers=PAGE).text
        assert f'<a class="code" href="/feeds/9">{BANK_FILE}</a>' in page
        assert "File id" not in page
    assert BANK_FILE in text_of(client, "/feeds/9")


def test_whoever_may_not_open_the_file_reads_its_name(client: FlaskClient) -> None:
    """No link leads to a refusal."""
    take_bank_file()
    enter(client, "approver")
    page = client.get(f"/trace/invoice/{INVOICE}", headers=PAGE).text
    assert BANK_FILE in page
    assert "/feeds/9" not in page


def test_programs_get_the_number_of_the_file(client: FlaskClient) -> None:
    """Beside its name; people read the name alone."""
    take_bank_file()
    for asked in (["invoice", INVOICE], ["voucher", "PAY/2026/1"]):
        told = CliRunner().invoke(trace_cli, [*asked, "--json"], catch_exceptions=False)
        (payment,) = json.loads(told.output)["payments"]
        assert (payment["file"], payment["file_id"], payment["line"]) == (BANK_FILE, 9, 41)
        told = CliRunner().invoke(trace_cli, asked, catch_exceptions=False)
        assert f"file {BANK_FILE}, line 41" in told.output


def test_a_party_that_nobody_registered_is_told_as_what_it_is() -> None:
    """Its number is no customer's; a line without a party has an empty place in the same column."""
    rows = [{"party_id": 7, "name": "x"}, {"party_id": 8, "name": "y"}, {"party_id": None}]
    told = trails.named({"lines": rows}, {7: ("10000007", "Kari")})
    assert told == {"lines": [
        {"customer": "10000007", "party_id": 7, "name": "x"},
        {"customer": "party 8", "party_id": 8, "name": "y"},
        {"customer": "", "party_id": None},
    ]}  # fmt: skip
