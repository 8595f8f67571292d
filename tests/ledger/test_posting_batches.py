"""Many entries in one request: every form, whole or entry by entry, once per key."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.service import access
from ledger.service.answers import ABANDONED_AFTER, Request, begin
from ledger.service.requests import ENTRIES_A_STEP, post_request_job
from ledger.web import bodies
from tests.ledger.test_api import code_of, make_app

URL = "/api/v1/posting-batches"


@pytest.fixture
def client(books: str) -> FlaskClient:
    """A client that may post, over a seeded book."""
    with transaction() as session:
        token = access.add_client(
            session, "billing", ["ledger:post"], actor="test", now=datetime.now(UTC)
        )
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def entry(amount: str = "5.00", **changes: Any) -> dict[str, Any]:
    """A small entry."""
    lines = [{"account": "7830", "amount": amount}, {"account": "1920", "amount": f"-{amount}"}]
    return {"effective_date": "2026-03-31", "text": "Loss", "lines": lines, **changes}


def send(client: FlaskClient, key: str = "k", **body: Any) -> Any:
    """Send a JSON request."""
    return client.post(URL, json=body, headers={"Idempotency-Key": key})


def send_lines(client: FlaskClient, body: bytes, key: str = "k", query: str = "") -> Any:
    """Send an NDJSON request."""
    headers = {"Idempotency-Key": key, "Content-Type": "application/x-ndjson"}
    return client.post(f"{URL}{query}", data=body, headers=headers)


def ndjson(*entries: Any) -> bytes:
    """Write one entry a line."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in entries)


def balance() -> int:
    """The balance of the loss account."""
    with transaction() as session:
        found = {b.account: b.balance_minor for b in service.trial_balance(session, "NO01")}
    return found.get("7830", 0)


def test_three_forms_post_the_same(client: FlaskClient) -> None:
    """Entries, lines of JSON and columns end as equal vouchers."""
    columns = {
        "entry": ["a", "a"], "effective_date": ["2026-03-31"] * 2, "entry_text": ["Loss"] * 2,
        "account": ["7830", "1920"], "amount": ["5.00", "-5.00"],
    }  # fmt: skip
    answers = [send(client, "k1", entries=[entry()]), send_lines(client, ndjson(entry()), "k2"),
               send(client, "k3", columns=columns)]  # fmt: skip
    assert [a.status_code for a in answers] == [201, 201, 201], [a.data for a in answers]
    assert [a.json["results"][0]["voucher"]["number"] for a in answers] == [1, 2, 3]
    assert {a.json["debits"]["NOK"] for a in answers} == {"5.00"}
    assert balance() == 1_500


def test_a_key_is_answered_alike_for_ever(client: FlaskClient) -> None:
    """Success and refusal are final; other content under the same key is refused."""
    first, again = send(client, entries=[entry()]), send(client, entries=[entry()])
    assert (first.json, first.status_code) == (again.json, again.status_code)
    assert again.headers["Idempotency-Hit"] == "true"
    assert code_of(send(client, entries=[entry("6.00")])) == (422, "idempotency-key-reused")
    early = [entry(effective_date="2031-01-01")]
    refused = send(client, "k2", entries=early)
    with transaction() as session:
        service.open_periods(session, "NO01", 2031)
    assert code_of(refused) == code_of(send(client, "k2", entries=early)) == (409, "unknown-period")
    assert balance() == 500


def test_a_storm_of_retries_posts_once(client: FlaskClient) -> None:
    """The same request from many threads at once gets one answer, many times."""
    answers: list[tuple[int, Any]] = []

    def ask() -> None:
        own = client.application.test_client()
        own.environ_base.update(client.environ_base)
        answer = send(own, entries=[entry(), entry()])
        answers.append((answer.status_code, answer.json["results"]))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 201
    assert balance() == 1_000


def test_entries_that_are_sent_at_once_under_many_keys_are_found_by_all_but_one(
    client: FlaskClient,
) -> None:
    """Whoever asks anew instead of repeating must not be told that their own entry is another."""
    entries = [entry(source_ref=f"e-{number}") for number in range(50)]

    def ask(key: str) -> tuple[int, int]:
        own = client.application.test_client()
        own.environ_base.update(client.environ_base)
        answer = send(own, key, entries=entries)
        return answer.json.get("posted"), answer.json.get("replayed")

    with ThreadPoolExecutor(6) as together:
        found = list(together.map(ask, [f"k-{number}" for number in range(6)]))
    assert sorted(found) == [(0, 50)] * 5 + [(50, 0)]


def test_a_request_that_died_is_taken_over(client: FlaskClient) -> None:
    """A key without an answer is in progress; after a while its retry does the work."""
    asked = Request("client:billing", "k", f"POST {URL}?", b"\0" * 32)
    with transaction() as session:
        assert begin(session, asked) is None
    with transaction() as session:
        session.execute(
            text("UPDATE idempotency_key SET created_at = created_at - CAST(:by AS interval)"),
            {"by": ABANDONED_AFTER},
        )
    assert code_of(send(client, entries=[entry()])) == (422, "idempotency-key-reused")
    with transaction() as session:
        assert begin(session, asked) is None


def test_what_is_left_of_a_cut_body_is_not_posted(client: FlaskClient) -> None:
    """Its first lines are whole entries, but not what was sent; the whole is sent again."""
    whole = ndjson(entry(), entry("6.00"))
    headers = {"Idempotency-Key": "k", "Content-Type": "application/x-ndjson"}
    part = whole[: whole.index(b"\n") + 1]
    announced = {"CONTENT_LENGTH": str(len(whole))}
    cut = client.post(URL, data=part, headers=headers, environ_overrides=announced)
    assert code_of(cut) == (400, "body-cut-off")
    assert balance() == 0
    assert send_lines(client, whole).status_code == 201
    assert balance() == 1100


def test_a_packed_body_is_refused_by_its_kind(client: FlaskClient) -> None:
    """It is not guessed at: neither read as it stands nor unpacked without a bound."""
    headers = {"Idempotency-Key": "k", "Content-Encoding": "gzip"}
    answer = client.post(URL, json={"entries": [entry()]}, headers=headers)
    assert code_of(answer) == (415, "unsupported-media-type")
    assert balance() == 0


@pytest.mark.parametrize(
    "announced", [{}, {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}]
)
def test_a_body_beyond_measure_is_refused(
    client: FlaskClient, announced: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it says how long it is or comes in chunks: a process holds the bodies it is sent."""
    monkeypatch.setattr(bodies, "BODY_MAX", 300)
    headers = {"Idempotency-Key": "k", "Content-Type": "application/x-ndjson"}
    long = client.post(
        URL, data=ndjson(entry(), entry(), entry()), headers=headers, environ_overrides=announced
    )
    assert code_of(long) == (413, "request-entity-too-large")
    assert balance() == 0
    short = ndjson(entry())
    assert client.post(URL, data=short, headers=headers).status_code == 201


def test_one_bad_entry_stops_all_or_only_itself(client: FlaskClient) -> None:
    """Atomic lists every fault with its pointer; per entry posts the rest."""
    mixed = [entry(), entry(lines=[{"account": "7830", "amount": 5}]), entry("7.00"),
             entry(lines=entry("3.00")["lines"][:1])]  # fmt: skip
    refused = send(client, "k1", entries=mixed)
    assert code_of(refused) == (422, "entries-refused")
    assert [(e["pointer"], e["code"]) for e in json.loads(refused.data)["errors"]] == [
        ("/entries/1/lines/0/amount", "amount-not-a-string"),
        ("/entries/3", "entry-not-balanced"),
    ]
    assert balance() == 0
    done = send(client, "k2", mode="per-entry", entries=mixed)
    assert (done.status_code, done.json["posted"], done.json["refused"]) == (201, 2, 2)
    assert [r["index"] for r in done.json["results"]] == [0, 1, 2, 3]
    assert done.json["results"][1]["problem"]["code"] == "amount-not-a-string"
    assert balance() == 1_200


def test_a_dry_run_checks_everything_and_posts_nothing(client: FlaskClient) -> None:
    """What the database would refuse is refused, and no number is used."""
    told = send(client, "k1", dry_run=True, entries=[entry()])
    assert (told.status_code, told.json["posted"], told.json["dry_run"]) == (200, 1, True)
    assert code_of(send(client, "k2", dry_run=True, entries=[
        entry(lines=[{"account": "9999", "amount": "1.00"}, {"account": "1920", "amount": "-1.00"}])
    ])) == (422, "unknown-account")  # fmt: skip
    assert balance() == 0
    assert send(client, "k3", entries=[entry()]).json["results"][0]["voucher"]["number"] == 1


def test_declared_totals_must_hold(client: FlaskClient) -> None:
    """A request that lost an entry on its way is refused; a large one must say what it holds."""
    right = {"entries": 1, "lines": 2, "debits": {"NOK": "5.00"}}
    assert send(client, "k1", declared=right, entries=[entry()]).status_code == 201
    wrong = {**right, "entries": 2}
    assert code_of(send(client, "k2", declared=wrong, entries=[entry()])) == (422, "totals-differ")
    bad = [entry(), entry(lines=[])]  # A faulty entry is an entry: a third was lost on the way.
    lost = send(client, "k5", mode="per-entry", declared={**right, "entries": 3}, entries=bad)
    assert code_of(lost) == (422, "totals-differ")
    many = [entry()] * 501
    assert code_of(send(client, "k3", entries=many)) == (422, "totals-undeclared")
    told = json.dumps({"entries": 501, "lines": 1002, "debits": {"NOK": "2505.00"}})
    posted = send_lines(client, ndjson(*many), "k4", f"?declared={told}")
    assert posted.json["posted"] == 501, posted.data


def test_the_book_of_a_body_is_not_named_in_the_query(client: FlaskClient) -> None:
    """What would be posted into another book than its sender thinks is refused."""
    body = {"json": {"entries": [entry()]}, "headers": {"Idempotency-Key": "k"}}
    assert code_of(client.post(f"{URL}?buk=NO02", **body)) == (422, "schema-mismatch")
    known = client.post(f"{URL}?book=NO02", **body)
    assert code_of(known) == (422, "posting-request-malformed")
    alone = {**body, "json": {**entry(), "document_date": "2026-03-31"}}
    assert code_of(client.post("/api/v1/entries?book=NO02", **alone)) == (422, "schema-mismatch")
    assert balance() == 0


def test_a_request_of_nothing_is_refused_unless_it_was_announced(client: FlaskClient) -> None:
    """In all three forms: a sender that lost its entries is told, one that has none may say so."""
    columns = {name: [] for name in ("entry", "effective_date", "account", "amount")}
    none = {"entries": 0, "lines": 0, "debits": {}}
    for key, body in {"e": {"entries": []}, "c": {"columns": columns}}.items():
        assert code_of(send(client, key, **body)) == (422, "nothing-to-post")
        announced = send(client, f"{key}-none", declared=none, **body)
        assert (announced.status_code, announced.json["read"]) == (200, 0)
    assert code_of(send_lines(client, b"\n", "n")) == (422, "nothing-to-post")
    assert send_lines(client, b"", "n-none", f"?declared={json.dumps(none)}").json["posted"] == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (422, "posting-request-malformed")),
        (b"{}", (422, "posting-request-malformed")),
        (b'{"entries": [], "columns": {}}', (422, "posting-request-malformed")),
        (b'{"entries": [], "mode": "some"}', (422, "posting-request-malformed")),
        (b'{"entries": [], "books": "NO01"}', (422, "posting-request-malformed")),
        (b'{"entries": "\xff"}', (400, "not-utf8")),
        (b'{"entries": [' + b"[" * 100_000, (422, "posting-request-malformed")),
        (b'{"columns": {"entry": ["a"], "account": []}}', (422, "posting-request-malformed")),
        (b'{"entries": [' + b",".join([b"{}"] * 5_001) + b"]}", (413, "request-too-large")),
        (b'{"book": "XX", "entries": []}', (404, "unknown-book")),
    ],
)
def test_a_broken_envelope_has_its_own_name(
    client: FlaskClient, body: bytes, expected: tuple[int, str]
) -> None:
    """Nothing of it is posted."""
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    assert code_of(client.post(URL, data=body, headers=headers)) == expected


def test_another_media_type_is_refused(client: FlaskClient) -> None:
    """Only what is documented is read."""
    sent = client.post(
        URL, data=b"a,b", headers={"Idempotency-Key": "k", "Content-Type": "text/csv"}
    )
    assert code_of(sent) == (415, "unsupported-media-type")


def test_a_large_request_is_worked_off_by_a_job(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is accepted at once, told step by step, and may be worked on twice."""
    monkeypatch.setattr("ledger.api.batches.WAITED_FOR_LINES", 100)
    count = ENTRIES_A_STEP + 100
    entries = [entry(f"{n + 1}.00") for n in range(count)]
    entries[7] = entry("1.00", effective_date="2031-01-01")
    total = sum(n + 1 for n in range(count) if n != 7) + 1
    told = json.dumps({"entries": count, "lines": 2 * count, "debits": {"NOK": f"{total}.00"}})
    query = f"?mode=per-entry&declared={told}"
    accepted = send_lines(client, ndjson(*entries), query=query)
    assert accepted.status_code == 202, accepted.data
    where = accepted.headers["Location"]
    assert client.get(where).json["done"] is False
    post_request_job(accepted.json["request_id"])
    post_request_job(accepted.json["request_id"])
    state = client.get(where).json
    assert (state["done"], state["posted"], state["refused"], state["steps"]) == (
        True, count - 1, 1, 2)  # fmt: skip
    first = client.get(f"{where}/results").json
    assert first["results"][7]["problem"]["code"] == "unknown-period"
    assert (len(first["results"]), first["next_step"]) == (ENTRIES_A_STEP, 2)
    last = client.get(f"{where}/results?step=2").json
    assert (len(last["results"]), last["next_step"]) == (100, None)
    assert balance() == (total - 1) * 100
    again = send_lines(client, ndjson(*entries), query=query)
    assert (again.headers["Idempotency-Hit"], again.headers["Location"]) == ("true", where)
    with transaction() as session:
        assert service.verify(session) == []


def test_a_request_is_told_only_to_who_made_it(client: FlaskClient) -> None:
    """Numbers of requests can be guessed; what is behind them stays with their caller."""
    assert code_of(client.get(f"{URL}/1")) == (404, "unknown-posting-request")


def test_a_reference_of_a_job_is_not_used_for_other_content_when_its_key_is_forgotten(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content would be accepted, and never be worked off."""
    monkeypatch.setattr("ledger.api.batches.WAITED_FOR_LINES", 2)
    first = send_lines(client, ndjson(entry(), entry()), query="?mode=per-entry")
    with transaction() as session:
        session.execute(text("UPDATE idempotency_key SET expires_at = created_at"))
    again = send_lines(client, ndjson(entry(), entry()), query="?mode=per-entry")
    assert (again.status_code, again.json["request_id"]) == (202, first.json["request_id"])
    with transaction() as session:
        session.execute(text("UPDATE idempotency_key SET expires_at = created_at"))
    other = send_lines(client, ndjson(entry("6.00"), entry()), query="?mode=per-entry")
    assert code_of(other) == (422, "idempotency-key-reused")
