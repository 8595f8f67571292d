"""Differences of exchange over REST and at the command line: tried, posted, and posted once."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.exchange import parse_rate
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line
from ledger.service import rates
from ledger.service.rates import Rate
from tests.ledger.conftest import MARCH
from tests.ledger.test_api import code_of
from tests.ledger.test_drafts_api import client_with

WHERE = "/api/v1/revaluations"


def entry(ref: str, amount: int, base: int, kind: str, day: date) -> EntryDraft:
    """A claim of EUR, or its payment where the amount is negative."""
    item = ItemDraft(kind, ref, None, day, day)
    return EntryDraft("JNL", day, day, "import", ref, ref, (
        Line("1510", amount, "EUR", party_id=7, item=item, base_minor=base),
        Line("1920", -amount, "EUR", base_minor=-base),
    ))  # fmt: skip


@pytest.fixture
def client(books: str) -> FlaskClient:
    """One who closes, in books with a claim of 100 EUR of which 40 were paid at another rate."""
    with transaction() as session:
        for day, rate in ((date(2026, 3, 1), "11.5"), (MARCH, "12")):
            rates.set_rate(session, "NOK", Rate("EUR", day, parse_rate(rate), "x"), actor="x")
        claim = entry("i", 100_00, 1150_00, "invoice", MARCH)
        made = service.post_batch(session, BatchDraft("NO01", "t", "1", "x", (claim,)))
        used = (AllocationDraft((0, 1), made.open_item_ids[0, 1], 40_00, MARCH, "hand"),)
        paid = entry("p", -40_00, -480_00, "payment", MARCH)
        service.post_batch(session, BatchDraft("NO01", "t", "2", "x", (paid,), used))
    return client_with("periods:close", "ledger:read")


def ask(client: FlaskClient, key: str, **said: Any) -> Any:
    """Revalue March."""
    body = {"effective_date": MARCH.isoformat(), **said}
    return client.post(WHERE, json=body, headers={"Idempotency-Key": key})


def told(answer: Any) -> list[list[str]]:
    """The differences of an answer, realised and unrealised."""
    return [[one["difference"] for one in answer[kind]] for kind in ("realised", "unrealised")]


def test_a_dry_run_tells_what_is_then_posted(client: FlaskClient) -> None:
    """Realised differences change what is left to value: the dry run counts them too."""
    tried = ask(client, "k-1", dry_run=True)
    assert tried.status_code == 200, tried.data
    # 40 EUR booked at 460 were paid with 480; the 60 left are worth 720 and booked at 690.
    assert told(tried.json) == [["20.00"], ["30.00", "-50.00"]]
    with transaction() as session:
        assert {a.account for a in service.trial_balance(session, "NO01")} == {"1510", "1920"}
    done = ask(client, "k-2")
    assert told(done.json) == told(tried.json)
    assert ask(client, "k-2").headers["Idempotency-Hit"] == "true"
    assert told(ask(client, "k-3").json) == [[], []]
    with transaction() as session:
        assert service.verify(session) == []


def test_a_dry_run_meets_what_the_books_refuse(client: FlaskClient) -> None:
    """A closed month is told before anybody relies on the figures."""
    with transaction() as session:
        service.lock_period(
            session, "NO01", "2026-03", module="GL", level="soft", actor="x", reason="x"
        )
    assert code_of(ask(client, "k-1", dry_run=True)) == (409, "period-closed")


def test_the_command_tells_it_as_json(client: FlaskClient) -> None:
    """So does the list of rates."""
    words = ["revalue", "--on", MARCH.isoformat(), "--json"]
    runner = CliRunner()
    tried = json.loads(runner.invoke(ledger_cli, [*words, "--dry-run"]).output)
    assert (tried["dry_run"], told(tried)) == (True, [["20.00"], ["30.00", "-50.00"]])
    assert told(json.loads(runner.invoke(ledger_cli, words).output)) == told(tried)
    assert told(json.loads(runner.invoke(ledger_cli, words).output)) == [[], []]
    listed = json.loads(runner.invoke(ledger_cli, ["rate", "list", "--json"]).output)["rates"]
    assert [(one["valid_on"], one["rate"]) for one in listed] == [
        ("2026-03-31", "12.0000"), ("2026-03-01", "11.5000")
    ]  # fmt: skip
