"""The desk through a test client: what each role sees, in Norwegian notation, tied to the books."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html import unescape
from io import BytesIO
from typing import Any

import openpyxl
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.datastructures import MultiDict

from ledger import api as ledger_api
from ledger import service as ledger
from ledger import web
from ledger.access import ROLES, SCOPES
from ledger.db import transaction
from ledger.service import access
from ledger.web.gate import PUBLIC, route_scopes, session_cookie
from mediation import api as mediation_api
from mediation.models import SourceFile
from party import api as party_api
from party.service import party_labels
from rating import api as rating_api
from rating import service as rating
from reporting import api as reporting_api
from reporting import norwegian, service
from reporting.web import customers, feeds, pages
from tests.rating.tariffs import SMALL
from tests.reporting.bills import BUSINESS
from tests.reporting.desk_books import RECEIPT_HASH, open_books

PAGE = {"Accept": "text/html"}
PASSWORD = "calm and quiet desk"
INVOICE = "2026-000001"


@cache
def make_app() -> Flask:
    """The plumbing, the API of all rooms, and the desk; made once for all tests of a process."""
    app = Flask("trial", static_folder=None)
    app.config["SECRET_KEY"] = "only for this test"
    api = web.install(app)
    for room in (ledger_api, party_api, rating_api, mediation_api, reporting_api):
        room.register(api)
    pages.register(app)
    return app


@pytest.fixture
def client(db: str) -> FlaskClient:
    """A browser without a session, over a small billed month."""
    open_books()
    with transaction() as session:
        rating.load_tariff(session, SMALL.encode())
    return make_app().test_client()


def enter(client: FlaskClient, *roles: str) -> None:
    """Open a session for a new member of staff with some roles."""
    now = datetime.now(UTC)
    with transaction() as session:
        name = "-".join(roles)
        staff_id = access.add_staff(session, name, roles, PASSWORD, actor="test", now=now)
        token = access.open_session(session, staff_id, now=now)
    with client.application.app_context():
        client.set_cookie(session_cookie(), token)


def text_of(client: FlaskClient, path: str) -> str:
    """The text of a page, with no-break spaces as spaces."""
    response = client.get(path, headers=PAGE)
    assert response.status_code == 200, response.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text)).replace("\u00a0", " ")


def book_of(client: FlaskClient, path: str, **headers: str) -> Any:
    """The workbook that an address gives."""
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    return openpyxl.load_workbook(BytesIO(response.data))


def test_a_person_without_a_session_is_led_to_the_login_and_back(client: FlaskClient) -> None:
    """The page that was wanted is where the login leads."""
    asked = client.get("/aging?effective_as_of=2026-04-30", headers=PAGE)
    assert asked.status_code == 303
    form = client.get(asked.location).text
    token = re.search(r'csrf_token" value="([^"]+)"', form)
    assert token is not None
    with transaction() as session:
        access.add_staff(
            session, "berit", ["collector"], PASSWORD, actor="test", now=datetime.now(UTC)
        )
    typed = {"username": "berit", "password": PASSWORD, "csrf_token": token.group(1)}
    sent = client.post("/login", data={**typed, "next": "/aging?effective_as_of=2026-04-30"})
    assert (sent.status_code, sent.location) == (303, "/aging?effective_as_of=2026-04-30")
    cookie = sent.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert client.get(sent.location, headers=PAGE).status_code == 200


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_login_leads_nowhere_else(client: FlaskClient, target: str) -> None:
    """A crafted link cannot send a person to another site after logging in."""
    assert pages._own_path(target) is None
    assert "evil" not in client.get("/login", query_string={"next": target}).text


def test_wrong_words_are_refused_without_saying_which(client: FlaskClient) -> None:
    """Unknown name and wrong password read alike."""
    form = client.get("/login").text
    token = re.search(r'csrf_token" value="([^"]+)"', form)
    assert token is not None
    typed = {"username": "nobody", "password": "x", "csrf_token": token.group(1)}
    sent = client.post("/login", data=typed)
    assert sent.status_code == 401
    assert "User name or password is wrong." in sent.text


def test_a_session_that_ended_costs_nobody_what_was_typed(client: FlaskClient) -> None:
    """A long journal is sent again after logging in; a form of another site is not kept."""
    enter(client, "accountant")
    page = client.get("/journal/new", headers=PAGE).text
    token = re.findall(r'csrf_token" value="([^"]+)"', page)[0]
    typed = {"csrf_token": token, "action": "save", "effective_date": "31.03.2026", "key": "k",
             "text": 'Rent <of> "March"', "line_account": ["1920", "7830"],
             "line_debit": ["12,50", ""], "line_credit": ["", "12,50"]}  # fmt: skip
    cookie = client.get_cookie("hovedbok")
    assert cookie is not None
    client.delete_cookie("hovedbok")
    ended = client.post("/journal/new", data=typed, headers=PAGE)
    assert (ended.status_code, "Nothing of what you sent was done" in ended.text) == (401, True)
    kept = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', ended.text)
    assert [unescape(value) for name, value in kept if name == "line_account"] == ["1920", "7830"]
    client.set_cookie("hovedbok", cookie.value)
    again = MultiDict((name, unescape(value)) for name, value in kept)
    sent = client.post("/journal/new", data=again, headers=PAGE)
    assert 'Rent <of> "March"' in unescape(text_of(client, sent.location))
    client.delete_cookie("hovedbok")
    for forged in (typed | {"csrf_token": "x"}, {"csrf_token": token}):
        refused = client.post("/journal/new", data=forged, headers=PAGE)
        assert (refused.status_code, refused.location) == (303, "/login")


def test_looking_at_the_login_is_no_attempt_to_log_in(client: FlaskClient) -> None:
    """What checks that the desk is up must not lock its address out, or fill the audit log."""
    assert client.head("/login").status_code == 200


def test_logging_out_ends_the_session_on_the_server(client: FlaskClient) -> None:
    """The old cookie opens nothing, even if somebody kept it."""
    enter(client, "accountant")
    page = client.get("/", headers=PAGE).text
    token = re.search(r'csrf_token" value="([^"]+)"', page)
    assert token is not None
    kept = client.get_cookie("hovedbok")
    assert kept is not None
    assert client.post("/logout", data={"csrf_token": token.group(1)}).location == "/login"
    client.set_cookie("hovedbok", kept.value)
    assert client.get("/", headers=PAGE).status_code == 303


def test_the_front_page_shows_each_role_its_own(client: FlaskClient) -> None:
    """An accountant sees the balance, operations the feeds, neither the other's."""
    enter(client, "accountant")
    seen = text_of(client, "/")
    assert "Debit and credit are equal" in seen
    assert "1 payment to place" in seen
    enter(client, "operations")
    seen = text_of(client, "/")
    assert "Files registered" in seen
    assert "Trial balance" not in seen


def test_the_trial_balance_leads_to_account_entry_and_invoice(client: FlaskClient) -> None:
    """Each figure is a link to what it consists of."""
    enter(client, "accountant")
    seen = text_of(client, "/trial-balance")
    assert "2991 Receipts not yet allocated NOK – 250,00 −250,00" in seen
    assert "NOK: debit and credit are equal" in seen
    page = client.get("/accounts/1500", headers=PAGE).text
    assert 'href="/entries/SAL/2026/1#line-1"' in page
    entry = client.get("/entries/SAL/2026/1", headers=PAGE).text
    assert f'href="/invoices/{INVOICE}"' in entry
    assert "31.03.2026" in entry


def test_the_trial_balance_is_of_the_day_that_is_asked(client: FlaskClient) -> None:
    """Before the payments arrived, 2991 is not there."""
    enter(client, "accountant")
    assert "2991" not in text_of(client, "/trial-balance?effective_as_of=2026-03-31")
    typed = text_of(client, "/trial-balance?effective_as_of=31.03.2026")
    assert "At the end of 31.03.2026" in typed
    refused = client.get("/trial-balance?effective_as_of=31.02.2026", headers=PAGE)
    assert refused.status_code == 422
    assert "is not a date" in refused.text


def test_the_aging_list_shows_buckets_and_its_proof(client: FlaskClient) -> None:
    """The business invoice is open, the consumer's is paid, and open items equal the journal."""
    enter(client, "collector")
    seen = text_of(client, "/aging?effective_as_of=2026-05-31")
    assert "Prøve og Sønner AS 1505 –" in seen
    assert "Testkunde En" not in seen
    assert "Equals the control accounts" in seen
    assert "1505 116,48 116,48 0,00" in seen


def test_a_customer_page_tells_the_whole_story(client: FlaskClient) -> None:
    """Who, what is open, the invoice and the payment, and the order of events."""
    enter(client, "collector")
    seen = text_of(client, "/customers/7")
    assert "Testkunde En" in seen
    assert "Nothing is open." in seen
    assert "1 234,56 Paid" in seen
    assert "Timeline" in seen
    assert seen.count("1 234,56") >= 3
    assert re.search(r"900 00 0\d\d MOBIL-5GB 15.01.2026 –", seen)


def test_customers_are_found_as_one_types(client: FlaskClient) -> None:
    """Htmx gets the rows alone, a browser without scripts the whole page."""
    enter(client, "collector")
    rows = client.get("/customers?q=sønner", headers={**PAGE, "HX-Request": "true"}).text
    assert "Prøve og Sønner AS" in rows
    assert "<html" not in rows
    assert "No customer matches" in text_of(client, "/customers?q=zzz")


def test_what_stands_on_an_invoice_finds_its_customer(client: FlaskClient) -> None:
    """On the phone a customer reads a number from the bill; a stray payment brings only its KID."""
    with transaction() as session:
        (one, other) = service.iter_invoices(session, "NO01")
    enter(client, "collector")
    for said in (one.number, one.kid, f" {one.kid[:5]} {one.kid[5:]} ", "2026-1"):
        page = client.get("/customers", query_string={"q": said}, headers=PAGE).text
        assert f'href="/invoices/{one.number}"' in page, said
        assert f'href="/customers/{one.party_id}"' in page
        assert f'href="/customers/{other.party_id}"' not in page
    for said in ("2026-000099", "0" * 15):
        assert "No customer matches" in text_of(client, f"/customers?q={said}")
    page = client.get("/payments/unmatched", headers=PAGE).text
    assert 'href="/customers?q=123456789012347"' in page
    enter(client, "administrator", "operations")
    assert BUSINESS.org_no is not None
    spaced = " ".join(BUSINESS.org_no[at : at + 3] for at in (0, 3, 6))
    assert BUSINESS.name in text_of(client, f"/customers?q={spaced}")
    told = text_of(client, "/customers/8").replace("\u00a0", " ")
    assert f"organisation number {spaced}" in told


def test_each_column_of_an_invoice_sums_to_a_figure_below(client: FlaskClient) -> None:
    """With VAT where the prices have it; a business invoice has no second column of the same."""
    enter(client, "collector")
    assert "VAT Net With VAT" in text_of(client, "/invoices/2026-000001")
    business = text_of(client, "/invoices/2026-000002")
    assert ("VAT Net" in business, "With VAT" in business) == (True, False)
    assert "Net 93,18 VAT 23,30 To pay 116,48" in business


def test_the_audit_log_turns_pages(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """No act is out of reach of whoever looks for it."""
    enter(client, "administrator")
    enter(client, "auditor")
    monkeypatch.setattr(pages, "_ACTS_SHOWN", 1)
    newest = client.get("/access", headers=PAGE).text
    assert "staff:administrator" not in newest
    (older,) = re.findall(r'href="(/access\?before=\d+)"', newest)
    page = client.get(older, headers=PAGE).text
    assert ("staff:administrator" in page, "Newest acts" in page) == (True, True)
    assert "No older act." in text_of(client, "/access?before=1")


def test_an_invoice_page_leads_to_its_archived_pdf(client: FlaskClient) -> None:
    """The PDF comes from the vault, byte for byte, and may be shown by the browser."""
    enter(client, "accountant")
    assert f"/invoices/{INVOICE}/pdf" in client.get(f"/invoices/{INVOICE}", headers=PAGE).text
    assert re.search(r"900 00 0\d\d Text of", text_of(client, f"/invoices/{INVOICE}"))
    document = client.get(f"/invoices/{INVOICE}/pdf")
    assert document.data.startswith(b"%PDF-")
    assert document.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert document.headers["Content-Disposition"] == f'inline; filename="{INVOICE}.pdf"'


def test_an_entry_and_an_invoice_lead_to_their_trail(client: FlaskClient) -> None:
    """The page tells what `hovedbok trace` prints, and its steps are links."""
    enter(client, "auditor")
    for source in ("/entries/SAL/2026/1", f"/invoices/{INVOICE}"):
        assert "/trace/" in client.get(source, headers=PAGE).text
    seen = text_of(client, "/trace/voucher/SAL/2026/1")
    assert "1500 Customers - consumer 1 234,56" in seen
    assert (
        f'href="/invoices/{INVOICE}"' in client.get("/trace/voucher/SAL/2026/1", headers=PAGE).text
    )
    assert "Line Account Name Amount Customer" in seen
    with transaction() as session:
        ((number, _),) = party_labels(session, {7}).values()
    assert f"1500 Customers - consumer 1 234,56 {number} " in seen
    assert "Trace of voucher SAL/2026/1" in seen
    assert "KID" in text_of(client, f"/trace/invoice/{INVOICE}")
    assert client.get("/trace/record?place=nothing", headers=PAGE).status_code == 422
    assert client.get("/trace/record?place=nothing%231", headers=PAGE).status_code == 404


def test_feeds_show_their_control_accounts(client: FlaskClient) -> None:
    """Received against what became of it; a parked file says why."""
    enter(client, "operations")
    seen = text_of(client, "/feeds")
    assert "OSLMSC1 accepted 1 204 1 190 8 4 2 Tie" in seen
    assert "no_decoder" in seen
    assert "1 alarm" in seen
    assert "Files 2 to 4 are missing." in text_of(client, "/feeds/1")
    assert "Seconds 88 120 87 900" in text_of(client, "/feeds/2")
    assert "UNKNOWN_SUBSCRIBER" in text_of(client, "/suspense")
    assert client.get("/feeds/99", headers=PAGE).status_code == 404


def test_files_that_want_a_look_are_a_list_of_their_own(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that waits as a whole is no file in order; why it waits is said on its page."""
    spoilt = SourceFile(
        file_id=3, name="LATE.ber", source_system="OSLMSC1", format="msc", state="suspended",
        reason="COUNT_DIFFERS", detail="Its trailer says 9 records, 8 are there.", size=1,
        sha256="c" * 64, record_count=8, sequence=3, node="OSLMSC1",
    )  # fmt: skip
    with transaction() as session:
        session.add(spoilt)
    enter(client, "operations")
    assert "Files registered 3 1 waits as a whole, 1 not read, 1 alarm" in text_of(client, "/")
    assert 'href="/feeds?look=yes"' in client.get("/", headers=PAGE).text
    look = client.get("/feeds?look=yes", headers=PAGE).text
    assert re.findall(r'href="/feeds/(\d+)"', look) == ["3", "1"]
    assert ("Waits as a whole" in look, "Not read" in look) == (True, True)
    assert "Its trailer says 9 records, 8 are there. Nothing of" in text_of(client, "/feeds/3")
    monkeypatch.setattr(feeds, "_FILES_SHOWN", 1)
    page = client.get("/feeds?look=yes", headers=PAGE).text
    (older,) = re.findall(r'href="(/feeds\?[^"]*before=[^"]*)"', unescape(page))
    rest = client.get(older, headers=PAGE).text
    assert re.findall(r'href="/feeds/(\d+)"', rest) == ["1"]
    assert client.get("/feeds?look=no", headers=PAGE).status_code == 400


def test_unmatched_payments_are_listed_and_summed(client: FlaskClient) -> None:
    """What waits on 2991 is what the list sums to."""
    enter(client, "collector")
    seen = text_of(client, "/payments/unmatched")
    assert "123456789012347 NOK 250,00 250,00 Total NOK 250,00" in seen


def test_money_leads_to_the_voucher_that_brought_it(client: FlaskClient) -> None:
    """A payment is followed into the books by whoever may read them, and is text to others."""
    enter(client, "accountant")
    waiting = client.get("/payments/unmatched", headers=PAGE).text
    (stray,) = set(re.findall(r'href="/entries/(PAY/2026/\d+)"', waiting))
    assert "2991" in client.get(f"/entries/{stray}", headers=PAGE).text
    customer = client.get("/customers/7", headers=PAGE).text
    (paid,) = set(re.findall(r'href="/entries/(PAY/2026/\d+)"', customer))
    assert paid != stray
    enter(client, "collector")
    for path in ("/payments/unmatched", "/customers/7"):
        assert "/entries/" not in client.get(path, headers=PAGE).text


def test_the_list_of_invoices_turns_pages(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No invoice is out of reach, the period and the day stay, and the last page says so."""
    enter(client, "collector")
    monkeypatch.setattr(customers, "_INVOICES_SHOWN", 1)
    asked = "period=2026-03&effective_as_of=2026-05-31"
    first = client.get(f"/invoices?{asked}", headers=PAGE).text
    assert 'href="/invoices/2026-000002' not in first
    (further,) = re.findall(r'href="(/invoices\?[^"]*after=[^"]*)"', unescape(first))
    assert {"period=2026-03", "effective_as_of=2026-05-31"} < set(further.split("?")[1].split("&"))
    second = client.get(further, headers=PAGE).text
    assert 'href="/invoices/2026-000002' in second
    assert f'href="/invoices/{INVOICE}' not in second
    assert "Next invoices" not in second
    assert "First invoices" in second
    assert "No further invoice is issued" in text_of(client, "/invoices?after=2026-000002")
    assert client.get("/invoices?after=x", headers=PAGE).status_code == 422


def test_a_list_of_all_invoices_has_their_sums(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Net, VAT, to pay, and what is left; those of a part would be taken for those of all."""
    enter(client, "collector")
    with transaction() as session:
        one, two = service.iter_invoices(session, "NO01")
        left = ledger.open_items(session, "NO01", accounts=customers.RECEIVABLES)
    net, vat, gross = (
        norwegian.kroner(getattr(one, name) + getattr(two, name)).replace("\u00a0", " ")
        for name in ("net_minor", "vat_minor", "gross_minor")
    )
    open_now = norwegian.kroner(sum(item.outstanding_minor for item in left))
    whole = text_of(client, "/invoices").replace("\u00a0", " ")
    assert f"2 invoices Net {net}, VAT {vat}, to pay {gross}, outstanding " in whole
    assert f"outstanding {open_now} Issued invoices" in whole
    assert "to pay " not in text_of(client, f"/invoices?after={INVOICE}")
    monkeypatch.setattr(customers, "_INVOICES_SHOWN", 1)
    assert "to pay " not in text_of(client, "/invoices")


@pytest.mark.parametrize(
    ("left", "said"), [(1_234_56, "1 234,56 open"), (1_00, "1,00 part paid"), (0, "0,00 settled")]
)
def test_an_invoice_says_how_far_it_is_paid(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, left: int, said: str
) -> None:
    """As the page of its customer does."""
    enter(client, "collector")
    monkeypatch.setattr(service, "outstanding_of", lambda *_: left)
    assert f"Outstanding {said}" in text_of(client, f"/invoices/{INVOICE}")


def test_an_invoice_without_its_pdf_is_marked_in_the_list(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overview counts them; the list says which they are."""
    enter(client, "operations")
    assert "no PDF yet" not in text_of(client, "/invoices")
    with transaction() as session:
        (one, _) = service.iter_invoices(session, "NO01")
    waits = replace(one, document_sha256=None)
    monkeypatch.setattr(service, "iter_invoices", lambda *_, **__: iter([waits]))
    assert "no PDF yet" in text_of(client, "/invoices")


def test_lists_download_as_workbooks(client: FlaskClient) -> None:
    """The button gives typed cells with live sums; the API gives the same by Accept."""
    enter(client, "accountant")
    for path in ("/trial-balance/excel", "/aging/excel", "/payments/unmatched/excel"):
        assert book_of(client, path).sheetnames[0] == "Parameters"
    by_accept = book_of(client, "/api/v1/aging?effective_as_of=2026-05-31", Accept=_XLSX)
    assert by_accept["Aging list"]["C2"].value == "Prøve og Sønner AS"


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def test_the_api_shows_what_the_desk_shows(client: FlaskClient) -> None:
    """JSON with amounts as strings, the day echoed as resolved."""
    enter(client, "auditor")
    balance = client.get("/api/v1/trial-balance?effective_as_of=2026-04-30").json
    assert balance["effective_as_of"] == "2026-04-30"
    assert balance["totals"][0]["balance"] == "0.00"
    aging = client.get("/api/v1/aging").json
    assert (aging["effective_as_of"], aging["balance"]) == ("2026-04-20", "116.48")
    assert aging["control"]["1505"] == "116.48"
    first = client.get("/api/v1/invoices?limit=1").json
    assert (first["invoices"][0]["number"], first["next"]) == (INVOICE, INVOICE)
    rest = client.get(f"/api/v1/invoices?after={INVOICE}").json
    for month in ("2026-13", "2026-00"):
        assert client.get(f"/api/v1/invoices?period={month}").status_code == 422
    assert (len(rest["invoices"]), rest["next"]) == (1, None)
    shown = client.get(f"/api/v1/invoices/{INVOICE}").json
    assert (shown["gross"], shown["outstanding"]) == ("1234.56", "0.00")
    assert client.get(f"/api/v1/invoices/{INVOICE}/pdf").data.startswith(b"%PDF-")


def test_a_mistyped_book_is_no_empty_report(client: FlaskClient) -> None:
    """Books without anything in them are not what was asked for."""
    enter(client, "auditor")
    for path in ("trial-balance", "aging", "invoices"):
        answer = client.get(f"/api/v1/{path}?book=NO99")
        assert (answer.status_code, answer.json["title"]) == (404, "Unknown book")


def test_the_api_shows_customers_files_and_suspense(client: FlaskClient) -> None:
    """What the rooms below know, by the same names as in the description."""
    enter(client, "auditor")
    found = client.get("/api/v1/customers?q=prøve").json["customers"]
    assert [customer["name"] for customer in found] == ["Prøve og Sønner AS"]
    customer = client.get("/api/v1/customers/7").json
    assert customer["subscriptions"][0]["active_from"] == "2026-01-14T23:00:00+00:00"
    switch = client.get("/api/v1/files/2").json
    assert [total["ties"] for total in switch["control_totals"]] == [True, True]
    page = client.get("/api/v1/suspense?limit=1").json
    assert page["reasons"][0] == {"reason": "NO_RATE", "records": 1, "seconds": 50, "octets": 0}
    rest = client.get(f"/api/v1/suspense?after={page['next']}").json
    assert [record["record_no"] for record in rest["records"]] == [311]


def test_the_whole_description_is_valid_openapi() -> None:
    """Every room's resources, with the scope that each needs."""
    described = make_app().test_client().get("/api/v1/openapi.json").json
    validate(described)
    operations = [one for path in described["paths"].values() for one in path.values()]
    assert all(one["x-scope"] for one in operations if isinstance(one, dict))


def test_the_catalogue_covers_every_room_without_a_clash() -> None:
    """No two problems of any rooms share a code."""
    rooms = ("ledger", "party", "rating", "mediation", "reporting")
    assert {entry.room for entry in web.problem_catalogue(rooms)} <= set(rooms)


def test_a_wrong_address_keeps_the_menu(client: FlaskClient) -> None:
    """Somebody who is logged in finds their way back."""
    assert "Trial balance" not in client.get("/no/such/page", headers=PAGE).text
    enter(client, "accountant")
    page = client.get("/no/such/page", headers=PAGE)
    assert page.status_code == 404
    assert "Trial balance" in page.text


def test_refusals_are_pages_for_people(client: FlaskClient) -> None:
    """A person reads what happened and an id to quote; a program reads problem+json."""
    enter(client, "collector")
    page = client.get("/trial-balance", headers=PAGE)
    assert page.status_code == 403
    assert "This needs the scope ledger:read" in page.text
    assert page.headers["X-Request-Id"] in page.text
    answer = client.get("/trial-balance")
    assert answer.content_type == "application/problem+json"


SAMPLE = {
    "number": INVOICE, "party_id": 7, "file_id": 2, "series": "SAL", "year": 2026,
    "account": "1500", "draft_id": 1, "sha256": RECEIPT_HASH, "client": "x",
    "request_id": 1, "webhook_id": 1, "block_no": 1, "allocation_id": 1, "book": "NO01",
    "period": "2026-03", "checklist_id": 1, "name": "SMALL", "version": 1,
    "identity": "SMALL:1:ONE", "code": "3", "line_no": 3, "refused_file_id": 1,
}  # fmt: skip


def address(rule: str) -> str:
    """A route with its placeholders filled in."""
    if rule.startswith("/accounts/"):
        return "/accounts/1500"
    if "<series>" in rule:
        return (
            rule.replace("<int:number>", "1")
            .replace("<series>", "SAL")
            .replace("<int:year>", "2026")
        )
    if "<int:open_item_id>" in rule or "<int:entry_id>" in rule:
        with transaction() as session:
            item = ledger.open_items(session, "NO01", settled=True)[0]
        filled = rule.replace("<int:open_item_id>", str(item.open_item_id))
        return filled.replace("<int:entry_id>", str(item.entry_id))
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(SAMPLE[found.group(1)]), rule)


def test_every_route_opens_for_its_scope_and_for_no_other(client: FlaskClient) -> None:
    """A client with every other scope gets 403, one with the scope alone an answer."""
    scopes = route_scopes(client.application)
    assert all(scopes.values()), [route for route, scope in scopes.items() if not scope]
    for (method, rule), needed in scopes.items():
        if needed == PUBLIC:
            continue
        others, alone = SCOPES.keys() - {needed}, {needed}
        # Nothing was sent over REST, told, sealed or paid yet: whoever may ask for it is told so.
        absent = re.search(
            r"<int:(request_id|webhook_id|block_no|allocation_id|checklist_id)>"
            r"|/proof$|/checklist$|<path:identity>$",
            rule,
        )
        open_to_it = {404, 409, 422} if absent else {200, 422}
        if re.match(r"/(periods|years)/.*/", rule):
            open_to_it = {303, 404, 409, 412, 422}  # What is done there ends on the page.
        elif "<path:identity>" in rule:
            open_to_it |= {200}  # An offering is no price and no catalogue.
        elif rule.endswith("/checklist"):
            open_to_it |= {200}  # The desk's button was tried before, or was not.
        for carried, expected in ((others, {403}), (alone, open_to_it)):
            header = {"Authorization": f"Bearer {token(carried)}"}
            if rule == "/logout" and carried is alone:
                continue  # Only a browser's session can be ended.
            status = client.open(address(rule), method=method, headers=header).status_code
            assert status in expected, f"{method} {rule} with {sorted(carried)}: {status}"


def token(scopes: set[str]) -> str:
    """A token of a new client with some scopes."""
    with transaction() as session:
        name = f"client-{len(access.audit_log(session, limit=1000))}"
        return access.add_client(session, name, scopes, actor="test", now=datetime.now(UTC))


@pytest.mark.parametrize("role", ROLES)
def test_no_menu_item_leads_to_a_closed_door(client: FlaskClient, role: str) -> None:
    """Whatever the menu and the front page offer a role, it may open."""
    enter(client, role)
    page = client.get("/", headers=PAGE).text
    offered = {unescape(found) for found in re.findall(r'href="(/[^"#]*)"', page)}
    assert {path: client.get(path).status_code for path in offered} == dict.fromkeys(offered, 200)
