"""Conditions on a post: held against the books where it is posted, so that two cannot both pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from ledger import service
from ledger.cli.posting import post_command
from ledger.conditions import (
    Condition,
    ConditionMalformed,
    ConditionsNotMet,
    ItemOutstanding,
    LastVoucher,
    PartyBalance,
)
from ledger.db import transaction
from ledger.errors import Problem
from ledger.intake.conditions import read_conditions
from ledger.journal import AllocationDraft, BatchDraft
from ledger.refusals import UnknownAccount, UnknownOpenItem, UnknownSeries
from ledger.service import access
from ledger.service.few import Few
from tests.ledger.conftest import APRIL, BOOK, Drafts
from tests.ledger.conftest import post as send
from tests.ledger.test_api import code_of, make_app, post

drafts = Drafts()


def owes(at_most: int | None = None, at_least: int | None = None) -> PartyBalance:
    """A condition on what customer 1 owes on 1500."""
    return PartyBalance(1, "1500", "NOK", at_most, at_least)


def invoice(ref: str, *conditions: Condition, gross: int = 125_00) -> BatchDraft:
    """An invoice of customer 1 with conditions."""
    return drafts.batch(ref, drafts.invoice(ref, gross), conditions=conditions)


def invoiced(ref: str) -> int:
    """Post an invoice and give its open item."""
    return next(iter(send(invoice(ref)).open_item_ids.values()))


@pytest.mark.parametrize(
    ("condition", "actual"),
    [
        (owes(at_most=124_99), "125.00"),
        (owes(at_least=125_01), "125.00"),
        (PartyBalance(2, "1500", "NOK", at_least_minor=1), "0.00"),
        (PartyBalance(1, "1500", "EUR", at_least_minor=1), "0.00"),
        (PartyBalance(1, "2991", "NOK", at_least_minor=1), "0.00"),
        (LastVoucher("SAL", 2026, 0), 1),
        (LastVoucher("SAL", 2027, 1), 0),
    ],
)
def test_what_is_not_met_is_refused_with_what_is(
    books: str, condition: Condition, actual: object
) -> None:
    """Nothing is posted, and the refusal has the actual value."""
    send(invoice("first"))
    with pytest.raises(ConditionsNotMet) as caught:
        send(invoice("second", owes(at_most=200_00), condition))
    (told,) = caught.value.facts["conditions"]  # type: ignore[misc, attr-defined]
    assert told["actual"] == actual
    met = [owes(125_00, 125_00), LastVoucher("SAL", 2026, 1)]
    assert str(send(invoice("second", *met)).vouchers[0]) == "SAL/2026/2"


def test_an_item_must_have_so_much_outstanding(books: str) -> None:
    """A claim is positive, a credit negative, and what is used counts."""
    claim = invoiced("i")
    paid = drafts.batch("p", drafts.payment("p", 25_00), allocations=(
        AllocationDraft((0, 2), claim, 25_00, APRIL, "manual"),))  # fmt: skip
    credit = next(iter(send(paid).open_item_ids.values()))
    with pytest.raises(ConditionsNotMet, match=f"item {claim} has 100.00 outstanding, not 125.00"):
        send(invoice("n", ItemOutstanding(claim, 125_00)))
    send(invoice("n", ItemOutstanding(claim, 100_00), ItemOutstanding(credit, 0)))


@pytest.mark.parametrize(
    ("condition", "refusal"),
    [
        (PartyBalance(1, "9999", "NOK", 0), UnknownAccount),
        (ItemOutstanding(1, 0), UnknownOpenItem),
        (LastVoucher("ZZZ", 2026, 0), UnknownSeries),
        (owes(), ConditionMalformed),
        (owes(at_most=1.5), ConditionMalformed),  # type: ignore[arg-type]
    ],
)
def test_a_mistyped_condition_is_never_met(
    books: str, condition: Condition, refusal: type[Problem]
) -> None:
    """An account that does not exist has no balance of zero."""
    with pytest.raises(refusal):
        send(invoice("i", condition))


def test_what_was_posted_is_found_whatever_is_now(books: str) -> None:
    """A retry is not held to its conditions again: its own entry has changed what they speak of."""
    draft = invoice("i", owes(at_most=0), LastVoucher("SAL", 2026, 0))
    first = send(draft)
    assert send(draft) == replace(first, replayed=True)


def race(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Let two posters overlap; give what each got or what was raised at it."""
    outcomes: Queue[tuple[int, Any]] = Queue()

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            outcomes.put((place, work()))
        except Problem as refusal:
            outcomes.put((place, refusal))

    threads = [Thread(target=run, args=pair) for pair in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = dict(outcomes.get(timeout=1) for _ in threads)
    return found[0], found[1]


def test_of_two_racing_posters_one_passes(books: str) -> None:
    """Each would pass alone: a limit of 100, twice 60. Ten times, as they overlap by chance."""
    limit = 0
    for turn in range(10):
        ours, theirs = (
            invoice(f"{turn}-{who}", owes(at_most=limit + 40_00), gross=60_00) for who in "ab"
        )
        outcomes = race(lambda one=ours: send(one), lambda one=theirs: send(one))  # type: ignore[misc]
        refused = [o for o in outcomes if isinstance(o, ConditionsNotMet)]
        assert len(refused) == 1, outcomes
        limit += 60_00


def test_the_second_waits_for_the_first(books: str) -> None:
    """While the first has not committed, the second does not look; then it sees what was posted."""
    outcomes: list[Any] = []

    def second() -> None:
        try:
            send(invoice("b", owes(at_most=0)))
        except ConditionsNotMet as refusal:
            outcomes.append(refusal.facts["conditions"])

    with transaction() as session:
        service.post_batch(session, invoice("a", owes(at_most=0)))
        waiting = Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join(30)
    assert outcomes == [[{"kind": "party-balance", "party_id": 1, "account": "1500",
                          "currency": "NOK", "actual": "125.00"}]]  # fmt: skip


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BatchDraft]]:
    """Batches that somebody without conditions posts between our first look and our entries."""
    waiting: list[BatchDraft] = []
    call = Few.call

    def called(batch: Few, *more: Any) -> tuple[int, bool]:
        while waiting:
            send(waiting.pop())
        return call(batch, *more)

    monkeypatch.setattr(Few, "call", called)
    yield waiting
    assert not waiting


@pytest.mark.parametrize(
    ("believed", "now"),
    [
        (lambda _: LastVoucher("SAL", 2026, 1), lambda _: LastVoucher("SAL", 2026, 2)),
        (lambda _: owes(at_most=125_00), lambda _: owes(126_00, 126_00)),
        (lambda item: ItemOutstanding(item, 125_00), lambda item: ItemOutstanding(item, 124_00)),
    ],
)
def test_who_states_no_conditions_is_seen_too(
    books: str,
    meanwhile: list[BatchDraft],
    believed: Callable[[int], Condition],
    now: Callable[[int], Condition],
) -> None:
    """Number, balance and item are held to again where the entries stand."""
    claim = invoiced("first")
    allocation = AllocationDraft((0, 2), claim, 1_00, APRIL, "manual")
    entries = (drafts.payment("p", 1_00), drafts.invoice("i", 2_00))
    meanwhile.append(drafts.batch("rival", *entries, allocations=(allocation,)))
    with pytest.raises(ConditionsNotMet):
        send(invoice("second", believed(claim)))
    send(invoice("second", now(claim)))


@pytest.fixture
def client(books: str) -> FlaskClient:
    """A client that may post and allocate, over a seeded book."""
    with transaction() as session:
        token = access.add_client(
            session, "trial", ["ledger:post", "receivables:write"], actor="test",
            now=datetime.now(UTC),
        )  # fmt: skip
    made = make_app().test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def last(number: int) -> list[dict[str, Any]]:
    """The next number of the journal is to be the sender's."""
    return [{"kind": "last-voucher", "series": "JNL", "year": 2026, "equals": number}]


def test_a_single_entry_over_rest_is_held_to_conditions(client: FlaskClient) -> None:
    """412 with the actual value, final under its key; met under another."""
    assert post(client, "k-1", conditions=last(0)).status_code == 201
    refused = post(client, "k-2", conditions=last(0))
    assert code_of(refused) == (412, "conditions-not-met")
    assert json.loads(refused.data)["conditions"] == [
        {"kind": "last-voucher", "series": "JNL", "year": 2026, "actual": 1}
    ]
    assert code_of(post(client, "k-2", conditions=last(0))) == (412, "conditions-not-met")
    assert post(client, "k-3", conditions=last(1)).json["voucher"]["number"] == 2
    assert post(client, "k-1", conditions=last(0)).headers["Idempotency-Hit"] == "true"
    odd = post(client, "k-4", conditions=[{"kind": "weather", "equals": "fine"}])
    assert code_of(odd) == (422, "condition-malformed")


def outstanding(item: int, amount: str) -> list[dict[str, Any]]:
    """So much is left of an item, as requests say it."""
    return [{"kind": "item-outstanding", "open_item_id": item, "equals": amount}]


def allocate(
    client: FlaskClient, key: str, credit: int, claim: int, amount: str, **more: Any
) -> Any:
    """Use a credit for a claim over REST."""
    one = {"credit_item_id": credit, "debit_item_id": claim, "amount": amount}
    body = {"allocations": [{**one, "effective_date": APRIL.isoformat()}], **more}
    return client.post("/api/v1/allocations", json=body, headers={"Idempotency-Key": key})


def test_allocations_over_rest_are_held_to_conditions(client: FlaskClient) -> None:
    """412 with what is left, and nothing used; a retry is answered, and a race has one winner."""
    claim = invoiced("i")
    (credit,) = send(drafts.batch("p", drafts.payment("p", 100_00))).open_item_ids.values()
    refused = allocate(
        client, "k-1", credit, claim, "25.00", conditions=outstanding(claim, "99.00")
    )
    assert code_of(refused) == (412, "conditions-not-met")
    assert refused.json["conditions"] == [
        {"kind": "item-outstanding", "open_item_id": claim, "actual": "125.00"}
    ]
    with transaction() as session:
        assert service.allocations_of(session, claim) == []
    believed = {"conditions": outstanding(claim, "125.00")}
    made = allocate(client, "k-2", credit, claim, "25.00", **believed)
    again = allocate(client, "k-2", credit, claim, "25.00", **believed)
    assert (made.status_code, again.json) == (201, made.json)
    assert code_of(allocate(client, "k-3", credit, claim, "25.00", **believed)) == (
        412, "conditions-not-met",
    )  # fmt: skip
    odd = allocate(client, "k-4", credit, claim, "25.00", conditions=[{"kind": "weather"}])
    assert code_of(odd) == (422, "condition-malformed")
    # Both believe that 100 is left: together they would use what each wants to have seen first.
    left = (ItemOutstanding(claim, 100_00),)
    use = (AllocationDraft(credit, claim, 10_00, APRIL, "x"),)
    uses = [BatchDraft(BOOK, "test", ref, "test", (), use, conditions=left) for ref in "ab"]
    outcomes = race(lambda: send(uses[0]), lambda: send(uses[1]))
    assert sum(isinstance(outcome, ConditionsNotMet) for outcome in outcomes) == 1, outcomes


def entry(*conditions: dict[str, Any], text: str = "Loss") -> dict[str, Any]:
    """A small entry of a file or request."""
    lines = [{"account": "7830", "amount": "5.00"}, {"account": "1920", "amount": "-5.00"}]
    more = {"conditions": list(conditions)} if conditions else {}
    return {"effective_date": "2026-03-31", "text": text, "lines": lines, **more}


def batch(client: FlaskClient, key: str, query: str = "", **body: Any) -> Any:
    """Send a posting batch as JSON, or as NDJSON where the options are a query."""
    headers = {"Idempotency-Key": key}
    if not query:
        return client.post("/api/v1/posting-batches", json=body, headers=headers)
    lines = b"\n".join(json.dumps(one).encode() for one in body["entries"])
    headers["Content-Type"] = "application/x-ndjson"
    return client.post(f"/api/v1/posting-batches?{query}", data=lines, headers=headers)


def test_a_batch_and_its_entries_are_held_to_conditions(client: FlaskClient) -> None:
    """Those of the request speak of before it, those of an entry of just before the entry."""
    entries = [entry(*last(0)), entry(), entry(*last(2)), entry(*last(2))]
    dry = batch(client, "dry", entries=entries, mode="per-entry", dry_run=True)
    assert [r.get("problem", {}).get("code") for r in dry.json["results"]] == [
        None, None, None, "conditions-not-met",
    ]  # fmt: skip
    refused = batch(client, "k-1", entries=entries)
    assert code_of(refused) == (412, "conditions-not-met")
    assert "the last number of JNL/2026 is 3, not 2" in refused.json["detail"]
    each = batch(client, "k-2", entries=entries, mode="per-entry")
    assert (each.status_code, each.json["posted"], each.json["refused"]) == (201, 3, 1)
    whole = json.dumps(last(0))
    for query in ("", f"mode=per-entry&conditions={whole}", f"dry_run=true&conditions={whole}"):
        answer = batch(client, f"k-{query}", query, entries=[entry()], conditions=last(0))
        assert code_of(answer) == (412, "conditions-not-met"), query
    good = batch(client, "k-3", f"conditions={json.dumps(last(3))}", entries=[entry(), entry()])
    assert [r["voucher"]["number"] for r in good.json["results"]] == [4, 5]
    odd = batch(client, "k-4", "conditions=[{}]", entries=[entry()])
    assert code_of(odd) == (422, "posting-request-malformed")


def test_files_carry_conditions(books: str, tmp_path: Path) -> None:
    """`ledger post` names the record that is not met, in a dry run as well."""
    file = tmp_path / "rent.ndjson"
    entries = [entry(*last(0)), entry(*last(7), text="Rent")]
    file.write_bytes(b"\n".join(json.dumps(one).encode() for one in entries))
    for options in (["--dry-run", "--per-entry"], ["--per-entry"]):
        told = CliRunner().invoke(post_command, [str(file), "--json", *options])
        assert told.exit_code == 1
        assert "The last number of JNL/2026 is 1, not 7" in told.output
    whole = CliRunner().invoke(post_command, [str(file)])
    assert whole.exit_code == 1
    assert "record 2: " in whole.output
    assert "[conditions-not-met]" in whole.output
    with transaction() as session:
        assert [e.voucher.number for e in [service.find_voucher(session, BOOK, "JNL", 2026, 1)]]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("no list", "Expected `array`"),
        ([{"equals": 1}], "missing required field `kind`"),
        (
            [{"kind": "last-voucher", "series": "JNL", "year": 2026, "equals": "1"}],
            "Expected `int`",
        ),
        ([{"kind": "item-outstanding", "open_item_id": 1, "equals": "1.005"}], "conditions/0"),
        ([{"kind": "item-outstanding", "open_item_id": 2**70, "equals": "1.00"}], "conditions"),
        ([{"kind": "party-balance", "party_id": 1, "account": "1500"}], "needs at_most, at_least"),
        ([{"kind": "party-balance", "party_id": 1, "account": "1500", "most": "1"}], "most"),
        ([{"kind": "last-voucher", "series": "J", "year": 1, "equals": 1}] * 21, "at most 20"),
    ],
)
def test_a_malformed_condition_says_where(told: Any, said: str) -> None:
    """The sentence has the place and what was found."""
    with pytest.raises(ConditionMalformed, match=said):
        read_conditions(told, "NOK")
