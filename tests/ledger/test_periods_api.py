"""Periods, checklists and years over REST: each step of a month end, and every refusal by name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask.testing import FlaskClient

from ledger import service
from ledger.db import transaction
from ledger.journal import BatchDraft
from ledger.service import access
from ledger.service.signing import signer
from tests.ledger.conftest import Drafts, seal_all
from tests.ledger.test_api import code_of
from tests.ledger.test_drafts_api import client_with

MARCH = "/api/v1/periods/2026-03"
_keys = itertools.count()


@pytest.fixture
def closer(books: str, drafts: Drafts) -> FlaskClient:
    """A client that closes, over books with money in clearing whose February is closed."""
    with transaction() as session:
        service.post_batch(
            session, drafts.batch("b-1", drafts.journal("j-1", ("1940", 5_00), ("3010", -5_00)))
        )
        service.lock_period(session, "NO01", "2026-02", module="GL", level="soft", actor="x",
                            reason="x")  # fmt: skip
    seal_all(signer())
    return client_with("periods:close", "ledger:read")


@pytest.fixture
def waiver(closer: FlaskClient) -> FlaskClient:
    """A client that lets pass what is open."""
    return client_with("periods:waive", "ledger:read")


def send(
    client: FlaskClient, path: str, body: dict[str, Any] | None = None, key: str = "",
    **headers: str,
) -> Any:  # fmt: skip
    """Post with a key, a new one unless it is named."""
    told = {"Idempotency-Key": key or f"k-{next(_keys)}", **headers}
    return client.post(path, json=body or {}, headers=told)


def change(client: FlaskClient, verb: str, body: dict[str, Any] | None = None) -> Any:
    """Change March as it was just read."""
    etag = client.get(MARCH).headers["ETag"]
    return send(client, f"{MARCH}/{verb}", body, **{"If-Match": etag})


def test_a_month_is_looked_at_waived_and_closed(closer: FlaskClient, waiver: FlaskClient) -> None:
    """Two people: one closes, another lets pass; the evidence says so."""
    assert code_of(closer.get(f"{MARCH}/checklist")) == (404, "unknown-checklist")
    seen = send(closer, f"{MARCH}/checklist")
    assert seen.status_code == 201, seen.data
    assert {x["code"]: x["state"] for x in seen.json["checks"] if x["state"] != "ok"} == {
        "suspense": "open"
    }
    assert closer.get(f"{MARCH}/checklist").json == seen.json
    assert closer.get(f"/api/v1/checklists/{seen.json['checklist_id']}").json == seen.json
    refused = change(closer, "close")
    assert code_of(refused) == (409, "checks-open")
    given = send(
        waiver, f"/api/v1/checklists/{seen.json['checklist_id']}/waivers",
        {"check": "suspense", "reason": "comes in April"},
    )  # fmt: skip
    assert given.status_code == 201, given.data
    assert given.json["actor"] == "client:waive-read"
    done = change(closer, "close")
    assert (done.status_code, done.json["already"]) == (200, False), done.data
    check = next(x for x in done.json["checklist"]["checks"] if x["code"] == "suspense")
    assert (check["state"], check["waived_by"]) == ("waived", "client:waive-read")
    assert done.headers["ETag"] == closer.get(MARCH).headers["ETag"]
    again = change(closer, "close")
    assert (again.json["already"], again.json["checklist"]) == (True, done.json["checklist"])
    kept = closer.get(f"{MARCH}/checklists").json["checklists"]
    assert kept == [done.json["checklist"], seen.json]
    assert closer.get(f"{MARCH}/checklists?closing=true").json["checklists"] == kept[:1]
    period = closer.get(MARCH).json
    assert [x["level"] for x in period["modules"]] == ["soft"] * 4
    assert period in closer.get("/api/v1/periods").json["periods"]
    assert (period["first_day"], period["last_day"]) == ("2026-03-01", "2026-03-31")


def test_a_retry_gets_the_first_answer(closer: FlaskClient) -> None:
    """Also of a run, which would otherwise be kept twice."""
    first = send(closer, f"{MARCH}/checklist", key="once")
    again = send(closer, f"{MARCH}/checklist", key="once")
    assert again.json == first.json
    assert again.headers["Idempotency-Hit"] == "true"
    assert send(closer, f"{MARCH}/checklist").json["checklist_id"] == 2


def test_a_change_names_what_was_read(closer: FlaskClient, waiver: FlaskClient) -> None:
    """428 without If-Match, 412 when somebody else was faster."""
    assert code_of(send(closer, f"{MARCH}/close")) == (428, "if-match-missing")
    etag = closer.get(MARCH).headers["ETag"]
    lock = {"module": "AR", "level": "soft", "reason": "no more bills"}
    assert send(closer, f"{MARCH}/locks", lock, **{"If-Match": etag}).status_code == 201
    stale = send(closer, f"{MARCH}/reopen", {"reason": "x"}, **{"If-Match": etag})
    assert code_of(stale) == (412, "state-changed")
    until = "2099-01-01T00:00:00Z"
    leave = {"module": "AR", "actor": "x", "reason": "x", "expires_at": until}
    assert code_of(change(waiver, "exceptions", leave)) == (422, "invalid")


def test_locks_exceptions_and_reopening(closer: FlaskClient, waiver: FlaskClient) -> None:
    """What single modules and single people need, with what came late."""
    lock = {"module": "BILLING", "level": "soft", "reason": "billed"}
    assert change(closer, "locks", lock).json["modules"][2]["level"] == "soft"
    with transaction() as session:
        told = access.audit_log(session)[0]
    assert (told["actor"], told["act"]) == ("client:close-read", "module locked")
    leave = {"module": "BILLING", "actor": "tester", "reason": "one more"}
    told = change(waiver, "exceptions", {**leave, "expires_at": _soon()})
    assert told.status_code == 201, told.data
    assert told.json["modules"][2]["exceptions"][0]["actor"] == "tester"
    with transaction() as session:
        entry = Drafts().invoice("i-9")
        service.post_batch(session, BatchDraft("NO01", "test", "b-9", "tester", (entry,)))
    late = closer.get(f"{MARCH}/late-postings").json["late"]
    assert [(x["module"], x["under"], x["voucher"]["number"]) for x in late] == [
        ("BILLING", "exception", 1)
    ]
    opened = change(closer, "reopen", {"modules": ["BILLING"], "reason": "late bills"})
    assert [x["level"] for x in opened.json["modules"]] == ["open"] * 4
    change(closer, "locks", {**lock, "level": "hard"})
    assert code_of(change(closer, "reopen", {"reason": "regret"})) == (
        409, "period-locked-for-good",
    )  # fmt: skip
    reopening = {**lock, "module": "AR", "level": "open", "until": "2099-01-01T00:00:00Z"}
    assert code_of(change(closer, "locks", reopening)) == (422, "lock-refused")


def test_a_lock_for_good_is_answered_again(closer: FlaskClient) -> None:
    """Under another key, whatever was read before: 200, and nothing new; loosening is refused."""
    etag = closer.get(MARCH).headers["ETag"]
    lock = {"module": "GL", "level": "hard", "reason": "audited"}
    made = send(closer, f"{MARCH}/locks", lock, **{"If-Match": etag})
    again = send(closer, f"{MARCH}/locks", lock, **{"If-Match": etag})
    assert (made.status_code, again.status_code) == (201, 200)
    assert (again.json, again.headers["ETag"]) == (made.json, made.headers["ETag"])
    for level in ("soft", "open"):
        assert code_of(change(closer, "locks", {**lock, "level": level})) == (
            409, "period-locked-for-good",
        )  # fmt: skip
    other = send(closer, f"{MARCH}/locks", {**lock, "module": "AR"}, **{"If-Match": etag})
    assert code_of(other) == (412, "state-changed")
    assert closer.get(MARCH).headers["ETag"] == made.headers["ETag"]


def _soon() -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def test_each_right_is_its_own(closer: FlaskClient, waiver: FlaskClient) -> None:
    """Who closes does not waive, who waives does not close, who reads does neither."""
    reader = client_with("ledger:read")
    for client, path in (
        (waiver, f"{MARCH}/close"), (waiver, f"{MARCH}/checklist"), (waiver, f"{MARCH}/reopen"),
        (waiver, "/api/v1/years/2026/close"), (closer, f"{MARCH}/exceptions"),
        (closer, "/api/v1/checklists/1/waivers"), (reader, f"{MARCH}/locks"),
    ):  # fmt: skip
        assert code_of(send(client, path)) == (403, "scope-missing")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/periods/2031-01", (409, "unknown-period")),
        ("/api/v1/periods/March", (422, "invalid")),
        ("/api/v1/periods/2026-03?book=NO99", (404, "unknown-book")),
        ("/api/v1/periods/2031-01/late-postings", (409, "unknown-period")),
        ("/api/v1/periods/2026-03/checklist?book=NO99", (404, "unknown-book")),
        (f"/api/v1/checklists/{2**63}", (404, "unknown-checklist")),
        ("/api/v1/checklists/17", (404, "unknown-checklist")),
        ("/api/v1/years/2031", (409, "unknown-period")),
        (f"/api/v1/years/{2**40}", (409, "unknown-period")),
        ("/api/v1/years/2026?known_as_of=99", (422, "not-yet-known")),
    ],
)
def test_what_is_not_there_is_said_so(
    closer: FlaskClient, path: str, expected: tuple[int, str]
) -> None:
    """By its own name, whatever was asked for."""
    assert code_of(closer.get(path)) == expected


def test_a_year_that_no_calendar_holds_is_refused(closer: FlaskClient) -> None:
    """As a value that cannot be, and never as a fault of ours."""
    assert code_of(send(closer, f"/api/v1/years/{2**40}/close")) == (422, "value-out-of-range")


def test_a_year_is_closed_once(closer: FlaskClient) -> None:
    """Refused while a month is open; then one voucher, and the same answer again."""
    assert code_of(send(closer, "/api/v1/years/2026/close")) == (409, "year-not-ready")
    with transaction() as session:
        for month in range(1, 13):
            service.lock_period(
                session, "NO01", f"2026-{month:02d}", module="GL", level="soft", actor="x",
                reason="year end",
            )  # fmt: skip
    done = send(closer, "/api/v1/years/2026/close")
    assert (done.status_code, done.json["result"]) == (200, "5.00"), done.data
    assert done.json["voucher"] == {"series": "YEC", "year": 2026, "number": 1}
    assert send(closer, "/api/v1/years/2026/close").json == {**done.json, "already": True}
    year = closer.get("/api/v1/years/2026").json
    assert (year["closed_by"], year["left_before"]) == (done.json["voucher"], "0.00")
    assert {x["account"]: x["closing"] for x in year["balances"]} == {
        "1940": "5.00", "2050": "-5.00", "3010": "-5.00", "8960": "5.00",
    }  # fmt: skip
    assert code_of(change(closer, "locks", {"module": "GL", "level": "open", "reason": "x"})) == (
        409, "year-is-closed",
    )  # fmt: skip


def test_a_year_is_opened_over_rest(closer: FlaskClient) -> None:
    """Twelve months once; a second call finds nothing left to do, and the log has who did it."""
    assert code_of(send(closer, "/api/v1/years/1999/open")) == (409, "unknown-period")
    assert code_of(send(closer, "/api/v1/years/2031/open", {"book": "NO77"})) == (
        404, "unknown-book",
    )  # fmt: skip
    first = send(closer, "/api/v1/years/2031/open", key="open")
    assert (first.status_code, first.json) == (201, {"book": "NO01", "year": 2031, "opened": 12})
    again = send(closer, "/api/v1/years/2031/open", key="open")
    assert (again.status_code, again.headers["Idempotency-Hit"]) == (201, "true")
    later = send(closer, "/api/v1/years/2031/open")
    assert (later.status_code, later.json["opened"]) == (200, 0)
    assert closer.get("/api/v1/periods/2031-12").json["fiscal_year"] == 2031
    with transaction() as session:
        told = [one for one in access.audit_log(session) if one["act"] == "year opened"]
    assert [(one["actor"], one["subject"], one["facts"]) for one in told[:1]] == [
        ("client:close-read", "year/NO01/2031", {"periods": 12})
    ]
    assert [one["subject"] for one in told].count("year/NO01/2031") == 1
