"""Manual journals at the desk through a test client: what the server refuses, whatever is sent."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from ledger.db import transaction
from ledger.drafts import content_of
from ledger.service import draft_reading
from ledger.service.dimensions import add_dimension, add_value
from ledger.service.histories import histories
from ledger.service.signing import open_signer
from tests.ledger.conftest import seal_all
from tests.reporting import test_desk
from tests.reporting.bills import CONSUMER
from tests.reporting.desk_books import RECEIPT, RECEIPT_HASH
from tests.reporting.test_desk import PAGE, enter, text_of

client = test_desk.client


def send(client: FlaskClient, path: str, **fields: Any) -> Any:
    """Send a form as the page that holds it would."""
    page = client.get("/", headers=PAGE).text
    token = re.search(r'csrf_token" value="([^"]+)"', page)
    assert token is not None
    return client.post(path, data={"csrf_token": token.group(1), **fields}, headers=PAGE)


def latest(draft_id: int) -> draft_reading.DraftView:
    """The draft as it stands."""
    with transaction() as session:
        return draft_reading.read_draft(session, draft_id)


LINES = {
    "effective_date": "30.04.2026", "text": "Gebyr", "line_account": ["7830", "1920", ""],
    "line_text": ["Bank", "", ""], "line_vat_code": ["", "", ""],
    "line_debit": ["1 250,50", "", ""], "line_credit": ["", "1250,5", ""],
}  # fmt: skip


def test_what_is_typed_becomes_a_draft(client: FlaskClient) -> None:
    """Norwegian figures and dates, empty rows left out; the same form sent twice is one draft."""
    enter(client, "accountant")
    sent = [send(client, "/journal/new", key="k", action="submit", **LINES) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [303, 303]
    assert sent[0].location == sent[1].location
    view = latest(int(sent[0].location.rpartition("/")[2]))
    assert (view.state, view.latest.author) == ("submitted", "staff:accountant")
    told = content_of(view.draft)
    assert (told["effective_date"], told["document_date"]) == ("2026-04-30", "2026-04-30")
    assert [(line["account"], line["amount"], line["text"]) for line in told["lines"]] == [
        ("7830", "1250.50", "Bank"), ("1920", "-1250.50", None),
    ]  # fmt: skip


RICH = {
    **LINES,
    "line_account": ["7830", "1920", "7830", "1920"], "line_text": ["Gebyr", "", "", ""],
    "line_party": [f"C{CONSUMER.party_id}", "", "", ""],
    "line_dimensions": ["product=mobile; area=consumer", "", "", ""],
    "line_currency": ["", "nok", "EUR", "EUR"],
    "line_debit": ["100", "", "10", ""], "line_credit": ["", "100", "", "10"],
}  # fmt: skip


def test_lines_say_customer_dimensions_and_currency(client: FlaskClient) -> None:
    """What is typed is drafted, shown with the customer's name, and comes back into the form."""
    enter(client, "accountant")
    made = send(client, "/journal/new", key="k", action="save", **RICH)
    assert made.status_code == 303, made.text
    lines = content_of(latest(int(made.location.rpartition("/")[2])).draft)["lines"]
    assert [line["currency"] for line in lines] == ["NOK", "NOK", "EUR", "EUR"]
    assert lines[0]["party_id"] == CONSUMER.party_id
    assert lines[0]["dimensions"] == {"area": "consumer", "product": "mobile"}
    page = text_of(client, made.location)
    assert CONSUMER.name in page
    assert f"C{CONSUMER.party_id} {CONSUMER.name}" in page
    assert "area=consumer; product=mobile" in page
    assert ("Total EUR 10,00 10,00" in page, "Total NOK 100,00 100,00" in page) == (True, True)
    form = client.get(f"{made.location}/edit", headers=PAGE).text
    assert 'value="area=consumer; product=mobile"' in form
    assert 'value="EUR"' in form
    assert f'value="C{CONSUMER.party_id}"' in form
    assert "Difference EUR" in form
    assert send(client, f"{made.location}/edit", version="1", action="save", **RICH).location


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"line_party": ["12a", "", ""]}, "Line 1: no customer has the number 12a"),
        ({"line_party": ["C\0", "", ""]}, "no customer has the number"),
        # The number of a party is none that anybody is shown.
        ({"line_party": [str(CONSUMER.party_id), "", ""]}, "no customer has the number"),
        ({"line_party": ["999999", "", ""]}, "no customer has the number 999999"),
        ({"line_dimensions": ["mobile", "", ""]}, "write dimensions as product=mobile"),
        ({"line_dimensions": ["a=1; a=2", "", ""]}, "each once"),
        ({"line_currency": ["EUR", "", ""]}, "off by"),
        ({"line_currency": ["ZZZ", "ZZZ", ""]}, "ZZZ"),
        ({"effective_date": "31.02.2026"}, "is not a date"),
        ({"effective_date": ""}, "Say on which day"),
        ({"line_debit": ["12x", "", ""]}, "Line 1:"),
        ({"line_credit": ["5", "1250,5", ""]}, "Line 1 has a debit and a credit"),
        ({"line_account": ["1500", "1920", ""]}, "1500"),
        ({"line_account": ["", "1920", ""]}, "Line 1 has no account"),
        ({"text": " "}, "needs a text"),
        ({"effective_date": "30.04.2031"}, "No accounting period"),
        ({"line_text": ["x\0", "", ""]}, "NUL"),
    ],
)
def test_what_cannot_be_posted_comes_back_as_it_was_typed(
    client: FlaskClient, change: dict[str, Any], told: str
) -> None:
    """With the reason above it, and nothing kept."""
    enter(client, "accountant")
    answer = send(client, "/journal/new", key="k", action="submit", **{**LINES, **change})
    assert answer.status_code in {409, 422}
    assert told in answer.text
    assert 'value="1250,5"' in answer.text
    assert "Gebyr" not in text_of(client, "/journal")


def test_the_ledger_speaks_of_the_journal_that_was_typed(client: FlaskClient) -> None:
    """Of its line as the form counts them, not of the first entry of a batch."""
    enter(client, "accountant")
    typed = LINES | {"line_account": ["7830", "", "9999"], "line_debit": ["12,50", "", ""],
                     "line_credit": ["", "", "12,50"], "line_text": ["", "", ""]}  # fmt: skip
    page = unescape(send(client, "/journal/new", key="k", action="submit", **typed).text)
    assert ("Line 3: the chart has no account 9999" in page, "Entry 0" in page) == (True, False)
    made = send(client, "/journal/new", key="l", action="save", text="Rent",
                effective_date="31.03.2026")  # fmt: skip
    page = send(client, f"{made.location}/submit", version="1").text
    assert ("The journal has no lines." in page, "Entry 0" in page) == (True, False)


def test_what_the_book_does_not_know_is_told_while_it_is_typed(client: FlaskClient) -> None:
    """When it is kept, not when it is sent off: each name, at its field; unfinished is no fault."""
    enter(client, "accountant")
    typed = LINES | {"line_account": ["7830", "", "9999"], "line_debit": ["12,50", "", ""],
                     "line_credit": ["", "", "12,50"], "line_text": ["", "", ""]}  # fmt: skip
    strange = {"line_dimensions": ["prodct=mobile", "", "product=mobil"],
               "line_vat_code": ["", "", "99"], "line_currency": ["KRO", "", ""]}  # fmt: skip
    with transaction() as session:
        add_dimension(session, "NO01", "product", "Product", actor="x")
        add_value(session, "NO01", "product", "mobile", "Mobile", actor="x")
    answer = send(client, "/journal/new", key="k", action="save", **typed | strange)
    assert answer.status_code == 422
    page = unescape(answer.text)
    assert (
        "Line 1: KRO is not a currency of the books. Line 1: the book has no dimension prodct. "
        "Line 3: the chart has no account 9999. Line 3: the book has no VAT code 99. "
        "Line 3: product has no value mobil."
    ) in page
    wrong = re.findall(r'aria-label="([^"]*)"[^>]*aria-invalid="true"', page)
    assert wrong == ["Dimensions, line 1", "Currency, line 1", "Account, line 3",
                     "Dimensions, line 3", "VAT code, line 3"]  # fmt: skip
    assert 'value="prodct=mobile"' in page
    half = {"line_account": ["7830", "", ""], "line_debit": ["", "", ""], "text": ""}
    assert send(client, "/journal/new", key="l", action="save", **LINES | half).status_code == 303
    unfinished = send(client, "/journal/new", key="m", action="submit", **typed | {
        "line_account": ["7830", "", ""]})  # fmt: skip
    assert "Line 3 has no account." in unfinished.text
    assert re.search('aria-label="Account, line 3"[^>]*aria-invalid', unfinished.text)


def test_the_server_refuses_a_verdict_on_ones_own_draft(client: FlaskClient) -> None:
    """Both roles on one person: no button, and a form made by hand is refused."""
    enter(client, "accountant", "approver")
    made = send(client, "/journal/new", key="k", action="submit", **LINES).location
    assert "Approve and post" not in text_of(client, made)
    wanted = latest(int(made.rpartition("/")[2])).latest.content_hash.hex()
    sent = send(client, f"{made}/verdict", verdict="approved", content_hash=wanted)
    assert (sent.status_code, "cannot judge it" in sent.text) == (403, True)


def test_a_draft_is_withdrawn_by_its_maker_with_a_reason(client: FlaskClient) -> None:
    """Nobody else has the button or may; the page then says who, when and why."""
    enter(client, "accountant")
    made = send(client, "/journal/new", key="k", action="submit", **LINES).location
    assert "Withdraw this draft" in text_of(client, made)
    assert send(client, f"{made}/withdrawal", version="1", reason=" ").status_code == 422
    assert send(client, f"{made}/withdrawal", version="9", reason="x").status_code == 412
    again = send(client, f"{made}/withdrawal", version="9", reason="Sent by mistake").text
    assert "<details" in again
    assert 'value="Sent by mistake"' in again
    assert "Withdraw this draft" not in text_of(client, "/journal/1")
    other = send(client, "/journal/1/withdrawal", version=latest(1).latest.version_no, reason="x")
    assert other.status_code == 403
    assert send(client, f"{made}/withdrawal", version="1", reason="Sent twice").status_code == 303
    page = text_of(client, made)
    assert ("withdrew it on" in page, "Sent twice" in page) == (True, True)
    assert "Withdraw this draft" not in page
    assert "Gebyr" in text_of(client, "/journal?state=withdrawn")


def test_an_approver_decides_on_what_was_read(client: FlaskClient) -> None:
    """The hash of an older version is refused; without a form token nothing happens."""
    enter(client, "approver")
    view = latest(1)
    stale, wanted = view.versions[0].content_hash.hex(), view.latest.content_hash.hex()
    assert "125,50" in text_of(client, "/journal/1")
    old = send(client, "/journal/1/verdict", verdict="approved", content_hash=stale)
    assert old.status_code == 412
    sent = send(
        client, "/journal/1/verdict", verdict="rejected", content_hash=stale, comment="Why?"
    )
    assert ">Why?</textarea>" in sent.text
    bare = client.post("/journal/1/verdict", data={"verdict": "approved", "content_hash": wanted})
    assert bare.status_code == 400
    done = send(client, "/journal/1/verdict", verdict="approved", content_hash=wanted)
    assert done.status_code == 303
    assert latest(1).state == "posted"
    page = text_of(client, "/entries/JNL/2026/1")
    assert "Approved by approver" in page
    assert "receipt.pdf" in page


def test_a_voucher_says_in_which_block_it_is_sealed(client: FlaskClient, home: Path) -> None:
    """Not sealed yet, then the block's number; the draft and its approval are sealed with it."""
    enter(client, "approver")
    wanted = latest(1).latest.content_hash.hex()
    send(client, "/journal/1/verdict", verdict="approved", content_hash=wanted)
    assert "not sealed yet" in text_of(client, "/entries/JNL/2026/1")
    seal_all(open_signer(home / "seal-key"))
    assert re.search(r"Seal Block \d+,", text_of(client, "/entries/JNL/2026/1"))
    assert {"draft_version", "draft_approval", "draft_posted", "approval_policy"} <= set(
        histories()
    )


def test_two_who_change_one_version_do_not_overwrite_each_other(client: FlaskClient) -> None:
    """The second is told, with what they typed still before them."""
    enter(client, "accountant")
    fields = {**LINES, "version": "3"}
    assert send(client, "/journal/1/edit", action="save", **fields).status_code == 303
    late = send(client, "/journal/1/edit", action="save", **{**fields, "text": "Late"})
    assert late.status_code == 412
    assert 'value="Late"' in late.text
    assert len(latest(1).draft.attachments) == 1


def test_a_file_is_saved_never_shown(client: FlaskClient) -> None:
    """As an attachment, with its own name and nothing that may run."""
    enter(client, "auditor")
    got = client.get(f"/journal/1/attachments/{RECEIPT_HASH}")
    assert got.data == RECEIPT
    assert got.headers["Content-Disposition"] == "attachment; filename=receipt.pdf"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert send(client, "/journal/1/attachments", version="3").status_code == 403


def test_a_person_cannot_post_around_the_second_person(client: FlaskClient) -> None:
    """The address for programs refuses a session, even with its form token."""
    enter(client, "accountant")
    page = client.get("/", headers=PAGE).text
    token = re.search(r'csrf_token" value="([^"]+)"', page)
    assert token is not None
    entry = {
        "effective_date": "2026-04-30", "document_date": "2026-04-30", "text": "Gift",
        "lines": [{"account": "7830", "amount": "5.00"}, {"account": "1920", "amount": "-5.00"}],
    }  # fmt: skip
    for path, body in (
        ("/api/v1/entries", entry), ("/api/v1/posting-batches", {"entries": [entry]}),
    ):  # fmt: skip
        sent = client.post(
            path, json=body, headers={"X-CSRFToken": token.group(1), "Idempotency-Key": "g"}
        )
        assert (sent.status_code, "is a person" in sent.text) == (403, True), sent.text


def test_the_chart_says_who_may_post_where(client: FlaskClient) -> None:
    """Every account with its balance; those that systems keep are marked."""
    enter(client, "auditor")
    page = text_of(client, "/ledger/chart")
    assert "1530 Usage delivered and not yet billed 1530 balanseverdiForOmloepsmiddel " in page
    assert "systems only open items by customer" in page
    assert "67 accounts" in page


def test_the_statement_turns_pages(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older lines follow by link, with the balance carried forward."""
    monkeypatch.setattr("reporting.web.books._LINES_SHOWN", 1)
    enter(client, "auditor")
    first = client.get("/accounts/1500", headers=PAGE).text
    older = re.search(r'href="(/accounts/1500\?after=[^"]+)">Older lines', first)
    assert older is not None
    assert "Carried forward" in first
    assert "Newest lines" not in first
    page = client.get(older.group(1), headers=PAGE).text
    assert "Newest lines" in page
    assert "Carried forward" not in page
