"""Reading over REST: what was asked is echoed as resolved, lists go on by links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from ledger import service
from ledger.db import transaction
from ledger.journal import AllocationDraft
from ledger.service.signing import open_signer
from tests.ledger.conftest import APRIL, Drafts, post, seal_all
from tests.ledger.test_api import client as _client
from tests.ledger.test_api import code_of

client = _client


@pytest.fixture(name="posted")
def _posted(books: str, drafts: Drafts) -> dict[tuple[int, int], int]:
    """An invoice, two payments, and the use of one of them; gives the items."""
    use = AllocationDraft((1, 2), (0, 1), 40_00, APRIL, "kid")
    batch = drafts.batch(
        "b-1", drafts.invoice("i-1"), drafts.payment("p-1", 40_00), drafts.payment("p-2", 10_00),
        allocations=(use,),
    )  # fmt: skip
    with transaction() as session:
        return dict(service.post_batch(session, batch).open_item_ids)


def get(client: FlaskClient, path: str) -> Any:
    """Get a resource, which must be there."""
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.data
    return answer.json


def test_books_and_their_charts(client: FlaskClient) -> None:
    """Whose books there are, and which accounts may be posted to."""
    assert get(client, "books")["books"] == [
        {"book": "NO01", "legal_entity": "Nordlys Mobil AS", "currency": "NOK"}
    ]
    chart = get(client, "accounts")["accounts"]
    assert (chart[0]["account"], chart[0]["class"], chart[0]["party_required"]) == (
        "1500", "A", True,
    )  # fmt: skip


def test_balances_of_a_day(client: FlaskClient, posted: Any) -> None:
    """Debit positive, as strings, with the day that was asked for."""
    told = get(client, "balances?effective_as_of=2026-03-31")
    assert (told["book"], told["effective_as_of"]) == ("NO01", "2026-03-31")
    assert {x["account"]: x["balance"] for x in told["accounts"]} == {
        "1500": "125.00", "1530": "-100.00", "2700": "-25.00",
    }  # fmt: skip
    assert get(client, "balances")["effective_as_of"] is None


def test_statements_of_the_book_tie(client: FlaskClient, posted: Any) -> None:
    """Both say that they tie to the trial balance; half a comparative period is refused."""
    sheet = get(client, "balance-sheet?compared_as_of=2026-03-31")
    assert sheet["ties_to_trial_balance"] is True
    assert [x["title"] for x in sheet["sections"]] == ["Assets", "Liabilities", "Equity"]
    assert (sheet["sections"][0]["amount"], sheet["result"]) == ("25.00", "0.00")
    period = "income-statement?first_day=2026-01-01&effective_as_of=2026-12-31"
    assert get(client, period)["result"] == "0.00"
    beside = "compared_first_day=2025-01-01&compared_as_of=2025-12-31"
    days = ("first_day", "effective_as_of", "compared_first_day", "compared_as_of")
    told = [[get(client, asked)[day] for day in days] for asked in (period, f"{period}&{beside}")]
    assert told == [
        ["2026-01-01", "2026-12-31", None, None],
        ["2026-01-01", "2026-12-31", "2025-01-01", "2025-12-31"],
    ]
    assert sheet["compared_as_of"] == "2026-03-31"
    assert get(client, "balance-sheet")["compared_as_of"] is None
    half = client.get(f"/api/v1/{period}&compared_as_of=2025-12-31")
    assert code_of(half) == (422, "invalid")


def test_a_statement_goes_on_by_its_link(client: FlaskClient, posted: Any) -> None:
    """The link holds every argument; pages join and end with null."""
    first = get(client, "accounts/1500/statement?limit=2&first_day=2026-01-01")
    assert [x["balance"] for x in first["lines"]] == ["125.00", "85.00"]
    assert (first["opening"], first["closing"]) == ({}, {"NOK": "85.00"})
    rest = get(client, first["next"].removeprefix("/api/v1/"))
    assert [x["balance"] for x in rest["lines"]] == ["75.00"]
    assert (rest["opening"], rest["next"]) == ({"NOK": "85.00"}, None)
    other = first["next"].replace("1500", "1940")
    assert code_of(client.get(other)) == (422, "cursor-invalid")


@pytest.mark.parametrize("newest", ["false", "true"])
@pytest.mark.parametrize("path", ["accounts/1500/statement", "parties/1/statement"])
def test_the_pages_behind_a_sealed_one_are_frozen(
    client: FlaskClient, drafts: Drafts, posted: Any, tmp_path: Path, path: str, newest: str
) -> None:
    """What is dated back between two pages is on none of them, and no page is refused for it."""
    key = open_signer(tmp_path / "seal-key")
    seal_all(key)
    whole = get(client, f"{path}?newest={newest}")
    pages = [get(client, f"{path}?newest={newest}&limit=1")]
    for number in range(2):
        post(drafts.batch(f"late-{number}", drafts.invoice(f"late-{number}", 10_00)))
        pages.append(get(client, pages[-1]["next"].removeprefix("/api/v1/")))
        seal_all(key)
    assert pages[-1]["next"] is None
    assert {page["known_as_of"] for page in pages} == {whole["known_as_of"]}
    in_order = pages if newest == "false" else pages[::-1]
    assert [line for page in in_order for line in page["lines"]] == whole["lines"]
    assert len(get(client, path)["lines"]) == len(whole["lines"]) + 2


@pytest.mark.parametrize("path", ["accounts/1500/statement", "parties/1/statement"])
def test_a_statement_that_ends_before_it_begins_is_refused(
    client: FlaskClient, posted: Any, path: str
) -> None:
    """It would open with what was posted after its last day; one day is a span."""
    asked = "effective_as_of=2026-03-31&first_day=2026-04"
    refused = client.get(f"/api/v1/{path}?{asked}-01")
    assert code_of(refused) == (422, "invalid")
    assert "from 2026-04-01 to 2026-03-31 ends before it begins" in refused.json["detail"]
    assert client.get(f"/api/v1/{path}?{asked.replace('04', '03')}-31").status_code == 200


def test_a_party_has_a_statement_over_all_its_accounts(client: FlaskClient, posted: Any) -> None:
    """From the control accounts, in order, with the account of each line."""
    told = get(client, "parties/1/statement")
    assert [(x["account"], x["amount"]) for x in told["lines"]] == [
        ("1500", "125.00"), ("1500", "-40.00"), ("1500", "-10.00"),
    ]  # fmt: skip
    assert told["closing"] == {"NOK": "75.00"}
    assert get(client, "parties/2/statement")["lines"] == []


def test_the_journal_is_filtered_and_goes_on(client: FlaskClient, posted: Any) -> None:
    """By text, amount and the rest; the link leads to what is left."""
    first = get(client, "entries?limit=1&text=innbet")
    assert [x["voucher"]["number"] for x in first["entries"]] == [2]
    rest = get(client, first["next"].removeprefix("/api/v1/"))
    assert [(x["voucher"]["series"], x["debit"]) for x in rest["entries"]] == [
        ("PAY", {"NOK": "40.00"})
    ]
    assert rest["next"] is None
    found = get(client, "entries?least=125.00&most=125.00&account=1500")["entries"]
    assert [x["voucher"]["series"] for x in found] == ["SAL"]


def test_an_entry_not_yet_effective_is_not_found(client: FlaskClient, posted: Any) -> None:
    """The clocks hold for a single entry too, and the refusal names them."""
    assert get(client, "entries/PAY/2026/1?effective_as_of=2026-04-20")["effective_as_of"]
    early = client.get("/api/v1/entries/PAY/2026/1?effective_as_of=2026-04-19")
    assert code_of(early) == (404, "unknown-entry")


def test_items_and_their_use(client: FlaskClient, posted: dict[tuple[int, int], int]) -> None:
    """What is left of each on a day, and which allocation took the rest."""
    before = get(client, "open-items?effective_as_of=2026-04-19&account=1500")["items"]
    assert [x["outstanding"] for x in before] == ["125.00"]
    after = get(client, "open-items?state=all&party_id=1")["items"]
    assert [x["outstanding"] for x in after] == ["85.00", "0.00", "-10.00"]
    used = get(client, f"open-items/{posted[0, 1]}/allocations")["allocations"]
    assert [(x["amount"], x["rule"]) for x in used] == [("40.00", "kid")]
    early = f"open-items/{posted[0, 1]}/allocations?effective_as_of=2026-04-19"
    assert get(client, early)["allocations"] == []
    assert code_of(client.get("/api/v1/open-items/7/allocations")) == (404, "unknown-open-item")
    assert code_of(client.get("/api/v1/open-items?account=0000")) == (422, "unknown-account")


def test_a_query_that_is_no_text_is_refused(client: FlaskClient) -> None:
    """A mark in its place would find nothing, and an empty list would be taken for an answer."""
    for path in ("entries?text=caf%E9", "entries?reference=%ff", "open-items?kid=%C3"):
        refused = client.get(f"/api/v1/{path}")
        assert code_of(refused) == (400, "not-utf8"), path
    assert client.get("/api/v1/entries?text=caf%C3%A9").status_code == 200
