"""Access by book: each route of another book is closed, lists leave it out, facts stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

import app
from ledger import service as ledger
from ledger.access import Actor, books_after
from ledger.db import transaction
from ledger.service import access, book_access, closing
from ledger.service.webhooks import deliver_job
from ledger.web.gate import PUBLIC, route_scopes
from ledger.web.openapi import known_query
from tests.reporting.desk_books import BOOK
from tests.reporting.test_desk import PAGE, SAMPLE, address, enter
from tests.reporting.test_desk import client as _client

client = _client
OTHER = "NO02"
REASON = "kept apart"

# These name no book: what they show belongs to all, or is looked for in a book named elsewhere.
OF_NO_BOOK = {
    ("GET", "/api/v1/seals"), ("GET", "/api/v1/seals/<int:block_no>"), ("GET", "/api/v1/seals/key"),
    ("GET", "/api/v1/currencies"), ("GET", "/api/v1/customers"),
    ("GET", "/api/v1/customers/<int:party_id>"), ("GET", "/api/v1/files"),
    ("GET", "/api/v1/files/<int:file_id>"), ("POST", "/api/v1/files/<int:file_id>/reversal"),
    ("POST", "/api/v1/refused-files/<int:refused_file_id>/end"),
    ("GET", "/api/v1/suspense"), ("POST", "/api/v1/suspense/reruns"),
    ("POST", "/api/v1/files/<int:file_id>/rows/<int:line_no>/corrections"),
    ("POST", "/suspense/rows"),
    ("GET", "/feeds"), ("GET", "/feeds/<int:file_id>"), ("GET", "/suspense"),
    ("GET", "/customers"),
    ("GET", "/access"), ("POST", "/journal/sum"), ("POST", "/logout"),
    ("GET", "/api/v1/clients"), ("POST", "/api/v1/clients/<client>/tokens"),
    # These leave out what is of other books.
    ("GET", "/api/v1/books"), ("GET", "/api/v1/webhooks"),
}  # fmt: skip

_NUMBERS = count(1)

# Tariffs are the operator's and not a book's: their own scopes decide.
TARIFFS = ("/tariffs", "/api/v1/tariffs", "/tmf-api/productCatalogManagement/")


def make_client(scopes: set[str], *books: str) -> tuple[str, dict[str, str]]:
    """A new API client that may see some books only; gives its name and its header."""
    name = f"client-{next(_NUMBERS)}"
    with transaction() as session:
        token = access.add_client(session, name, scopes, actor="test", now=datetime.now(UTC))
        for book in books:
            set_access(session, f"client:{name}", book)
    return name, {"Authorization": f"Bearer {token}"}


def set_access(session: Any, holder: str, book: str | None, *, granted: bool = True) -> bool:
    """Grant a book, or withdraw it."""
    return book_access.set_book_access(
        session, holder, book, granted=granted, reason=REASON, actor="test"
    )


def code_of(answer: Any) -> tuple[int, str]:
    """The status and the code of a problem."""
    return answer.status_code, answer.json["type"].removeprefix("/problems/")


def query_names(application: Flask) -> dict[tuple[str, str], frozenset[str]]:
    """What the query of each method and address may say, as the gate knows it."""
    return {
        (method, rule.rule): known_query(application.view_functions[rule.endpoint], method)
        for rule in application.url_map.iter_rules()
        for method in rule.methods or ()
    }


def test_every_route_of_another_book_is_closed(client: FlaskClient) -> None:
    """Whoever may see the other book gets 403 wherever this one is named, and only there."""
    with transaction() as session:
        ledger.seed_book(session, OTHER)
        session.execute(
            text(
                "INSERT INTO webhook (book_id, actor, url, after_position)"
                " SELECT book_id, 'x', 'https://x', 0 FROM book WHERE code = :book"
            ),
            {"book": BOOK},
        )
        session.execute(text(
            "INSERT INTO posting_request (book_id, actor, ref, body_format, sha256)"
            " SELECT book_id, 'x', 'x', 'ndjson', repeat('0', 64) FROM book WHERE code = :book"),
            {"book": BOOK})  # fmt: skip
        closing.run_checklist(session, BOOK, "2026-03", actor="x")
    open_to_all = set()
    asked = query_names(client.application)
    for (method, rule), needed in route_scopes(client.application).items():
        if needed == PUBLIC or needed is None:
            continue
        filled = address(rule)
        told: dict[str, Any] = {"method": method}
        if not rule.startswith("/api/v1/") or "book" in asked[method, rule]:
            told["query_string"] = {"book": BOOK}
        if method in {"POST", "PUT", "PATCH"} and rule.startswith("/api/"):
            told["json"] = {"book": BOOK, "entries": []}
        if rule == "/api/v1/posting-batches":
            del told["query_string"]  # The options of a JSON request stand in its body.
        for books, closed in (((OTHER,), True), ((BOOK,), False), ((), False)):
            _, header = make_client({needed}, *books)
            answer = client.open(filled, headers={**header, "Idempotency-Key": "k"}, **told)
            if closed and answer.status_code != 403:
                open_to_all.add((method, rule))
            elif closed:
                assert code_of(answer) == (403, "book-not-permitted"), (method, rule)
            else:
                assert answer.status_code != 403, (method, rule, books)
    assert {one for one in open_to_all if not one[1].startswith(TARIFFS)} == OF_NO_BOOK
    assert SAMPLE["draft_id"] == 1  # a draft of this book


def test_a_book_that_is_not_named_is_the_first_and_as_closed(client: FlaskClient) -> None:
    """Whoever may see another book only reads nothing of this one by leaving its name out."""
    with transaction() as session:
        ledger.seed_book(session, OTHER)
    asked = query_names(client.application)
    tried, answered = 0, set()
    for (method, rule), needed in route_scopes(client.application).items():
        if needed in {PUBLIC, None} or not rule.startswith("/api/v1/"):
            continue
        if "book" not in asked[method, rule] or rule == "/api/v1/posting-batches":
            continue
        _, header = make_client({str(needed)}, OTHER)
        days = {"first_day": "2026-01-01", "effective_as_of": "2026-12-31"}
        told = {name: day for name, day in days.items() if name in asked[method, rule]}
        answer = client.open(address(rule), method=method, headers=header, query_string=told)
        tried += 1
        if answer.status_code == 403:
            assert code_of(answer) == (403, "book-not-permitted"), (method, rule)
        else:
            answered.add((method, rule, answer.status_code))
    assert answered == set()
    assert tried > 30


def test_lists_leave_out_what_is_of_other_books(client: FlaskClient) -> None:
    """Neither the list of books nor that of one's own receivers tells of others."""
    with transaction() as session:
        ledger.seed_book(session, OTHER)
    _, header = make_client({"ledger:read"}, OTHER)
    listed = client.get("/api/v1/books", headers=header).json["books"]
    assert [one["book"] for one in listed] == [OTHER]
    name, header = make_client({"webhooks:write"})
    sent = {"url": "https://billing.example/x", "book": BOOK}
    key = {**header, "Idempotency-Key": "k"}
    assert client.post("/api/v1/webhooks", json=sent, headers=key).status_code == 201
    with transaction() as session:
        set_access(session, f"client:{name}", OTHER)
    assert client.get("/api/v1/webhooks", headers=header).json == {"webhooks": []}
    deliver_job()
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM webhook_delivery")) == 0


def test_the_desk_opens_on_the_first_book_of_its_reader(client: FlaskClient) -> None:
    """Who may see one book sees that one everywhere, and no other by its address."""
    enter(client, "accountant")
    with transaction() as session:
        ledger.seed_book(session, OTHER, "Sydlys Mobil AS")
        ledger.open_periods(session, OTHER, 2026)
        set_access(session, "staff:accountant", OTHER)
    for path in ("/", "/trial-balance", "/journal", "/ledger/chart", "/aging", "/invoices"):
        assert client.get(path, headers=PAGE).status_code == 200, path
        assert client.get(f"{path}?book={BOOK}", headers=PAGE).status_code == 403, path
    assert "1530" not in client.get("/trial-balance", headers=PAGE).text
    assert client.get("/journal/1", headers=PAGE).status_code == 403


def test_access_changes_with_its_facts(client: FlaskClient) -> None:
    """Granted, granted again, withdrawn, and back to every book; from the next request on."""
    with transaction() as session:
        ledger.seed_book(session, OTHER)
    name, header = make_client({"ledger:read"})
    holder = f"client:{name}"

    def seen() -> list[bool]:
        return [
            client.get(f"/api/v1/balances?book={book}", headers=header).status_code == 200
            for book in (BOOK, OTHER)
        ]

    changes: list[tuple[str | None, bool, list[bool]]] = [
        (BOOK, True, [True, False]), (OTHER, True, [True, True]), (BOOK, False, [False, True]),
        (OTHER, False, [False, False]), (None, True, [True, True]), (None, False, [False, False]),
        (BOOK, True, [True, False]),
    ]  # fmt: skip
    assert seen() == [True, True]
    for book, granted, expected in changes:
        with transaction() as session:
            assert set_access(session, holder, book, granted=granted) is True
        assert seen() == expected
    with transaction() as session:
        assert set_access(session, holder, BOOK) is False
        facts = book_access.book_facts(session, holder)
        audited = [row["act"] for row in access.audit_log(session) if row["subject"] == holder]
    assert [(fact.book, fact.is_granted) for fact in facts] == [row[:2] for row in changes]
    assert audited.count("book granted") == 4


def test_a_grant_may_begin_later(client: FlaskClient) -> None:
    """Nothing changes before its time; what is past is refused (see the error gallery)."""
    with transaction() as session:
        ledger.seed_book(session, OTHER)
    name, _ = make_client({"ledger:read"}, BOOK)
    now = datetime.now(UTC)
    with transaction() as session:
        book_access.set_book_access(
            session, f"client:{name}", OTHER, granted=True, reason=REASON, actor="test",
            valid_from=now + timedelta(days=1),
        )  # fmt: skip
        holder = f"client:{name}"
        assert book_access.books_of(session, holder, now=now + timedelta(hours=1)) == {BOOK}
        later = book_access.books_of(session, holder, now=now + timedelta(days=2))
    assert later == {BOOK, OTHER}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.booleans()), max_size=8))
def test_books_after_facts_agree_with_a_slow_model(facts: list[tuple[str | None, bool]]) -> None:
    """A table of every book there could be, each told whether it is seen."""
    seen = {"a": True, "b": True, "any other": True}
    restricted = False
    for book, granted in facts:
        if book is None:
            seen, restricted = dict.fromkeys(seen, granted), not granted
            continue
        if not restricted:
            seen, restricted = dict.fromkeys(seen, False), True
        seen[book] = granted
    books = books_after(facts)
    actor = Actor("staff", 1, "kari", frozenset(), books=books)
    assert {book: actor.may_see(book) for book in seen} == seen


def run(*arguments: str) -> Any:
    """Run a command of this process's database."""
    return CliRunner().invoke(app.cli, arguments, catch_exceptions=True)


@pytest.fixture(name="settings")
def _settings(db: str, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "settings", lambda: None)
    with transaction() as session:
        for book in (BOOK, OTHER):
            ledger.seed_book(session, book)
            ledger.open_periods(session, book, 2026)
        for name, role in (("kari", "accountant"), ("root", "administrator")):
            access.add_staff(session, name, [role], "calm and quiet desk", actor="test",
                             now=datetime.now(UTC))  # fmt: skip


@pytest.mark.usefixtures("settings")
def test_the_command_line_grants_and_a_command_honours_it(tmp_path: Any) -> None:
    """The books of a person hold for what is done in their name."""
    granted = run("access", "book", "grant", "staff:kari", OTHER, "--reason", "x", "--as", "root")
    assert granted.output == f"staff:kari may see {OTHER}.\n"
    again = run("access", "book", "grant", "staff:kari", OTHER, "--reason", "x")
    assert again.output.endswith("It was so already.\n")
    listed = run("access", "book", "list", "staff:kari").output
    assert (OTHER in listed, "by staff:root: x" in listed) == (True, True)
    draft = tmp_path / "draft.json"
    draft.write_text('{"book": "NO01", "effective_date": "2026-03-31", "text": "x", "lines": []}')
    refused = run("ledger", "draft", "add", str(draft), "--as", "kari", "--unfinished")
    assert "may not see book NO01; theirs: NO02" in str(refused.exception)
    assert run("access", "book", "grant", "staff:nobody", OTHER, "--reason", "x").exit_code == 1
    only = run("access", "book", "withdraw", "staff:root", OTHER, "--reason", "x")
    assert "may see every book" in str(only.exception)
    both = run("access", "book", "grant", "staff:kari", OTHER, "--every", "--reason", "x")
    assert both.exit_code == 2
    past = run("access", "book", "grant", "staff:kari", "--every", "--reason", "x", "--from",
               "2026-01-01T00:00")  # fmt: skip
    assert "lacks its offset" in past.output
