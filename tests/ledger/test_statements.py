"""The balance sheet and the income statement tie to the trial balance, or are not shown."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from ledger import statements as pure
from ledger.cli.ledger import ledger_cli
from ledger.db import transaction
from ledger.errors import DoesNotTie, Invalid
from ledger.journal import Line
from ledger.service import post_batch, statements
from ledger.service.chart import rename_account
from ledger.service.signing import open_signer
from tests.ledger.conftest import Drafts, seal_all

BOOK = "NO01"


@dataclass(frozen=True)
class Row:
    """A row of a trial balance."""

    account: str
    account_class: str
    base_minor: int
    name: str = ""
    grouping_category: str = "category"
    grouping_code: str = "1000"


CHART = {"1500": "A", "1920": "A", "2400": "L", "2050": "Q", "3000": "I", "7830": "E"}
MOVES = st.lists(
    st.tuples(st.sampled_from(sorted(CHART)), st.sampled_from(sorted(CHART)), st.integers(1, 99)),
    max_size=12,
)


def rows_of(moves: list[tuple[str, str, int]]) -> list[Row]:
    """A trial balance from debits and credits."""
    sums: dict[str, int] = defaultdict(int)
    for debit, credit, amount in moves:
        sums[debit] += amount
        sums[credit] -= amount
    return [Row(account, CHART[account], minor) for account, minor in sums.items()]


@given(MOVES, MOVES)
def test_both_statements_are_what_a_dictionary_says(
    now: list[tuple[str, str, int]], then: list[tuple[str, str, int]]
) -> None:
    """Every account is on exactly one of the two, in the sign of its class, beside its past."""
    balance = pure.balance_sheet(rows_of(now), rows_of(then))
    income = pure.income_statement(rows_of(now), rows_of(then))
    sections = [*balance.sections, *income.sections]
    shown = {
        x.account: (section.account_class, x.amount_minor, x.comparative_minor)
        for section in sections for group in section.groups for x in group.figures
    }  # fmt: skip
    signed = {row.account: row.base_minor for row in rows_of(now)}
    past = {row.account: row.base_minor for row in rows_of(then)}
    assert shown.keys() == signed.keys() | past.keys()
    for account, (of_class, amount, compared) in shown.items():
        sign = 1 if of_class in "AE" else -1
        expected = (sign * signed.get(account, 0), sign * past.get(account, 0))
        assert (amount, compared) == expected
    sums = {section.account_class: section.amount_minor for section in sections}
    assert balance.result_minor == income.result_minor == sums["I"] - sums["E"]
    assert sums["A"] == sums["L"] + sums["Q"] + balance.result_minor


@pytest.mark.parametrize("shape", [pure.balance_sheet, pure.income_statement])
def test_rows_that_do_not_balance_are_refused(shape: object) -> None:
    """Where debit and credit differ by an øre, neither statement is shown."""
    rows = [Row("1500", "A", 100), Row("3000", "I", -99)]
    with pytest.raises(DoesNotTie, match="trial balance"):
        shape(rows)  # type: ignore[operator]
    with pytest.raises(DoesNotTie):
        shape([], rows)  # type: ignore[operator]


@pytest.fixture(name="year")
def _year(books: str, drafts: Drafts) -> str:
    """A loss in January, revenue in March, a foreign cost in April."""
    abroad = [Line("2400", -700, "EUR", base_minor=-8000),
              Line("4310", 700, "EUR", base_minor=8000)]  # fmt: skip
    journals = [
        drafts.journal("j-1", ("7830", 40_00), ("1920", -40_00), day=date(2026, 1, 15)),
        drafts.journal("j-2", ("1920", 100_00), ("3000", -100_00), day=date(2026, 3, 15)),
    ]
    foreign = drafts.journal("j-3", day=date(2026, 4, 1))
    foreign = type(foreign)(**{
        **{name: getattr(foreign, name) for name in foreign.__slots__}, "lines": tuple(abroad),
    })  # fmt: skip
    with transaction() as session:
        post_batch(session, drafts.batch("b-1", *journals, foreign))
    return books


def test_a_period_beside_another(session: Session, year: str) -> None:
    """Only movements of the days asked for; the balance sheet holds all days, in kroner."""
    shaped = statements.income_statement(
        session, BOOK, date(2026, 3, 1), date(2026, 3, 31),
        compared=(date(2026, 1, 1), date(2026, 1, 31)),
    )  # fmt: skip
    assert (shaped.result_minor, shaped.comparative_result_minor) == (100_00, -40_00)
    sheet = statements.balance_sheet(session, BOOK, compared_as_of=date(2026, 1, 31))
    assets, liabilities, equity = sheet.sections
    assert (assets.amount_minor, assets.comparative_minor) == (60_00, -40_00)
    assert (liabilities.amount_minor, equity.amount_minor) == (80_00, 0)
    assert sheet.result_minor == -20_00
    with pytest.raises(Invalid, match="ends before it begins"):
        statements.income_statement(session, BOOK, date(2026, 3, 2), date(2026, 3, 1))


def test_what_was_known_keeps_its_groups(year: str, drafts: Drafts, tmp_path: Path) -> None:
    """An account that is grouped anew moves its sums in what is sealed from then on, not before."""
    key = open_signer(tmp_path / "seal-key")

    def groups(known: int | None) -> dict[str, int]:
        with transaction() as session:
            shaped = statements.income_statement(
                session, BOOK, date(2026, 1, 1), date(2026, 3, 31), known
            )
        return {group.code: group.amount_minor for s in shaped.sections for group in s.groups}

    seal_all(key)
    before = groups(1)
    assert groups(None) == before == {"3000": 100_00, "7830": 40_00}
    with transaction() as session:
        rename_account(
            session, BOOK, "3000", grouping=("annet", "3999"), actor="x", reason="new standard"
        )
    anew = {"3999": 100_00, "7830": 40_00}
    assert (groups(1), groups(None)) == (before, anew)
    seal_all(key)  # A block of the chart alone.
    assert (groups(1), groups(None)) == (before, anew)
    with transaction() as session:
        post_batch(session, drafts.batch("b-2", drafts.journal("j-4", ("1920", 1), ("1940", -1))))
    seal_all(key)
    assert (groups(1), groups(2), groups(None)) == (before, anew, anew)


def run(*arguments: str) -> Result:
    """Run a command of the ledger."""
    return CliRunner().invoke(ledger_cli, list(arguments), catch_exceptions=False)


def test_the_commands_print_and_give_json(year: str) -> None:
    """On screen with the sum per group, as JSON with strings; both say that they tie."""
    printed = run("balance-sheet", "--compare", "2026-01-31").output
    assert "Result not yet closed" in printed
    assert "\nTies to the trial balance.\n" in printed
    told = json.loads(run("balance-sheet", "--as-of", "2026-03-31", "--json").output)
    assert (told["effective_as_of"], told["result"]) == ("2026-03-31", "60.00")
    assert told["sections"][0]["groups"][0]["accounts"][0]["amount"] == "60.00"
    told = json.loads(run(
        "income-statement", "--from", "2026-03-01", "--to", "2026-04-30",
        "--compare-from", "2026-01-01", "--compare-to", "2026-01-31", "--json",
    ).output)  # fmt: skip
    assert (told["result"], told["compared_result"]) == ("20.00", "-40.00")
    assert [section["title"] for section in told["sections"]] == ["Income", "Expenses"]
    half = run("income-statement", "--from", "2026-03-01", "--to", "2026-04-30",
               "--compare-to", "2026-01-31")  # fmt: skip
    assert half.exit_code == 2
