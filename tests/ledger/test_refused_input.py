"""Bad input through Python, the command line and REST: its own code, its place, nothing posted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger import service
from ledger.cli.posting import post_command
from ledger.db import transaction
from ledger.errors import Problem
from ledger.intake import Defaults, Drafted
from ledger.intake.ndjson import read_record
from ledger.intake.together import drafted
from ledger.service import access, chart
from ledger.service.guards import GUARDS
from ledger.service.intake import Sender, post_drafted
from tests.ledger.test_api import make_app

DAY = "2026-03-31"
LINES = [{"account": "7830", "amount": "5.00"}, {"account": "1920", "amount": "-5.00"}]
GOOD: dict[str, Any] = {
    "effective_date": DAY, "document_date": DAY, "text": "Bilag", "lines": LINES,
}  # fmt: skip
SINGLE, BATCH = "/api/v1/entries", "/api/v1/posting-batches"


@dataclass(frozen=True)
class Case:
    """What is sent, and by which code and where it is refused.

    `pointer` is into the entry, or None where the entry is sound by itself and the books refuse it;
    `line` is then the line that they name, or `at` the field. `single` is the code of POST /entries
    where the form of a request is refused by its schema, and `single_at` the pointer.
    """

    source: bytes
    code: str
    pointer: str | None = ""
    line: int | None = None
    at: str = ""
    single: str = ""
    single_at: str = ""


def _entry(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def _line(**changes: Any) -> bytes:
    return _entry(lines=[LINES[0], {**LINES[1], **changes}])


def _put(old: str, new: bytes) -> bytes:
    source = json.dumps(GOOD).encode()
    assert old.encode() in source
    return source.replace(old.encode(), new, 1)


def _amount(amount: str) -> bytes:
    return _entry(lines=[{**LINES[0], "amount": amount}, {**LINES[1], "amount": f"-{amount}"}])


AMOUNT, THE_DAY, SCHEMA = "/lines/1/amount", "/effective_date", "schema-mismatch"
CASES = {
    "unbalanced": Case(_line(amount="-5.01"), "entry-not-balanced"),
    "no lines": Case(_entry(lines=[]), "malformed-entry", single=SCHEMA, single_at="/lines"),
    "unknown account": Case(_line(account="9999"), "unknown-account", None, 2),
    "closed account": Case(_line(account="1949"), "account-closed", None, 2),
    "closed period": Case(_entry(effective_date="2026-02-10"), "period-closed", None, at=THE_DAY),
    "no period": Case(_entry(effective_date="2031-02-10"), "unknown-period", None, at=THE_DAY),
    "no such day": Case(
        _entry(effective_date="2026-02-30"), "record-malformed", "/effective_date",
        single=SCHEMA, single_at="/effective_date",
    ),
    "a day of a week": Case(
        _entry(effective_date="2026-W14-2"), "record-malformed", "/effective_date",
        single=SCHEMA, single_at="/effective_date",
    ),
    "float amount": Case(_line(amount=-5.0), "amount-not-a-string", AMOUNT, single_at=AMOUNT),
    "integer amount": Case(_line(amount=-5), "amount-not-a-string", AMOUNT, single_at=AMOUNT),
    "1e400": Case(_put('"-5.00"', b"1e400"), "amount-not-a-string", AMOUNT, single_at=AMOUNT),
    "1e400 as text": Case(_line(amount="1e400"), "record-malformed", AMOUNT,
                          single=SCHEMA, single_at=AMOUNT),
    "a tenth of an øre": Case(_line(amount="-5.001"), "record-malformed", AMOUNT,
                              single=SCHEMA, single_at=AMOUNT),
    "19 digits": Case(_line(amount="-" + "9" * 19), "number-too-large", AMOUNT, single_at=AMOUNT),
    "beyond the books": Case(_amount("99999999999999.00"), "number-too-large", "/lines/0", 1),
    "wrong currency": Case(
        _entry(lines=[{**line, "currency": "QQQ"} for line in LINES]), "unknown-currency", None, 1
    ),
    "no currency code": Case(_line(currency="kr"), "malformed-entry", "/lines/1",
                             single=SCHEMA, single_at="/lines/1/currency"),
    "party beyond int64": Case(_line(party_id=2**63), "number-too-large", "/lines/1", 2),
    "party of 30 digits": Case(_line(party_id=10**30), "number-too-large", "/lines/1", 2),
    "party 1e400": Case(
        _put('"-5.00"', b'"-5.00", "party_id": 1e400'), "record-malformed", "/lines/1/party_id",
        single=SCHEMA, single_at="/lines/1/party_id",
    ),
    "not UTF-8": Case(_put("Bilag", b"Bil\xff"), "not-utf8"),
    "NUL": Case(_entry(text="Bi\0lag"), "text-holds-nul", "/text"),
    "NUL in a line": Case(_line(text="\0"), "text-holds-nul", "/lines/1/text", 2),
    "NUL in a reference of an item": Case(
        _line(item={"kind": "a", "document_ref": "\0", "document_date": DAY, "due_date": DAY}),
        "text-holds-nul", "/lines/1/item/document_ref", 2,
    ),
    "an escape": Case(_entry(text="Bi\x1b[8mlag"), "text-holds-control", "/text"),
    "an override of direction": Case(
        _line(text="\u202etekst"), "text-holds-control", "/lines/1/text", 2
    ),
    "a line break in a code": Case(
        _line(account="7830\n"), "text-holds-control", "/lines/1/account", 2
    ),
    "a long text": Case(_entry(text="x" * 2_001), "text-too-long", "/text",
                        single=SCHEMA, single_at="/text"),
    "a long code": Case(_line(account="1" * 301), "text-too-long", "/lines/1/account", 2),
    "too many lines": Case(
        _entry(lines=LINES * 20_000), "entry-too-long", single_at="/lines"
    ),
    "half a surrogate pair": Case(
        _put("Bilag", b"\\ud800"), "record-malformed", single="malformed-entry"
    ),
    "nested deeply": Case(
        _put('"Bilag"', b"[" * 100_000 + b"]" * 100_000), "record-malformed", "/text",
        single="json-unreadable",
    ),
    "a name twice": Case(
        _put('"Bilag"', b'"Bilag", "text": "Annet"'), "record-malformed", single="json-unreadable"
    ),
    "a name twice, escaped": Case(
        _put('"Bilag"', b'"Bilag", "te\\u0078t": "Annet:"'), "record-malformed",
        single="json-unreadable",
    ),
    "an amount twice": Case(
        _put('"-5.00"', b'"-9.00", "amount": "-5.00"'), "record-malformed", single="json-unreadable"
    ),
    "party of a fraction": Case(_line(party_id=1.5), "record-malformed", "/lines/1/party_id",
                                single=SCHEMA, single_at="/lines/1/party_id"),
    "party as a text": Case(_line(party_id="7"), "record-malformed", "/lines/1/party_id",
                            single=SCHEMA, single_at="/lines/1/party_id"),
    "unknown field": Case(_entry(colour="red"), "record-malformed",
                          single=SCHEMA, single_at="/colour"),
    "not an object": Case(b'["a"]', "record-malformed", single=SCHEMA),
    "not JSON": Case(b"hello", "record-malformed", single="json-unreadable"),
}  # fmt: skip
# What is not JSON as a whole is refused as a whole.
BROKEN_BODIES = {"half a surrogate pair", "nested deeply", "not JSON"}


@pytest.fixture
def client(books: str) -> FlaskClient:
    """A program over books with a closed account and a closed period."""
    with transaction() as session:
        chart.close_account(session, "NO01", "1949", date(2026, 1, 31), actor="x", reason="x")
        service.lock_period(
            session, "NO01", "2026-02", module="GL", level="soft", actor="x", reason="x"
        )
        token = access.add_client(
            session, "trial", ["ledger:post"], actor="test", now=datetime.now(UTC)
        )
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


@contextmanager
def nothing_posted() -> Iterator[None]:
    """Count every fact of the ledger before and after."""
    before = _facts()
    yield
    assert _facts() == before


def _facts() -> dict[str, int]:
    counted = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in GUARDS)
    with transaction("auditor") as session:
        return dict(session.execute(text(f"SELECT {counted}")).mappings().one())


def _send(
    client: FlaskClient, path: str, key: str, body: bytes, kind: str = "application/json"
) -> dict[str, Any]:
    """Post, and give the problem that is answered."""
    answer = client.post(path, data=body, content_type=kind, headers={"Idempotency-Key": key})
    assert answer.status_code >= 400, answer.data
    told: dict[str, Any] = json.loads(answer.data)
    assert told["status"] == answer.status_code
    return {**told, "code": told["type"].removeprefix("/problems/")}


def _post(path: Path, *options: str) -> list[dict[str, Any]]:
    """Run `hovedbok ledger post`; gives its faults, or the problem that ended it."""
    ran = CliRunner().invoke(post_command, [str(path), "--json", *options])
    assert ran.exit_code == 1, ran.output
    if isinstance(ran.exception, Problem):
        return [{"code": ran.exception.code(), "record": None, **ran.exception.facts}]
    faults: list[dict[str, Any]] = json.loads(ran.stdout)["faults"]
    return faults


@pytest.mark.parametrize("name", CASES)
def test_an_entry_is_refused_alike_everywhere(
    name: str, client: FlaskClient, tmp_path: Path
) -> None:
    """The same code and place through Python, the command line and both requests."""
    case = CASES[name]
    file = tmp_path / "bad.ndjson"
    file.write_bytes(case.source + b"\n")
    with nothing_posted():
        _hold_python(case)
        (fault,) = _post(file)
        assert fault["code"] == case.code
        at_line = case.at if case.line is None else f"/lines/{case.line - 1}"
        assert fault["pointer"] == (at_line if case.pointer is None else case.pointer)
        assert fault["record"] == 1
        batch = _send(client, BATCH, "batch", b'{"entries": [' + case.source + b"]}")
        if name in BROKEN_BODIES:
            assert batch["code"] == "posting-request-malformed"
        else:
            if case.pointer is None:
                assert (batch["code"], batch.get("line")) == (case.code, case.line)
            (told,) = batch["errors"]
            place = at_line if case.pointer is None else case.pointer
            assert (told["code"], told["pointer"]) == (case.code, f"/entries/0{place}")
        single = _send(client, SINGLE, "single", case.source)
        assert single["code"] == (case.single or case.code)
        assert single.get("line") == (None if case.single else case.line)
        if case.single_at or case.at or case.line:
            pointer = case.single_at or case.pointer or at_line
            assert [e["pointer"] for e in single["errors"]] == [f"/json{pointer}"]


def _hold_python(case: Case) -> None:
    (read,) = drafted([read_record(case.source, 1)], Defaults("ref", "NOK"))
    if not isinstance(read, Drafted):
        assert (read.code, read.pointer) == (case.code, case.pointer)
        return
    assert case.pointer is None
    with pytest.raises(Problem) as refused, transaction() as session:
        post_drafted(session, Sender("NO01", "test", "x"), "ref", [read], each=False)
    assert (refused.value.code(), refused.value.facts.get("line")) == (case.code, case.line)


def test_a_reference_is_not_used_for_other_content(client: FlaskClient, tmp_path: Path) -> None:
    """Whoever sends it: the first content stands, and its voucher is named."""
    file = tmp_path / "file.ndjson"
    file.write_bytes(_entry(source_ref="r-1"))
    posted = CliRunner().invoke(post_command, [str(file), "--json"])
    assert posted.exit_code == 0
    first = {"entries": [{**GOOD, "source_ref": "r-1"}]}
    headers = {"Idempotency-Key": "k-1"}
    assert client.post(BATCH, json=first, headers=headers).status_code == 201
    file.write_bytes(_entry(source_ref="r-1", text="Annet"))
    other = json.dumps({"entries": [{**GOOD, "source_ref": "r-1", "text": "Annet"}]}).encode()
    with nothing_posted():
        (fault,) = _post(file)
        assert fault["code"] == "entry-ref-reused"
        assert _send(client, BATCH, "k-2", other)["code"] == "entry-ref-reused"
        assert _send(client, BATCH, "k-1", other)["code"] == "idempotency-key-reused"


def test_half_a_surrogate_pair_is_no_fault_of_ours_anywhere(client: FlaskClient) -> None:
    """It is refused where it is to be stored or looked for too, and the key stays free."""
    asserted = {"account": "1920", "effective_date": DAY, "expected": "0.00", "source": "bank"}
    path = "/api/v1/balance-assertions"
    for name in ("account", "source"):
        with nothing_posted():
            body = json.dumps({**asserted, name: "\ud800"}).encode()
            refused = _send(client, path, "k", body)
        assert (refused["status"], refused["code"]) == (422, "value-out-of-range")
    sent = client.post(path, json=asserted, headers={"Idempotency-Key": "k"})
    assert sent.status_code == 201, sent.data


def test_totals_that_differ_are_told(client: FlaskClient, tmp_path: Path) -> None:
    """Entries, lines and debits as they are; the sender sees which is missing."""
    file = tmp_path / "file.ndjson"
    file.write_bytes(_entry())
    declared = {"entries": 1, "lines": 3, "debits": {"NOK": "5.00"}}
    body = json.dumps({"entries": [GOOD], "declared": declared}).encode()
    with nothing_posted():
        (fault,) = _post(file, "--declare", "entries=1,lines=3,debit=5.00")
        told = _send(client, BATCH, "k", body)
        for one in (fault, told):
            assert (one["code"], one["lines"]) == ("totals-differ", 2)


LARGE = [line for line in LINES for _ in range(50_000)]
BODIES: dict[str, tuple[str, bytes, str, str]] = {
    "100,000 lines in an entry": (
        SINGLE, _entry(lines=LARGE), "application/json", "entry-too-long"
    ),
    "100,000 lines in an entry of a batch": (
        BATCH, json.dumps({"entries": [{**GOOD, "lines": LARGE}]}).encode(), "application/json",
        "entries-refused",
    ),
    "50,000 entries as JSON": (
        BATCH, json.dumps({"entries": [GOOD] * 50_000}).encode(), "application/json",
        "request-too-large",
    ),
    "100,000 lines undeclared": (
        BATCH, b"\n".join([_entry()] * 50_000), "application/x-ndjson", "totals-undeclared"
    ),
    "no body": (SINGLE, b"", "application/json", SCHEMA),
    "no body for a batch": (BATCH, b"", "application/json", "posting-request-malformed"),
    "another kind": (SINGLE, _entry(), "text/plain", "unsupported-media-type"),
    "another kind of batch": (BATCH, _entry(), "text/plain", "unsupported-media-type"),
    "a form": (SINGLE, b"text=Bilag", "application/x-www-form-urlencoded",
               "unsupported-media-type"),
    "entries twice": (
        BATCH, b'{"entries": [], "entries": []}', "application/json", "posting-request-malformed"
    ),
    "a column twice": (
        BATCH, b'{"columns": {"entry": ["a"], "entry": ["b"]}}', "application/json",
        "posting-request-malformed",
    ),
    "neither": (BATCH, b"{}", "application/json", "posting-request-malformed"),
    "an array": (BATCH, b"[]", "application/json", "posting-request-malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_refused(name: str, client: FlaskClient) -> None:
    """Too large, empty, of another kind, or of another shape."""
    path, body, kind, code = BODIES[name]
    with nothing_posted():
        assert _send(client, path, "k", body, kind)["code"] == code


COLUMNS = {
    "entry": ["a", "a", "b", "b"], "effective_date": [DAY] * 4, "entry_text": ["x"] * 4,
    "account": ["7830", "1920"] * 2, "amount": ["5.00", "-5.00"] * 2,
}  # fmt: skip
BAD_COLUMNS = {
    "amount": (["5.00", "-5.00", "5.00", -5.0], "amount-not-a-string", "/columns/amount/3"),
    "account": (["7830", "1920", "7830", "9999"], "unknown-account", "/columns/entry/3"),
    "entry_text": (["x", "x", "\0", "\0"], "text-holds-nul", "/columns/entry_text/2"),
    "text": (["", "", "", "\0"], "text-holds-nul", "/columns/text/3"),
    "document_ref": (["", "", "b" * 301, "b" * 301], "text-too-long", "/columns/document_ref/2"),
    "effective_date": ([DAY, DAY, DAY, "x"], "record-malformed", "/columns/effective_date/3"),
    "currency": (["NOK", "NOK", "QQQ", "QQQ"], "unknown-currency", "/columns/entry/2"),
    "entry": (["a", "a", "b", "c"], "entry-not-balanced", "/columns/entry/2"),
}  # fmt: skip


@pytest.mark.parametrize("column", BAD_COLUMNS)
def test_a_fault_in_columns_points_at_the_column_and_the_place(
    column: str, client: FlaskClient
) -> None:
    """Whether all is refused for it or it alone; the pointer leads to a value of the request."""
    cells, code, pointer = BAD_COLUMNS[column]
    columns = {**COLUMNS, column: cells}
    with nothing_posted():
        told = _send(client, BATCH, "k-1", json.dumps({"columns": columns}).encode())
    error = told["errors"][0]
    assert (error["code"], error["pointer"]) == (code, pointer)
    name, place = pointer.split("/")[2:]
    assert int(place) < len(columns[name])
    each = client.post(BATCH, json={"columns": columns, "mode": "per-entry"},
                       headers={"Idempotency-Key": "k-2"})  # fmt: skip
    problem = next(r["problem"] for r in each.json["results"] if "problem" in r)  # type: ignore[index]
    assert (problem["code"], problem["pointer"]) == (code, pointer)


def test_a_closed_day_in_columns_points_at_the_day(client: FlaskClient) -> None:
    """The first row of the entry says it; the books refuse it as they refuse it elsewhere."""
    columns = {**COLUMNS, "effective_date": [DAY, DAY, "2026-02-10", "2026-02-10"]}
    with nothing_posted():
        told = _send(client, BATCH, "k", json.dumps({"columns": columns}).encode())
    assert [(e["code"], e["pointer"]) for e in told["errors"]] == [
        ("period-closed", "/columns/effective_date/2")
    ]


def test_a_refused_entry_is_named_by_its_place_in_what_was_sent(client: FlaskClient) -> None:
    """Not by its place among those that are left when what is in the books is taken away."""
    known = [{**GOOD, "source_ref": f"r-{number}"} for number in range(3)]
    made = client.post(BATCH, json={"entries": known}, headers={"Idempotency-Key": "k-1"})
    assert made.status_code == 201
    odd = {**GOOD, "lines": [LINES[0], {**LINES[1], "account": "9999"}]}
    early = {**GOOD, "effective_date": "2026-02-10"}
    for key, bad, code, pointer in (
        ("k-2", odd, "unknown-account", "/entries/4/lines/1"),
        ("k-3", early, "period-closed", "/entries/4/effective_date"),
        ("k-4", known[1], "entry-ref-reused", "/entries/4"),
    ):
        body = json.dumps({"entries": [*known, GOOD, bad]}).encode()
        with nothing_posted():
            told = _send(client, BATCH, key, body)
        assert (told["code"], told["record"]) == (code, 5)
        assert [(e["code"], e["pointer"]) for e in told["errors"]] == [(code, pointer)]


def test_a_reference_that_comes_twice_is_told(client: FlaskClient, tmp_path: Path) -> None:
    """All or nothing: the second is a slip. Each by itself: it is the first, or other content."""
    same, other = ({**GOOD, "source_ref": "r", "text": text} for text in ("Bilag", "Annet"))
    file = tmp_path / "twice.ndjson"
    file.write_text("".join(json.dumps(one) + "\n" for one in (same, GOOD, same, other)))
    with nothing_posted():
        faults = _post(file)
    assert [(f["record"], f["code"]) for f in faults] == [
        (3, "entry-ref-reused"), (4, "entry-ref-reused")]  # fmt: skip
    assert faults[0]["detail"].startswith("The reference 'r' is that of record 1 too.")
    answer = client.post(
        BATCH, json={"mode": "per-entry", "entries": [same, GOOD, same, other]},
        headers={"Idempotency-Key": "k"},
    )  # fmt: skip
    told: dict[str, Any] = json.loads(answer.data)
    assert (told["posted"], told["replayed"], told["refused"]) == (2, 1, 1)
    first, _, again, refused = told["results"]
    assert (again["entry_id"], again["replayed"]) == (first["entry_id"], True)
    assert refused["problem"]["code"] == "entry-ref-reused"
    assert "with other content" in refused["problem"]["detail"]
