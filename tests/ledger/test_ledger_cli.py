"""The ledger's commands: what they print, and when they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import click
import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

import app
from ledger import service
from ledger.cli.deferred import Deferred
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.db.server import PrivateServer
from ledger.errors import Conflict
from ledger.refusals import UnknownBook, UnknownCurrency, UnknownPeriod
from ledger.service.chart import chart_of_accounts
from ledger.service.draft_reading import approval_policies
from ledger.service.statements import BookName, read_books

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


def run(*arguments: str) -> Result:
    return CliRunner().invoke(ledger_cli, list(arguments), catch_exceptions=False)


def test_init_may_run_twice(db: str) -> None:
    """Seeding and opening says what was new."""
    assert "12 new periods" in run("init", "--year", "2026").output
    assert "0 new periods" in run("init", "--year", "2026").output


def test_a_mistyped_book_is_no_new_one(books: str) -> None:
    """Where there are books another one is made by an explicit word, and says whose it is."""
    with pytest.raises(UnknownBook) as slip:
        run("init", "--year", "2026", "--book", "N001")
    assert str(slip.value) == (
        "There is no book N001. Known: NO01. To make it beside them: hovedbok ledger init --year "
        "2026 --book N001 --new --entity NAME."
    )
    for words, said in (
        ((), "--new needs --entity"), (("--entity", "Sydlys AS", "--book", "no 2"), "no code"),
    ):  # fmt: skip
        wrong = run("init", "--year", "2026", "--book", "NO02", "--new", *words)
        assert (wrong.exit_code, said in wrong.output) == (2, True), wrong.output
    with transaction() as session:
        assert [one.book for one in read_books(session)] == ["NO01"]
    made = ("init", "--year", "2026", "--book", "NO02", "--new", "--entity", "Sydlys AS")
    with pytest.raises(UnknownCurrency, match="currency that there is"):
        run(*made, "--currency", "QQQ")
    assert "12 new periods" in run(*made, "--currency", "SEK").output
    assert "0 new periods" in run(*made).output
    with transaction() as session:
        assert read_books(session)[1] == BookName("NO02", "Sydlys AS", "SEK")
    with pytest.raises(Conflict, match="is that of Sydlys AS, in SEK, and stays so"):
        run("init", "--year", "2027", "--book", "NO02", "--currency", "NOK")
    assert "12 new periods of 2027" in run("init", "--year", "2027", "--book", "NO02").output


def test_a_posting_into_a_year_that_nobody_opened_names_the_command(
    books: str, drafts: Drafts
) -> None:
    """The refusal says what opens the year; that done, the very posting goes through."""
    january = drafts.journal("j-1", ("1920", 5), ("1940", -5), day=date(2027, 1, 4))
    with transaction() as session, pytest.raises(UnknownPeriod) as refused:
        service.post_batch(session, drafts.batch("b-1", january))
    _, command = str(refused.value).split("The command is hovedbok ledger ")
    assert command == "init --year 2027."
    with transaction() as session, pytest.raises(UnknownPeriod, match=r"next year.*--year YEAR"):
        service.first_open_day(session, "NO01", "JNL", date(2027, 1, 4))
    assert "12 new periods of 2027" in run(*command.rstrip(".").split()).output
    with transaction() as session:
        service.post_batch(session, drafts.batch("b-1", january))
        assert service.verify(session) == []


def test_what_an_earlier_release_did_not_seed_is_added(books: str, pg: PrivateServer) -> None:
    """Accounts, series and rules that came since; what somebody renamed stays as it is."""
    with psycopg.connect(pg.url("postgres", books).replace("+psycopg", "", 1)) as connection:
        connection.execute("SET session_replication_role = replica")
        for missing in (
            "account WHERE number = '8960'", "voucher_series WHERE code = 'YEC'",
            "account_version WHERE account_id NOT IN (SELECT account_id FROM account)",
            "posting_rule WHERE event = 'year_end'",
        ):  # fmt: skip
            connection.execute(f"DELETE FROM {missing}")
    run("account", "rename", "1500", "Our customers", "--reason", "as we call them")
    assert "0 new periods" in run("init", "--year", "2026").output
    with transaction() as session:
        names = {one.number: one.name for one in chart_of_accounts(session, "NO01")}
        assert {"8960": "Result of the year moved to equity", "1500": "Our customers"}.items() <= (
            names.items()
        )
        added = session.execute(
            text("SELECT (SELECT count(*) FROM voucher_series WHERE code = 'YEC'),"
                 " (SELECT count(*) FROM posting_rule WHERE event = 'year_end')")
        ).one()  # fmt: skip
    assert min(added) > 0


def test_balance_and_statement(books: str, drafts: Drafts) -> None:
    """Balances are strings, debit positive, one row per account and currency."""
    with transaction() as session:
        draft = drafts.batch("b-1", drafts.invoice("i-1"), drafts.payment("p-1", 40_00))
        service.post_batch(session, draft)
    told = json.loads(run("balance", "--json").output)
    assert told["accounts"][0] == {
        "account": "1500", "name": "Customers - consumer", "currency": "NOK", "debit": "125.00",
        "credit": "40.00", "balance": "85.00", "base_balance": "85.00",
    }  # fmt: skip
    before = json.loads(run("balance", "--as-of", "2026-03-31", "--json").output)
    assert before["accounts"][0]["balance"] == "125.00"
    assert "sum to NOK 0.00" in run("balance").output
    lines = json.loads(run("statement", "1500", "--json").output)["lines"]
    assert [(x["voucher"], x["amount"], x["balance"]) for x in lines] == [
        ("SAL/2026/1", "125.00", "125.00"), ("PAY/2026/1", "-40.00", "85.00"),
    ]  # fmt: skip
    assert "PAY/2026/1" in run("statement", "1500", "--from", "2026-04-01").output
    # Which lines these are is told with them: the same account has other statements.
    for words, party in ((("statement", "1500"), None), (("statement", "1500", "--party", "1"), 1),
                         (("customer", "1"), 1)):  # fmt: skip
        told = json.loads(run(*words, "--from", "2026-04-01", "--json").output)
        assert (told["party_id"], told["first_day"]) == (party, "2026-04-01")
        assert told["opening"] == {"NOK": "125.00"}
    assert json.loads(run("customer", "1", "--json").output)["first_day"] is None


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
    told = json.loads(run("gaps", "--json").output)
    assert told["gaps"] == ["SAL/2026/2"]
    assert told["books"] == [{"book": "NO01", "gaps": ["SAL/2026/2"], "explained": []}]
    found = run("verify")
    assert found.exit_code == 1
    assert "voucher gap: SAL/2026/2" in found.output


def test_a_book_that_does_not_exist_is_no_empty_report(books: str) -> None:
    """A mistyped book is refused and the known ones are named."""
    with pytest.raises(UnknownBook, match="Known: NO01"):
        run("balance", "--book", "NO99")


# What changes something and says in a sentence what it did.
CHANGES = {
    "ledger account close", "ledger account group", "ledger account open", "ledger account rename",
    "ledger assert", "ledger dimension add", "ledger dimension rule", "ledger dimension value",
    "ledger draft approve", "ledger draft attach", "ledger draft post", "ledger draft reject",
    "ledger draft rule", "ledger draft withdraw", "ledger except", "ledger explain-gap",
    "ledger init", "ledger lock", "ledger rate add", "ledger rate import", "ledger reopen",
    "ledger rule add", "ledger undo", "ledger vat add", "ledger vat end", "ledger waive",
    "ledger webhook end", "ledger webhook replay", "access book grant", "access book withdraw",
    "access client add", "access client revoke", "access client rotate", "access staff add",
    "access staff disable",
}  # fmt: skip
# What writes a file for programs, in a format that is asked for or is its own: JSON, PEM.
EXPORTS = {"ledger export", "ledger proof", "ledger seal-key"}


def _walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command._load() if isinstance(command, Deferred) else command
        return
    context = click.Context(command)
    for below in command.list_commands(context):
        one = command.get_command(context, below)
        assert one is not None, below
        yield from _walk(one, f"{name} {below}".strip())


def test_every_command_that_only_reads_speaks_json() -> None:
    """Whoever scripts the ledger never has to take apart what is printed for people."""
    tree = _walk(app.cli, "")
    found = {name: one for name, one in tree if name.partition(" ")[0] in {"ledger", "access"}}
    silent = {
        name for name, one in found.items()
        if not any("--json" in given.opts for given in one.params)
    }  # fmt: skip
    assert silent == CHANGES | EXPORTS


def test_what_an_account_was_and_which_rules_hold_are_told_in_json(books: str) -> None:
    """The fields of the REST API, amounts as text; a book that is not there is no empty list."""
    assert run("account", "rename", "7830", "Losses", "--reason", "x").exit_code == 0
    told = json.loads(run("account", "history", "7830", "--json").output)
    assert (told["account"], [one["version_no"] for one in told["states"]]) == ("7830", [1, 2])
    assert told["states"][1]["content"]["name"] == "Losses"
    rules = json.loads(run("draft", "rules", "--json").output)["rules"]
    with transaction() as session:
        stored = approval_policies(session, "NO01")
    assert [(one["account_prefix"], one["valid_from"], one["actor"]) for one in rules] == [
        (one.account_prefix, one.valid_from.isoformat(), one.actor) for one in stored
    ]
    assert rules[0]["amount_from"] == "0.00"
    with pytest.raises(UnknownBook):
        run("draft", "rules", "--book", "NO77", "--json")
