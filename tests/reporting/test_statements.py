"""The trial balance proves itself or is refused."""

from __future__ import annotations

import pytest

from ledger.errors import DoesNotTie
from reporting.statements import BalanceRow, trial_balance


def row(account: str, debit: int, credit: int, currency: str = "NOK") -> BalanceRow:
    """An account with so much on each side."""
    return BalanceRow(account, f"Account {account}", currency, debit, credit, debit - credit)


def test_accounts_are_ordered_and_summed_per_currency() -> None:
    """Rows come by currency and number; each currency has one total."""
    table = trial_balance(
        [row("3000", 0, 100), row("1500", 100, 0), row("2400", 0, 5, "SDR"),
         row("4300", 5, 0, "SDR")], "NO01", None,
    )  # fmt: skip
    assert [each.account for each in table.rows] == ["1500", "3000", "2400", "4300"]
    assert [(each.currency, each.debit_minor, each.credit_minor) for each in table.totals] == [
        ("NOK", 100, 100),
        ("SDR", 5, 5),
    ]


def test_a_trial_balance_off_zero_is_refused() -> None:
    """Both sides are told, with the book."""
    with pytest.raises(DoesNotTie, match=r"NO01 has 1\.00 debit and 0\.99 credit in NOK"):
        trial_balance([row("1500", 100, 0), row("3000", 0, 99)], "NO01", None)


def test_a_row_that_contradicts_itself_is_refused() -> None:
    """A balance is the difference of its sides."""
    with pytest.raises(DoesNotTie, match="Account 1500"):
        trial_balance([BalanceRow("1500", "", "NOK", 100, 0, 99)], "NO01", None)


def test_an_empty_book_is_an_empty_table() -> None:
    """Nothing posted is a table without rows, not an error."""
    assert trial_balance([], "NO01", None).rows == ()
