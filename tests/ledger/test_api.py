"""The ledger over REST: post, read back, page through, and every refusal by its own name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from ledger import api as ledger_api
from ledger import service, web
from ledger.db import transaction
from ledger.service import access
from ledger.web.gate import route_scopes

ENTRY: dict[str, Any] = {
    "effective_date": "2026-03-31",
    "document_date": "2026-03-31",
    "text": "Bank charge",
    "lines": [
        {"account": "7830", "amount": "125.50"},
        {"account": "1920", "amount": "-125.50"},
    ],
}


@cache
def make_app() -> Flask:
    """The plumbing with the ledger's resources only.

    Made once for all tests of a process: it keeps nothing of any, and its routes, description and
    templates take longer to make ready than most tests need.
    """
    app = Flask("trial", static_folder=None)
    app.config["SECRET_KEY"] = "only for this test"
    ledger_api.register(web.install(app))
    return app


@pytest.fixture
def client(books: str) -> FlaskClient:
    """A client that may read and post, over a seeded book."""
    scopes = ["ledger:read", "ledger:post", "receivables:read", "receivables:write"]
    with transaction() as session:
        token = access.add_client(session, "trial", scopes, actor="test", now=datetime.now(UTC))
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def post(client: FlaskClient, key: str = "k-1", **changes: Any) -> Any:
    """Post the sample entry, with changes."""
    headers = {"Idempotency-Key": key}
    return client.post("/api/v1/entries", json={**ENTRY, **changes}, headers=headers)


def code_of(response: Any) -> tuple[int, str]:
    """The status and the code of a problem."""
    assert response.content_type == "application/problem+json", response.data
    return response.status_code, json.loads(response.data)["type"].removeprefix("/problems/")


def test_an_entry_is_posted_and_read_back(client: FlaskClient) -> None:
    """What was sent is what stands in the books, with a voucher number."""
    sent = post(client)
    assert sent.status_code == 201, sent.data
    assert sent.json["voucher"] == {"series": "JNL", "year": 2026, "number": 1}
    read = client.get("/api/v1/entries/JNL/2026/1").json
    assert read["entry_id"] == sent.json["entry_id"]
    assert [(line["account"], line["amount"]) for line in read["lines"]] == [
        ("7830", "125.50"), ("1920", "-125.50"),
    ]  # fmt: skip
    assert (read["created_by"], read["source_ref"]) == ("client:trial", "k-1")


def test_a_document_is_of_the_day_of_its_entry_unless_it_says_otherwise(
    client: FlaskClient,
) -> None:
    """As in files and in requests of many entries."""
    body = {name: told for name, told in ENTRY.items() if name != "document_date"}
    made = client.post("/api/v1/entries", json=body, headers={"Idempotency-Key": "k"})
    assert made.status_code == 201, made.data
    seen = client.get(f"/api/v1/entries/{made.json['entry_id']}").json
    assert (seen["effective_date"], seen["document_date"]) == ("2026-03-31", "2026-03-31")


def test_the_same_key_posts_once(client: FlaskClient) -> None:
    """A retry gets the first answer, marked as such."""
    first, again = post(client), post(client)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Hit"] == "true"
    assert again.json == first.json
    assert code_of(client.get("/api/v1/entries/JNL/2026/2")) == (404, "unknown-entry")


def test_the_same_key_with_other_content_is_refused(client: FlaskClient) -> None:
    """A key names one change for ever."""
    post(client)
    assert code_of(post(client, text="Something else")) == (422, "idempotency-key-reused")


def test_a_dimension_that_nobody_registered_is_refused_where_it_stands(
    client: FlaskClient,
) -> None:
    """With the line and a pointer to it, and nothing is posted; a registered one is taken."""
    lines = [dict(line) for line in ENTRY["lines"]]
    lines[0]["dimensions"] = {"area": "north", "prodct": "mobile"}
    refused = post(client, lines=lines)
    assert code_of(refused) == (422, "unknown-dimension")
    body = json.loads(refused.data)
    assert (body["line"], body["pointer"]) == (1, "/lines/0/dimensions/prodct")
    lines[0]["dimensions"] = {"area": "north", "product": "mobile"}
    sent = post(client, "k-2", lines=lines)
    assert sent.status_code == 201, sent.data
    assert sent.json["voucher"]["number"] == 1


def test_a_post_without_a_key_is_refused(client: FlaskClient) -> None:
    """A machine that cannot retry safely is told so at once."""
    sent = client.post("/api/v1/entries", json=ENTRY)
    assert code_of(sent) == (422, "schema-mismatch")
    assert json.loads(sent.data)["errors"][0]["pointer"] == "/headers/Idempotency-Key"


def _lines(*amounts: Any) -> list[dict[str, Any]]:
    return [
        {"account": account, "amount": amount}
        for account, amount in zip(("7830", "1920"), amounts, strict=True)
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lines": _lines("1.00", "-2.00")}, (422, "entry-not-balanced")),
        ({"lines": _lines(1.5, "-1.50")}, (422, "amount-not-a-string")),
        ({"lines": _lines("1.005", "-1.005")}, (422, "schema-mismatch")),
        ({"effective_date": "2031-01-01"}, (409, "unknown-period")),
        ({"series": "ZZZ"}, (422, "unknown-series")),
        ({"book": "XX"}, (404, "unknown-book")),
        ({"lines": []}, (422, "schema-mismatch")),
        ({"unknown": 1}, (422, "schema-mismatch")),
    ],
)
def test_each_refusal_has_its_own_name(
    client: FlaskClient, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Nothing is posted and the reason is in the type."""
    assert code_of(post(client, **changes)) == expected
    assert client.get("/api/v1/entries/JNL/2026/1").status_code == 404


def test_a_statement_runs_its_balance(client: FlaskClient) -> None:
    """Lines come in order with the balance after each, and the dates are echoed."""
    post(client, "k-1")
    post(client, "k-2", effective_date="2026-04-02", document_date="2026-04-02")
    whole = client.get("/api/v1/accounts/1920/statement").json
    assert [line["balance"] for line in whole["lines"]] == ["-125.50", "-251.00"]
    march = client.get("/api/v1/accounts/1920/statement?effective_as_of=2026-03-31").json
    assert march["effective_as_of"] == "2026-03-31"
    assert len(march["lines"]) == 1
    assert code_of(client.get("/api/v1/accounts/9999/statement")) == (422, "unknown-account")


def test_open_items_echo_what_was_asked(client: FlaskClient, drafts: Any) -> None:
    """A claim shows what is left of it on the day that was asked for."""
    from ledger import service

    with transaction() as session:
        service.post_batch(session, drafts.batch("b1", drafts.invoice("i1")))
    found = client.get("/api/v1/open-items?party_id=1&effective_as_of=2026-03-31").json
    assert (found["party_id"], found["effective_as_of"]) == (1, "2026-03-31")
    assert [(item["document_ref"], item["outstanding"]) for item in found["items"]] == [
        ("i1", "125.00")
    ]
    before = client.get("/api/v1/open-items?effective_as_of=2026-03-30").json
    assert before["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/entries/JNL/2026/{2**63}",
        f"/api/v1/entries/JNL/{2**40}/1",
        "/api/v1/entries/J%00L/2026/1",
        f"/api/v1/open-items?party_id={2**63}",
        "/api/v1/open-items?book=%00",
        f"/api/v1/parties/{2**63}/statement",
        f"/api/v1/open-items/{2**63}/allocations",
        f"/api/v1/balances?known_as_of={2**63}",
        "/api/v1/balances?known_as_of=-1",
        "/api/v1/entries?text=%00",
        "/api/v1/entries?least=1e3",
        "/api/v1/entries?limit=1001",
        "/api/v1/accounts/1920/statement?limit=0",
        "/api/v1/accounts/1920/statement?after=AAAA",
        "/api/v1/income-statement?first_day=2026-02-01&effective_as_of=2026-01-31",
        "/api/v1/open-items?effective_as_of=2026-02-30",
        "/api/v1/accounts/%27%20or%201=1/statement",
        "/api/v1/accounts/1920/statement?first_day=10000-01-01",
    ],
)
def test_hostile_values_are_refused_not_broken(client: FlaskClient, path: str) -> None:
    """What cannot be is a refusal of the caller's, never a fault of ours."""
    status, _ = code_of(client.get(path))
    assert 400 <= status < 500


def test_a_mistyped_book_is_no_empty_answer(client: FlaskClient) -> None:
    """A list of nothing would read as books without anything in them."""
    assert code_of(client.get("/api/v1/open-items?book=NO99")) == (404, "unknown-book")


def test_the_description_is_valid_openapi() -> None:
    """OpenAPI 3.1; errors are documented as problem+json, amounts as strings, scopes per route."""
    described = make_app().test_client().get("/api/v1/openapi.json").json
    validate(described)
    assert described["openapi"] == "3.1.0"
    # Two schemas of one name would stand as Name and Name1, and move with the order of the rooms.
    assert not [name for name in described["components"]["schemas"] if name[-1].isdigit()]
    operation = described["paths"]["/api/v1/entries"]["post"]
    assert operation["x-scope"] == "ledger:post"
    assert operation["security"] == [{"bearer": []}]
    components = described["components"]
    assert "application/problem+json" in components["responses"]["DEFAULT_ERROR"]["content"]
    assert components["schemas"]["Line"]["properties"]["amount"]["type"] == "string"


def test_the_description_says_what_every_good_answer_holds() -> None:
    """Programs are made from it; only what was deleted is answered with nothing."""
    spec = make_app().test_client().get("/api/v1/openapi.json").json
    assert spec is not None
    silent = {
        (path, method)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
        for status, answer in operation["responses"].items()
        if status.startswith("2") and status != "204" and "content" not in answer
    }
    assert silent == set()


def test_the_routes_name_these_scopes() -> None:
    """The table is pinned: opening a route to others is a decision, not a slip."""
    scopes = {
        route: scope
        for route, scope in route_scopes(make_app()).items()
        if route[1].startswith("/api/v1/") and scope != "public"
    }
    assert scopes == {
        ("GET", "/api/v1/books"): "ledger:read",
        ("GET", "/api/v1/accounts"): "ledger:read",
        ("GET", "/api/v1/balances"): "ledger:read",
        ("GET", "/api/v1/balance-sheet"): "ledger:read",
        ("GET", "/api/v1/income-statement"): "ledger:read",
        ("GET", "/api/v1/entries"): "ledger:read",
        ("GET", "/api/v1/accounts/<account>/statement"): "ledger:read",
        ("GET", "/api/v1/parties/<int:party_id>/statement"): "receivables:read",
        ("GET", "/api/v1/open-items/<int:open_item_id>/allocations"): "receivables:read",
        ("GET", "/api/v1/open-items"): "receivables:read",
        ("GET", "/api/v1/allocations"): "receivables:read",
        ("POST", "/api/v1/allocations"): "receivables:write",
        ("GET", "/api/v1/allocations/<int:allocation_id>"): "receivables:read",
        ("POST", "/api/v1/allocations/<int:allocation_id>/undo"): "receivables:write",
        ("GET", "/api/v1/entries/<int:entry_id>"): "ledger:read",
        ("GET", "/api/v1/entries/<int:entry_id>/reversals"): "ledger:read",
        ("POST", "/api/v1/entries/<int:entry_id>/reversals"): "ledger:post",
        ("GET", "/api/v1/clients"): "access:read",
        ("GET", "/api/v1/approval-rules"): "ledger:read",
        ("POST", "/api/v1/approval-rules"): "access:write",
        ("GET", "/api/v1/voucher-gaps"): "ledger:read",
        ("POST", "/api/v1/voucher-gaps"): "periods:waive",
        ("POST", "/api/v1/years/<int:year>/open"): "periods:close",
        ("POST", "/api/v1/clients/<client>/tokens"): "access:write",
        ("GET", "/api/v1/books/<book>"): "ledger:read",
        ("GET", "/api/v1/currencies"): "ledger:read",
        ("GET", "/api/v1/vat-codes"): "ledger:read",
        ("POST", "/api/v1/vat-codes"): "registers:write",
        ("GET", "/api/v1/vat-codes/<code>"): "ledger:read",
        ("PATCH", "/api/v1/vat-codes/<code>"): "registers:write",
        ("GET", "/api/v1/voucher-series"): "ledger:read",
        ("GET", "/api/v1/entries/<series>/<int:year>/<int:number>"): "ledger:read",
        ("POST", "/api/v1/entries"): "ledger:post",
        ("GET", "/api/v1/drafts"): "ledger:read",
        ("POST", "/api/v1/drafts"): "ledger:post",
        ("GET", "/api/v1/drafts/<int:draft_id>"): "ledger:read",
        ("PUT", "/api/v1/drafts/<int:draft_id>"): "ledger:post",
        ("GET", "/api/v1/drafts/<int:draft_id>/versions"): "ledger:read",
        ("POST", "/api/v1/drafts/<int:draft_id>/attachments"): "ledger:post",
        ("GET", "/api/v1/drafts/<int:draft_id>/attachments/<sha256>"): "ledger:read",
        ("POST", "/api/v1/drafts/<int:draft_id>/approval"): "ledger:approve",
        ("POST", "/api/v1/drafts/<int:draft_id>/posting"): "ledger:post",
        ("POST", "/api/v1/drafts/<int:draft_id>/withdrawal"): "ledger:post",
        ("POST", "/api/v1/posting-batches"): "ledger:post",
        ("GET", "/api/v1/events"): "ledger:read",
        ("GET", "/api/v1/seals"): "ledger:read",
        ("GET", "/api/v1/seals/<int:block_no>"): "ledger:read",
        ("GET", "/api/v1/seals/key"): "ledger:read",
        ("GET", "/api/v1/entries/<series>/<int:year>/<int:number>/proof"): "ledger:read",
        ("GET", "/api/v1/webhooks"): "webhooks:write",
        ("POST", "/api/v1/webhooks"): "webhooks:write",
        ("GET", "/api/v1/webhooks/<int:webhook_id>"): "webhooks:write",
        ("DELETE", "/api/v1/webhooks/<int:webhook_id>"): "webhooks:write",
        ("POST", "/api/v1/webhooks/<int:webhook_id>/replays"): "webhooks:write",
        ("GET", "/api/v1/periods"): "ledger:read",
        ("GET", "/api/v1/periods/<period>"): "ledger:read",
        ("GET", "/api/v1/periods/<period>/checklist"): "ledger:read",
        ("POST", "/api/v1/periods/<period>/checklist"): "periods:close",
        ("GET", "/api/v1/periods/<period>/checklists"): "ledger:read",
        ("GET", "/api/v1/checklists/<int:checklist_id>"): "ledger:read",
        ("POST", "/api/v1/checklists/<int:checklist_id>/waivers"): "periods:waive",
        ("POST", "/api/v1/periods/<period>/close"): "periods:close",
        ("POST", "/api/v1/periods/<period>/reopen"): "periods:close",
        ("POST", "/api/v1/periods/<period>/locks"): "periods:close",
        ("POST", "/api/v1/periods/<period>/exceptions"): "periods:waive",
        ("GET", "/api/v1/periods/<period>/late-postings"): "ledger:read",
        ("GET", "/api/v1/years/<int:year>"): "ledger:read",
        ("POST", "/api/v1/years/<int:year>/close"): "periods:close",
        ("POST", "/api/v1/accounts"): "chart:write",
        ("GET", "/api/v1/accounts/<account>"): "ledger:read",
        ("PATCH", "/api/v1/accounts/<account>"): "chart:write",
        ("GET", "/api/v1/accounts/<account>/versions"): "ledger:read",
        ("GET", "/api/v1/dimensions"): "ledger:read",
        ("POST", "/api/v1/dimensions"): "chart:write",
        ("GET", "/api/v1/exchange-rates"): "ledger:read",
        ("POST", "/api/v1/exchange-rates"): "chart:write",
        ("POST", "/api/v1/revaluations"): "periods:close",
        ("GET", "/api/v1/posting-rules"): "ledger:read",
        ("POST", "/api/v1/posting-rules"): "registers:write",
        ("GET", "/api/v1/balance-assertions"): "ledger:read",
        ("POST", "/api/v1/balance-assertions"): "ledger:post",
        ("GET", "/api/v1/posting-batches/<int:request_id>"): "ledger:post",
        ("GET", "/api/v1/posting-batches/<int:request_id>/results"): "ledger:post",
    }


def test_a_line_without_a_currency_is_in_that_of_its_book(client: FlaskClient) -> None:
    """In a single entry and in a draft, as in files; another currency may bring its own base."""
    with transaction() as session:
        service.seed_book(session, "SE01", "Sydlys AB", "SEK")
        service.open_periods(session, "SE01", 2026)
    made = post(client, book="SE01")
    assert made.status_code == 201, made.data
    found = client.get(f"/api/v1/entries/{made.json['entry_id']}?book=SE01").json
    assert {line["currency"] for line in found["lines"]} == {"SEK"}
    lines = [
        {"account": "7830", "amount": "10.00", "currency": "EUR", "base_amount": "115.00"},
        {"account": "1920", "amount": "-10.00", "currency": "EUR", "base_amount": "-115.00"},
    ]
    assert post(client, "k-2", book="SE01", lines=lines).status_code == 201
    balances = client.get("/api/v1/balances?book=SE01").json["accounts"]
    assert [(b["currency"], b["base_balance"]) for b in balances if b["account"] == "7830"] == [
        ("EUR", "115.00"), ("SEK", "125.50"),
    ]  # fmt: skip
    draft = client.post("/api/v1/drafts", json={**ENTRY, "book": "SE01", "ready": False},
                        headers={"Idempotency-Key": "d-1"})  # fmt: skip
    assert draft.status_code == 201, draft.data
    assert {line["currency"] for line in draft.json["latest"]["journal"]["lines"]} == {"SEK"}


def test_a_claim_is_posted_as_a_single_entry(client: FlaskClient) -> None:
    """A program sends what its system says, as in files: it is no manual journal by default."""
    item = {"kind": "invoice", "document_ref": "I-1", "document_date": "2026-03-31",
            "due_date": "2026-04-14"}  # fmt: skip
    lines = [{"account": "1500", "amount": "125.00", "party_id": 7, "item": item},
             {"account": "3010", "amount": "-125.00"}]  # fmt: skip
    assert code_of(post(client, lines=lines, entry_type="manual")) == (
        422,
        "manual-posting-refused",
    )
    made = post(client, "k-2", lines=lines)
    assert made.status_code == 201, made.data
    read = client.get(f"/api/v1/entries/{made.json['entry_id']}").json
    assert read["entry_type"] == "import"
    (left,) = client.get("/api/v1/open-items?party_id=7").json["items"]
    assert left["outstanding"] == "125.00"
