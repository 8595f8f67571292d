"""An account gets another official grouping: over REST, at the command line, with its history."""

from __future__ import annotations

from click.testing import CliRunner
from flask.testing import FlaskClient

from ledger.cli.structure import account_cli
from tests.ledger.test_api import code_of
from tests.ledger.test_drafts_api import client_with

ACCOUNT = "/api/v1/accounts/1749"


def keeper() -> FlaskClient:
    """A client that keeps the chart."""
    return client_with("chart:write", "ledger:read")


def test_an_account_is_grouped_anew_and_its_states_are_read(books: str) -> None:
    """The name stays; the grouping that it had is the state before."""
    client = keeper()
    read = client.get(ACCOUNT)
    change = {"grouping_category": "annet", "grouping_code": "1579", "reason": "new standard"}
    done = client.patch(ACCOUNT, json=change, headers={"If-Match": read.headers["ETag"]})
    assert done.status_code == 200, done.data
    was, now = read.get_json(), done.get_json()
    assert (now["grouping_category"], now["grouping_code"]) == ("annet", "1579")
    assert (now["name"], now["version_no"]) == (was["name"], was["version_no"] + 1)
    states = client.get(f"{ACCOUNT}/versions").get_json()["versions"]
    assert [one["content"]["grouping_code"] for one in states] == [was["grouping_code"], "1579"]
    assert code_of(client.get("/api/v1/accounts/0000/versions")) == (422, "unknown-account")


def test_half_a_grouping_is_refused(books: str) -> None:
    """A code means nothing without its category."""
    client = keeper()
    etag = client.get(ACCOUNT).headers["ETag"]
    half = {"grouping_code": "1579", "reason": "x"}
    refused = client.patch(ACCOUNT, json=half, headers={"If-Match": etag})
    assert code_of(refused) == (422, "schema-mismatch")
    assert client.get(ACCOUNT).headers["ETag"] == etag


def test_the_command_groups_too(books: str) -> None:
    """And the history prints both groupings."""
    words = ["group", "1749", "annet", "1579", "--reason", "new standard"]
    ran = CliRunner().invoke(account_cli, words, catch_exceptions=False)
    assert ran.output == "Account 1749 is grouped as annet 1579.\n"
    told = CliRunner().invoke(account_cli, ["history", "1749"], catch_exceptions=False).output
    assert [line.split()[0] for line in told.splitlines()] == ["1", "2"]
    assert '"grouping_code": "1579"' in told.splitlines()[1]
