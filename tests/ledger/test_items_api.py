"""Undoing and allocating over REST: reversals, open items by state and day, allocations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from ledger import service
from ledger.db import transaction
from ledger.service.signing import open_signer
from tests.ledger.conftest import MARCH, Drafts, seal_all
from tests.ledger.test_api import client as _client
from tests.ledger.test_api import code_of
from tests.ledger.test_api import post as post_entry

client = _client
BEGUN = {"effective_date": "2026-04-20"}


@pytest.fixture(name="items")
def _items(books: str, drafts: Drafts) -> dict[tuple[int, int], int]:
    """Two invoices and a payment of party 1, an invoice of party 2; nothing is allocated."""
    batch = drafts.batch(
        "b-1", drafts.invoice("i-1"), drafts.invoice("i-2", 200_00), drafts.payment("p-1", 40_00),
        drafts.invoice("i-3", party=2),
    )  # fmt: skip
    with transaction() as session:
        return dict(service.post_batch(session, batch).open_item_ids)


def get(client: FlaskClient, path: str) -> Any:
    """Get a resource, which must be there."""
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.data
    return answer.json


def send(client: FlaskClient, path: str, body: dict[str, Any], key: str = "k") -> Any:
    """Post a body under a key."""
    return client.post(f"/api/v1/{path}", json=body, headers={"Idempotency-Key": key})


def use(items: dict[tuple[int, int], int], amount: str = "40.00") -> dict[str, Any]:
    """The payment, used for the first invoice."""
    one = {"credit_item_id": items[2, 2], "debit_item_id": items[0, 1], "amount": amount, **BEGUN}
    return {"allocations": [one]}


def test_an_entry_is_reversed_once(client: FlaskClient) -> None:
    """The mirror has a voucher of its own; a second attempt is told which, with its address."""
    entry = post_entry(client).json["entry_id"]
    assert get(client, f"entries/{entry}/reversals")["reversals"] == []
    made = send(client, f"entries/{entry}/reversals", {"reason": "typed twice"})
    assert made.status_code == 201, made.data
    assert made.headers["Location"] == "/api/v1/entries/JNL/2026/2"
    again = send(client, f"entries/{entry}/reversals", {"reason": "typed twice"})
    assert (again.json, again.headers["Idempotency-Hit"]) == (made.json, "true")
    other = send(client, f"entries/{entry}/reversals", {"reason": "once more"}, "k-2")
    assert code_of(other) == (409, "already-reversed")
    assert other.json["reversal"] == "/api/v1/entries/JNL/2026/2"
    (told,) = get(client, f"entries/{entry}/reversals")["reversals"]
    assert (told["entry_id"], told["effective_date"]) == (made.json["entry_id"], "2026-03-31")
    assert "typed twice" in told["text"]
    read = get(client, f"entries/{entry}")
    assert read["reversed_by"] == {"series": "JNL", "year": 2026, "number": 2}
    final = send(client, f"entries/{made.json['entry_id']}/reversals", {"reason": "x"}, "k-3")
    assert code_of(final) == (409, "reversal-is-final")


def test_a_reversal_in_another_book_leads_to_that_book(client: FlaskClient) -> None:
    """Both books have a voucher of the number; without its book the address is of another entry."""
    with transaction() as session:
        service.seed_book(session, "NO02", "Other AS")
        service.open_periods(session, "NO02", 2026)
    for number in range(2):
        assert post_entry(client, f"own-{number}").status_code == 201
    entry = post_entry(client, "other", book="NO02").json["entry_id"]
    said = {"reason": "typed twice", "book": "NO02"}
    made = send(client, f"entries/{entry}/reversals", said)
    refused = send(client, f"entries/{entry}/reversals", {**said, "reason": "again"}, "k-2")
    assert code_of(refused) == (409, "already-reversed")
    assert made.headers["Location"] == refused.json["reversal"]
    found: Any = client.get(made.headers["Location"]).json
    assert (found["book"], found["entry_id"]) == ("NO02", made.json["entry_id"])


def test_a_reversal_goes_to_the_first_open_day(client: FlaskClient) -> None:
    """Where the entry's own month is closed, unless another day is asked for."""
    first, second = (post_entry(client, key).json["entry_id"] for key in ("a", "b"))
    with transaction() as session:
        service.lock_period(session, "NO01", "2026-03", module="GL", level="soft", actor="tester",
                            reason="closed")  # fmt: skip
    made = send(client, f"entries/{first}/reversals", {"reason": "late"})
    assert get(client, f"entries/{made.json['entry_id']}")["effective_date"] == "2026-04-01"
    asked = {"reason": "late", "effective_date": "2026-03-31"}
    closed = send(client, f"entries/{second}/reversals", asked, "k-2")
    assert code_of(closed) == (409, "period-closed")
    asked = {"reason": "late", "effective_date": "2026-05-02"}
    later = send(client, f"entries/{second}/reversals", asked, "k-3")
    assert get(client, f"entries/{later.json['entry_id']}")["effective_date"] == "2026-05-02"


def test_an_entry_of_another_book_is_not_there(client: FlaskClient) -> None:
    """Ids are looked for in the book that is named."""
    entry = post_entry(client).json["entry_id"]
    with transaction() as session:
        service.seed_book(session, "NO02")
    assert code_of(client.get(f"/api/v1/entries/{entry}?book=NO02")) == (404, "unknown-entry")
    elsewhere = send(client, f"entries/{entry}/reversals", {"book": "NO02", "reason": "x"})
    assert code_of(elsewhere) == (404, "unknown-entry")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["i-1", "i-2", "p-1", "i-3"]),
        ("party_id=2", ["i-3"]),
        ("kid=00000001", ["i-1", "i-2"]),
        ("kind=payment", ["p-1"]),
        ("document_ref=i-2", ["i-2"]),
        ("account=1500&currency=NOK&due_to=2026-04-14", ["i-1", "i-2", "i-3"]),
        ("due_from=2026-04-15", ["p-1"]),
        ("currency=EUR", []),
        ("state=settled", []),
        ("effective_as_of=2026-03-31", ["i-1", "i-2", "i-3"]),
    ],
)
def test_items_are_found_by_what_they_are(
    client: FlaskClient, items: Any, query: str, found: list[str]
) -> None:
    """Each filter takes away what it names."""
    listed = get(client, f"open-items?{query}")["items"]
    assert [item["document_ref"] for item in listed] == found


def test_items_stand_as_they_did_on_the_day(client: FlaskClient, items: Any) -> None:
    """An item is settled from the day of the allocation that took the last of it."""
    assert send(client, "allocations", use(items)).status_code == 201
    settled = get(client, "open-items?state=settled")["items"]
    assert [(item["document_ref"], item["outstanding"]) for item in settled] == [("p-1", "0.00")]
    assert get(client, "open-items?state=settled&effective_as_of=2026-04-19")["items"] == []
    left = get(client, "open-items?state=all&party_id=1")["items"]
    assert [item["outstanding"] for item in left] == ["85.00", "200.00", "0.00"]


def test_pages_of_items_are_frozen_where_all_is_sealed(
    client: FlaskClient, items: Any, drafts: Drafts, tmp_path: Path
) -> None:
    """What is allocated between two pages does not show on the second."""
    seal_all(open_signer(tmp_path / "key"))
    first = get(client, "open-items?limit=1")
    assert first["sealed"] is True
    assert f"known_as_of={first['known_as_of']}" in first["next"]
    send(client, "allocations", use(items))
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-2", drafts.invoice("i-4")))
    listed, link = [], first["next"]
    while link:
        page = get(client, link.removeprefix("/api/v1/"))
        assert page["known_as_of"] == first["known_as_of"]
        listed += [(item["document_ref"], item["outstanding"]) for item in page["items"]]
        link = page["next"]
    assert listed == [("i-2", "200.00"), ("p-1", "-40.00"), ("i-3", "125.00")]
    other = client.get(first["next"].replace("limit=1", "limit=1&party_id=2"))
    assert code_of(other) == (422, "cursor-invalid")


def test_an_allocation_is_made_and_undone_once(client: FlaskClient, items: Any) -> None:
    """Both facts stand; the item is outstanding again from the day of the undoing."""
    made = send(client, "allocations", use(items))
    (one,) = made.json["allocations"]
    assert (one["amount"], one["rule"], one["created_by"]) == ("40.00", "manual", "client:trial")
    assert send(client, "allocations", use(items)).headers["Idempotency-Hit"] == "true"
    read = get(client, f"allocations/{one['allocation_id']}")
    assert (read["credit_item_id"], read["reverses_allocation_id"]) == (items[2, 2], None)
    asked = {"reason": "wrong invoice", "effective_date": "2026-04-25"}
    undone = send(client, f"allocations/{one['allocation_id']}/undo", asked, "k-2")
    assert undone.status_code == 201, undone.data
    (gone,) = undone.json["allocations"]
    assert (gone["amount"], gone["reverses_allocation_id"]) == ("-40.00", one["allocation_id"])
    again = send(client, f"allocations/{one['allocation_id']}/undo", asked, "k-3")
    assert code_of(again) == (409, "allocation-undone")
    listed = get(client, f"allocations?open_item_id={items[0, 1]}")["allocations"]
    assert [x["amount"] for x in listed] == ["40.00", "-40.00"]
    early = get(client, "allocations?effective_as_of=2026-04-24&party_id=1")["allocations"]
    assert [x["amount"] for x in early] == ["40.00"]
    assert get(client, "allocations?first_day=2026-04-26")["allocations"] == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"amount": "40.01"}, (409, "over-allocated")),
        ({"amount": "-1.00"}, (422, "malformed-entry")),
        ({"credit_item_id": 7}, (404, "unknown-open-item")),
        ({"effective_date": "2031-01-01"}, (409, "unknown-period")),
    ],
)
def test_allocations_that_cannot_be(
    client: FlaskClient, items: Any, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    """All or none are made, and the reason has its own name."""
    body = use(items)
    body["allocations"].append({**body["allocations"][0], **change})
    assert code_of(send(client, "allocations", body)) == expected
    assert get(client, "allocations")["allocations"] == []
    assert code_of(client.get("/api/v1/allocations/7")) == (404, "unknown-allocation")
    undo = send(client, "allocations/7/undo", {"reason": "x", **BEGUN}, "k-9")
    assert code_of(undo) == (404, "unknown-allocation")


def test_registers_say_what_a_posting_may_name(client: FlaskClient, items: Any) -> None:
    """One book, the currencies, VAT codes of a day, and how far each series has come."""
    assert get(client, "books/NO01")["currency"] == "NOK"
    assert code_of(client.get("/api/v1/books/NO99")) == (404, "unknown-book")
    known = {
        one["currency"]: one["minor_digits"] for one in get(client, "currencies")["currencies"]
    }
    assert known["NOK"] == known["XDR"] == 2
    rates = {
        one["code"]: one["rate_bp"] for one in get(client, "vat-codes?on=2026-03-31")["vat_codes"]
    }
    assert rates["3"] == 2500
    assert get(client, "vat-codes?on=1999-12-31")["vat_codes"] == []
    series = {one["series"]: one for one in get(client, "voucher-series")["voucher_series"]}
    assert series["SAL"]["years"] == [{"year": MARCH.year, "last_number": 3}]
    assert (series["SAL"]["module"], series["CRN"]["years"]) == ("BILLING", [])
