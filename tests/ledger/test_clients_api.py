"""A client's next token over REST: handed over once, whoever repeats the request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from ledger.db import transaction
from ledger.service import access
from tests.ledger.test_api import code_of
from tests.ledger.test_registers_api import client_with

ROTATE = "/api/v1/clients/billing/tokens"


@pytest.fixture(name="admin")
def _admin(books: str) -> FlaskClient:
    return client_with("admin", "access:read", "access:write")


def status_with(client: FlaskClient, token: str) -> int:
    """What the list of books answers whoever shows a token."""
    shown = {"Authorization": f"Bearer {token}"}
    return client.get("/api/v1/books", headers=shown).status_code


def test_a_token_is_rotated_over_rest_and_shown_once(admin: FlaskClient) -> None:
    """A retry rotates nothing and reads no secret, for none is kept; the log names who did it."""
    with transaction() as session:
        old = access.add_client(
            session, "billing", ["ledger:read"], actor="t", now=datetime.now(UTC)
        )
    key = {"Idempotency-Key": "march"}
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    first = admin.post(ROTATE, json={"old_until": until}, headers=key)
    assert (first.status_code, first.headers["Cache-Control"]) == (201, "no-store")
    assert [one["prefix"] for one in first.json["ending"]] == [old.partition(".")[0]]
    token = first.json["token"]
    assert [status_with(admin, one) for one in (old, token)] == [200, 200]
    again = admin.post(ROTATE, json={"old_until": until}, headers=key)
    assert again.headers["Idempotency-Hit"] == "true"
    assert again.json == {**first.json, "token": None}
    with transaction() as session:
        kept = str(session.execute(text("SELECT response::text FROM idempotency_key")).all())
        event = access.audit_log(session)[0]
    assert first.json["prefix"] in kept
    assert token.partition(".")[2] not in kept
    assert (event["actor"], event["act"]) == ("client:admin", "token rotated")
    leaked = admin.post(ROTATE, json={}, headers={"Idempotency-Key": "leaked"})
    assert [status_with(admin, one) for one in (old, token, leaked.json["token"])] == [
        401,
        401,
        200,
    ]
    (listed,) = [c for c in admin.get("/api/v1/clients").json["clients"] if c["name"] == "billing"]
    assert listed["scopes"] == ["ledger:read"]
    assert [one["ends_at"] is None for one in listed["tokens"]] == [False, False, True]


def test_a_rotation_that_cannot_be_is_refused(admin: FlaskClient) -> None:
    """Of nobody, without a key, and to a time that is past."""
    path, key = "/api/v1/clients/nobody/tokens", {"Idempotency-Key": "k"}
    assert code_of(admin.post(path, json={}, headers=key)) == (404, "not-found")
    assert admin.post(ROTATE, json={}).status_code == 422
    past = {"old_until": "2026-01-01T00:00:00+01:00"}
    admin_path = "/api/v1/clients/admin/tokens"
    key = {"Idempotency-Key": "past"}
    assert code_of(admin.post(admin_path, json=past, headers=key)) == (422, "invalid")
