"""Of many who change what they have read, all at once, one changes it and the others are told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.ledger.test_drafts_api import client_with

MANY = 6
DRAFT: dict[str, Any] = {
    "effective_date": "2026-03-31", "document_date": "2026-03-31", "text": "Rent",
    "lines": [{"account": "7830", "amount": "5.00"}, {"account": "1920", "amount": "-5.00"}],
}  # fmt: skip
Change = Callable[[FlaskClient, int, dict[str, str]], Any]


def lock(client: FlaskClient, place: int, headers: dict[str, str]) -> Any:
    """Close March for the general ledger."""
    body = {"module": "GL", "level": "soft", "reason": f"r-{place}"}
    return client.post("/api/v1/periods/2026-03/locks", json=body, headers=headers)


def reopen(client: FlaskClient, place: int, headers: dict[str, str]) -> Any:
    """Open March for an hour; a module that is open is opened again and again."""
    body = {"module": "GL", "level": "open", "reason": f"r-{place}"}
    return client.post("/api/v1/periods/2026-03/locks", json=body, headers=headers)


def rename(client: FlaskClient, place: int, headers: dict[str, str]) -> Any:
    """Give an account another name."""
    body = {"name": f"n-{place}", "reason": "x"}
    return client.patch("/api/v1/accounts/1749", json=body, headers=headers)


def end_rate(client: FlaskClient, place: int, headers: dict[str, str]) -> Any:
    """End a VAT code, each after another day."""
    body = {"last_day": f"2027-01-{place + 1:02d}", "reason": "x"}
    return client.patch("/api/v1/vat-codes/33", json=body, headers=headers)


def rewrite(client: FlaskClient, place: int, headers: dict[str, str]) -> Any:
    """Write the next version of a draft."""
    return client.put("/api/v1/drafts/1", json={**DRAFT, "text": f"t-{place}"}, headers=headers)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("periods/2026-03", lock),
        ("periods/2026-03", reopen),
        ("accounts/1749", rename),
        ("vat-codes/33", end_rate),
        ("drafts/1", rewrite),
    ],
)
def test_what_was_read_is_changed_once(books: str, path: str, change: Change) -> None:
    """The ETag of one state lets one change through, however many hold it."""
    client = client_with(
        "ledger:read", "ledger:post", "periods:close", "chart:write", "registers:write"
    )
    made = client.post("/api/v1/drafts", json=DRAFT, headers={"Idempotency-Key": "d"})
    assert made.status_code == 201, made.data
    if change is reopen:
        first = client.get(f"/api/v1/{path}").headers["ETag"]
        assert lock(client, 0, {"If-Match": first, "Idempotency-Key": "l"}).status_code == 201
    etag = client.get(f"/api/v1/{path}").headers["ETag"]
    together = Barrier(MANY)

    def ask(place: int) -> int:
        one = client.application.test_client()
        one.environ_base.update(client.environ_base)
        together.wait(30)
        told = change(one, place, {"If-Match": etag, "Idempotency-Key": f"k-{place}"})
        return int(told.status_code)

    with ThreadPoolExecutor(MANY) as pool:
        answers = sorted(pool.map(ask, range(MANY)))
    assert answers[0] in {200, 201}
    assert answers[1:] == [412] * (MANY - 1)
