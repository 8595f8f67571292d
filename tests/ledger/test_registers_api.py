"""VAT codes and posting rules over REST: dated, said by whom and why, and done once per key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger import service
from ledger.access import SCOPES
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.service import access
from tests.ledger.test_api import code_of, make_app

NEXT_RATE: dict[str, Any] = {
    "code": "3", "name": "Outgoing VAT, 24.5 %", "saft_code": "3", "rate_bp": 2450,
    "valid_from": "2026-10-01", "reason": "budget of 2027",
}  # fmt: skip
RULE: dict[str, Any] = {
    "event": "invoice", "leg": "receivable", "selector": "barter", "account": "1510",
    "valid_from": "2026-04-01", "reason": "barter is sold",
}  # fmt: skip
END: dict[str, Any] = {"last_day": "2026-09-30", "reason": "budget of 2027"}


def client_with(name: str, *scopes: str) -> FlaskClient:
    """A client of its own name that carries these scopes."""
    with transaction() as session:
        token = access.add_client(session, name, scopes, actor="test", now=datetime.now(UTC))
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


@pytest.fixture(name="client")
def _client(books: str) -> FlaskClient:
    return client_with("registrar", "ledger:read", "registers:write")


def add(client: FlaskClient, path: str, body: dict[str, Any], key: str = "k", **change: Any) -> Any:
    """Post a body, with changes, under a key."""
    headers = {"Idempotency-Key": key}
    return client.post(f"/api/v1/{path}", json={**body, **change}, headers=headers)


def told() -> list[tuple[str, ...]]:
    """What the audit log says of registers: who, what, of which, why."""
    with transaction() as session:
        rows = session.execute(
            text("SELECT actor, action, subject, content ->> 'reason' FROM audit_event"
                 " WHERE action ~ '^(VAT|posting)' ORDER BY audit_event_id")
        )  # fmt: skip
        return [tuple(row) for row in rows]


def test_a_rate_ends_and_the_next_begins_over_rest(client: FlaskClient) -> None:
    """Against the state that was read; a retry does it once; the log says who and why."""
    read = client.get("/api/v1/vat-codes/3")
    assert [one["rate_bp"] for one in read.json["rates"]] == [2500]
    early = add(client, "vat-codes", NEXT_RATE)
    assert code_of(early) == (409, "vat-code-in-use")
    assert code_of(client.patch("/api/v1/vat-codes/3", json=END)) == (428, "if-match-missing")
    old = {"If-Match": read.headers["ETag"]}
    ended = client.patch("/api/v1/vat-codes/3", json=END, headers=old)
    assert ended.json["rates"][0]["valid_to"] == "2026-10-01"
    assert ended.headers["ETag"] == client.get("/api/v1/vat-codes/3").headers["ETag"]
    again = client.patch("/api/v1/vat-codes/3", json=END, headers=old)
    assert code_of(again) == (412, "state-changed")
    made = add(client, "vat-codes", NEXT_RATE, "k-2")
    assert (made.status_code, made.json["valid_to"]) == (201, None)
    retried = add(client, "vat-codes", NEXT_RATE, "k-2")
    assert (retried.json, retried.headers["Idempotency-Hit"]) == (made.json, "true")
    rates = client.get("/api/v1/vat-codes/3").json["rates"]
    assert [one["rate_bp"] for one in rates] == [2500, 2450]
    in_october = client.get("/api/v1/vat-codes?on=2026-10-01").json["vat_codes"]
    assert [one["rate_bp"] for one in in_october if one["code"] == "3"] == [2450]
    assert told() == [
        ("client:registrar", "VAT code ended", "NO01/3", "budget of 2027"),
        ("client:registrar", "VAT code added", "NO01/3", "budget of 2027"),
    ]


def test_a_rule_is_followed_by_a_later_one_over_rest(client: FlaskClient) -> None:
    """Once per key and once per day; where nobody is named it is the rule of all others."""
    made = add(client, "posting-rules", RULE)
    assert (made.status_code, made.json["account"]) == (201, "1510")
    assert add(client, "posting-rules", RULE).headers["Idempotency-Hit"] == "true"
    assert code_of(add(client, "posting-rules", RULE, "k-2")) == (409, "posting-rule-taken")
    later = add(client, "posting-rules", RULE, "k-3", account="1505", valid_from="2027-01-01")
    assert later.status_code == 201
    for day, account in (("2026-12-31", "1510"), ("2027-01-01", "1505")):
        rules = client.get(f"/api/v1/posting-rules?on={day}").json["rules"]
        assert [x["account"] for x in rules if x["selector"] == "barter"] == [account]
    general = {name: value for name, value in RULE.items() if name != "selector"}
    assert add(client, "posting-rules", general, "k-4").json["selector"] == "*"
    assert {row[:3] for row in told()} == {
        ("client:registrar", "posting rule added", f"NO01/invoice/receivable/{selector}")
        for selector in ("barter", "*")
    }


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("vat-codes", {"rate_bp": 10_001}, (422, "invalid")),
        ("vat-codes", {"rate_bp": "25"}, (422, "schema-mismatch")),
        ("vat-codes", {"rate_bp": 24.5}, (422, "schema-mismatch")),
        ("vat-codes", {"rate_bp": 2**70}, (422, "invalid")),
        ("vat-codes", {"code": "3\n"}, (422, "schema-mismatch")),
        ("vat-codes", {"reason": " "}, (422, "invalid")),
        ("vat-codes", {"valid_to": "2027-01-01"}, (422, "schema-mismatch")),
        ("vat-codes", {"book": "NO99"}, (404, "unknown-book")),
        ("posting-rules", {"event": "invoyce"}, (422, "no-posting-rule")),
        ("posting-rules", {"leg": "recievable"}, (422, "no-posting-rule")),
        ("posting-rules", {"account": "9999"}, (422, "unknown-account")),
        ("posting-rules", {"account": "9\0"}, (422, "schema-mismatch")),
        ("posting-rules", {"selector": "bar\0ter"}, (422, "value-out-of-range")),
        ("posting-rules", {"valid_from": "2026-03-31"}, (409, "period-closed")),
        ("posting-rules", {"reason": ""}, (422, "schema-mismatch")),
    ],
)  # fmt: skip
def test_what_a_register_cannot_hold_is_refused_by_name(
    client: FlaskClient, path: str, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    """The same checks as the commands have, and nothing is recorded."""
    with transaction() as session:
        service.lock_period(
            session, "NO01", "2026-03", module="GL", level="soft", actor="x", reason="x"
        )
    body = RULE if path == "posting-rules" else {**NEXT_RATE, "code": "77"}
    assert code_of(add(client, path, body, **change)) == expected
    assert told() == []


def test_a_code_that_there_is_not_is_neither_shown_nor_ended(client: FlaskClient) -> None:
    """By the name that was asked for."""
    assert code_of(client.get("/api/v1/vat-codes/99")) == (422, "unknown-vat-code")
    ended = client.patch("/api/v1/vat-codes/99", json=END, headers={"If-Match": '"x"'})
    assert code_of(ended) == (422, "unknown-vat-code")


def test_registers_are_changed_with_their_own_scope_only(client: FlaskClient) -> None:
    """Every other scope together, that of the chart among them, is not enough."""
    other = client_with("other", *(SCOPES.keys() - {"registers:write"}))
    for path, body in (("vat-codes", NEXT_RATE), ("posting-rules", RULE)):
        refused = add(other, path, body)
        assert code_of(refused) == (403, "scope-missing")
        assert refused.json["scope"] == "registers:write"
    assert code_of(other.patch("/api/v1/vat-codes/3", json=END)) == (403, "scope-missing")
    assert told() == []


def test_a_missing_number_is_read_and_explained_over_rest(pg: PrivateServer, posted: str) -> None:
    """Reading is for whoever reads the books, explaining for whoever lets a check pass."""
    with psycopg.connect(pg.url("postgres", posted).replace("+psycopg", "", 1)) as connection:
        connection.execute(
            "UPDATE voucher_counter SET last_no = 2 WHERE series_id ="
            " (SELECT series_id FROM voucher_series WHERE code = 'SAL')"
        )
    lost = {"series": "SAL", "year": 2026, "number": 2}
    said = {"voucher": lost, "reason": "printer test"}
    waiver = client_with("waiver", "ledger:read", "periods:waive")
    assert waiver.get("/api/v1/voucher-gaps").json == {
        "book": "NO01", "missing": [lost], "explained": [],
    }  # fmt: skip
    made, repeated, anew = (add(waiver, "voucher-gaps", said, key) for key in ("a", "a", "b"))
    assert (made.status_code, made.json["voucher"], made.json["actor"]) == (
        201, lost, "client:waiver",
    )  # fmt: skip
    assert (repeated.status_code, repeated.json, anew.status_code) == (201, made.json, 200)
    listed = waiver.get("/api/v1/voucher-gaps").json
    assert (listed["missing"], listed["explained"]) == ([], [made.json])
    other = add(waiver, "voucher-gaps", said, "c", reason="lost")
    assert code_of(other) == (409, "number-not-missing")
    assert other.json["voucher"] == "SAL/2026/2"
    unknown = add(waiver, "voucher-gaps", said, "d", voucher={**lost, "series": "XYZ"})
    assert code_of(unknown) == (422, "unknown-series")
    closer = client_with("closer", "ledger:read", "periods:close")
    assert code_of(add(closer, "voucher-gaps", said, "e")) == (403, "scope-missing")


def test_approval_rules_are_read_and_set_over_rest(books: str) -> None:
    """From today on, by whoever says who may do what; the log has the rule."""
    admin = client_with("admin", "ledger:read", "access:write")
    rule = {"account_prefix": "29", "amount_from": "5000.00", "valid_from": "2031-01-01"}
    made = add(admin, "approval-rules", rule)
    told = {**rule, "entry_type": "manual", "actor": "client:admin"}
    assert (made.status_code, made.json) == (201, told)
    assert add(admin, "approval-rules", rule).headers["Idempotency-Hit"] == "true"
    assert add(admin, "approval-rules", rule, "again").status_code == 201, "the very same rule"
    ended = add(admin, "approval-rules", rule, "e", amount_from=None, valid_from="2032-01-01")
    assert ended.json["amount_from"] is None
    listed = admin.get("/api/v1/approval-rules").json["rules"]
    assert [one for one in listed if one["account_prefix"] == "29"] == [ended.json, told]
    for change, refusal in (
        ({"amount_from": "1.00"}, (422, "policy-reaches-back")),
        ({"valid_from": "2001-01-01"}, (422, "policy-reaches-back")),
        ({"amount_from": 5000}, (422, "amount-not-a-string")),
        ({"account_prefix": "x"}, (422, "schema-mismatch")),
        ({"book": "NO77"}, (404, "unknown-book")),
    ):
        assert code_of(add(admin, "approval-rules", rule, str(change), **change)) == refusal
    assert code_of(admin.get("/api/v1/approval-rules?book=NO77")) == (404, "unknown-book")
    with transaction() as session:
        acts = [(one["actor"], one["act"]) for one in access.audit_log(session)]
    assert acts[0] == ("client:admin", "approval rule set")
    poster = client_with("poster", "ledger:read", "ledger:post", "ledger:approve")
    assert code_of(add(poster, "approval-rules", rule, "f")) == (403, "scope-missing")
