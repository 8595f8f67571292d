"""At the command line: events are followed, receivers looked after, blocks and books listed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.errors import Problem
from ledger.refusals import NotYetKnown
from ledger.service import webhooks
from ledger.service.signing import signer
from tests.ledger.conftest import Drafts, post, seal_all

ADDRESS = "https://billing.example/events"


def run(*words: str) -> Result:
    """Run `hovedbok ledger`; a problem is raised as it is."""
    done = CliRunner().invoke(ledger_cli, list(words))
    if isinstance(done.exception, Problem):
        raise done.exception
    return done


@pytest.fixture
def sealed(books: str, drafts: Drafts) -> str:
    """Three batches under a seal."""
    for ref in ("a", "b", "c"):
        post(drafts.batch(ref, drafts.journal(ref, ("1920", 5), ("1940", -5))))
    seal_all(signer())
    return books


def test_events_are_followed_from_a_position(sealed: str) -> None:
    """A page ends where the next begins; a position that there is not is refused."""
    first = json.loads(run("events", "--limit", "2", "--json").output)
    assert [e["source_ref"] for e in first["events"]] == ["a", "b"]
    rest = json.loads(run("events", "--after", str(first["next_after"]), "--json").output)
    assert [(e["position"], e["source_ref"]) for e in rest["events"]] == [(3, "c")]
    assert "1 events. Go on with --after 3." in run("events", "--after", "2").output
    with pytest.raises(NotYetKnown):
        run("events", "--after", "4")


def test_receivers_of_anybody_are_looked_after(sealed: str) -> None:
    """Listed with where they stand, told again, and ended with the reason."""
    made = json.loads(run("webhook", "add", ADDRESS, "--json").output)
    assert made["secret"].startswith("whs_")
    with transaction() as session:
        other, _ = webhooks.register(session, "NO01", f"{ADDRESS}/2", actor="client:billing")
    assert run("webhook", "replay", str(other), "--after", "1").exit_code == 0
    assert run("webhook", "end", str(made["webhook_id"]), "--reason", "moved").exit_code == 0
    rows = json.loads(run("webhook", "list", "--json").output)["webhooks"]
    stand = [(x["webhook_id"], x["actor"], x["delivered_to"], bool(x["ended_at"])) for x in rows]
    assert stand == [
        (made["webhook_id"], "system:command-line", 3, True), (other, "client:billing", 1, False)
    ]  # fmt: skip
    told = run("webhook", "list").output
    assert "ended" in told
    assert "2 receivers." in told
    with pytest.raises(webhooks.UnknownWebhook):
        run("webhook", "replay", "99", "--after", "0")


def test_blocks_and_books_are_listed(sealed: str) -> None:
    """What the REST API lists, by the same names."""
    (block,) = json.loads(run("seals", "--json").output)["blocks"]
    assert (block["block_no"], block["first_position"], block["last_position"]) == (1, 1, 3)
    assert block["block_hash"] in run("seals").output
    assert "0 blocks." in run("seals", "--after", "1").output
    with transaction() as session:
        service.seed_book(session, "SE01", "Sydlys AB", "SEK")
    assert json.loads(run("books", "--json").output)["books"] == [
        {"book": "NO01", "legal_entity": "Nordlys Mobil AS", "currency": "NOK"},
        {"book": "SE01", "legal_entity": "Sydlys AB", "currency": "SEK"},
    ]
    assert "SE01" in run("books").output


def test_gaps_are_those_of_each_book(sealed: str) -> None:
    """Both books have the series; a number is named with its book."""
    with transaction() as session:
        service.seed_book(session, "SE01", "Sydlys AB", "SEK")
    told = json.loads(run("gaps", "--json").output)
    assert [(x["book"], x["gaps"], x["explained"]) for x in told["books"]] == [
        ("NO01", [], []), ("SE01", [], [])
    ]  # fmt: skip
    assert json.loads(run("gaps", "--book", "SE01", "--json").output)["books"][0]["book"] == "SE01"
