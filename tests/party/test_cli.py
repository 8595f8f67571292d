"""The commands of the party room."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from ledger.db import transaction
from party import service
from party.cli import party_cli
from tests.party.rows import OFFERINGS, day, order


@pytest.fixture(autouse=True)
def _customers(db: str) -> None:
    orders = [order(1, "add", day(1)), order(2, "cease", day(9))]
    with transaction() as session:
        service.apply_orders(session, orders, OFFERINGS)


def _run(*words: str) -> Result:
    return CliRunner().invoke(party_cli, words)


def test_search_lists_customers() -> None:
    """One line a customer; the count goes to standard error, so that lines can be piped."""
    told = _run("search", "kunde")
    assert told.exit_code == 0
    assert "10000001" in told.stdout
    found = json.loads(_run("search", "kunde", "--json").stdout)["customers"]
    assert [row["name"] for row in found] == ["Kunde 10000001"]
    assert json.loads(_run("search", "nobody", "--json").stdout) == {"customers": []}


def test_show_takes_customer_and_account_numbers() -> None:
    """Both lead to the same customer, with accounts and subscriptions."""
    told = _run("show", "10000001")
    assert told.exit_code == 0
    for part in ("Kunde 10000001", "account 30000001", "4791000001", "to 2026-01-09"):
        assert part in told.stdout
    shown = json.loads(_run("show", "30000001", "--json").stdout)
    assert shown["subscriptions"][0]["subscription_ref"] == "SUB1"


def test_show_says_when_nobody_has_the_number() -> None:
    """A problem, which the program's door prints as one sentence."""
    told = _run("show", "7")
    assert isinstance(told.exception, service.CustomerNotFound)
