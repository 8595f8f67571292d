"""The ledger's commands: what they print, and when they fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner, Result

from ledger import service
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.refusals import UnknownBook

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


def run(*arguments: str) -> Result:
    return CliRunner().invoke(ledger_cli, list(arguments), catch_exceptions=False)


def test_init_may_run_twice(db: str) -> None:
    """Seeding and opening says what was new."""
    assert "12 new periods" in run("init", "--year", "2026").output
    assert "0 new periods" in run("init", "--year", "2026").output


def test_balance_and_statement(books: str, drafts: Drafts) -> None:
    """Balances are strings, debit positive, one row per account and currency."""
    with transaction() as session:
        draft = drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 40_00))
        service.post_batch(session, draft)
    told = json.loads(run("balance", "--json").output)
    assert told["accounts"][0] == {
        "account": "1500", "name": "Customers - consumer", "currency": "NOK", "balance": "85.00",
    }  # fmt: skip
    before = json.loads(run("balance", "--as-of", "2026-03-31", "--json").output)
    assert before["accounts"][0]["balance"] == "125.00"
    assert "sum to NOK 0.00" in run("balance").output
    lines = json.loads(run("statement", "1500", "--json").output)["lines"]
    assert [(x["voucher"], x["amount"], x["balance"]) for x in lines] == [
        ("SAL/2026/1", "125.00", "125.00"), ("PAY/2026/1", "-40.00", "85.00"),
    ]  # fmt: skip
    assert "PAY/2026/1" in run("statement", "1500", "--from", "2026-04-01").output


def test_verify_and_gaps_fail_where_something_is_wrong(
    pg: PrivateServer, books: str, drafts: Drafts
) -> None:
    """Sound books give 0, anything else gives 1 and its name."""
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", drafts.invoice("i-1")))
    assert run("verify").exit_code == 0
    assert json.loads(run("verify", "--json").stdout) == {"faults": [], "unsealed_batches": 1}
    assert run("gaps").exit_code == 0
    with psycopg.connect(pg.url("postgres", books).replace("+psycopg", "", 1)) as connection:
        connection.execute("UPDATE voucher_counter SET last_no = 2")
    assert run("gaps").exit_code == 1
    assert json.loads(run("gaps", "--json").output) == {"gaps": ["SAL/2026/2"]}
    found = run("verify")
    assert found.exit_code == 1
    assert "voucher gap: SAL/2026/2" in found.output


def test_a_book_that_does_not_exist_is_no_empty_report(books: str) -> None:
    """A mistyped book is refused and the known ones are named."""
    with pytest.raises(UnknownBook, match="Known: NO01"):
        run("balance", "--book", "NO99")
