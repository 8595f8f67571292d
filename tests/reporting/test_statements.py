"""The trial balance proves itself or is refused."""

from __future__ import annotations

from io import BytesIO

import openpyxl
import pytest

from ledger.errors import DoesNotTie
from reporting.formats.xlsx import workbook_bytes
from reporting.service.workbook import trial_balance_sheet
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


def test_balances_that_are_off_in_the_books_own_currency_are_refused() -> None:
    """Each currency may be even and its value not: a rate was then used on one side only."""
    rows = [
        BalanceRow("2400", "", "EUR", 0, 700, -700, -80_00),
        BalanceRow("4310", "", "EUR", 700, 0, 700, 80_01),
    ]
    with pytest.raises(DoesNotTie, match=r"off by 0\.01 in the book's own currency"):
        trial_balance(rows, "NO01", None)


def test_currencies_are_never_added_up_on_a_sheet() -> None:
    """Each has its own live sums beside those of the books; all of them only in one currency."""
    rows = [
        BalanceRow("1500", "Kunder", "NOK", 100_00, 0, 100_00, 100_00),
        BalanceRow("3000", "Salg", "NOK", 0, 100_00, -100_00, -100_00),
        BalanceRow("2400", "Gjeld", "EUR", 0, 7_00, -7_00, -80_00),
        BalanceRow("4310", "Samtrafikk", "EUR", 7_00, 0, 7_00, 80_00),
    ]
    table = trial_balance_sheet(trial_balance(rows, "NO01", None))
    sheet = openpyxl.load_workbook(BytesIO(workbook_bytes([table], [])))["Trial balance"]
    cells = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=6)]
    assert cells == [
        ["Sum", None, None, None, None, None, "=SUM(G2:G5)"],
        ["Control (books)", None, None, None, None, None, 0],
        ["Difference", None, None, None, None, None, "=ROUND(G6-G7,2)"],
        *_sums("EUR", 9, 7), *_sums("NOK", 12, 100),
    ]  # fmt: skip
    # What the formulas come to, by the rule of SUMIF over the cells above them.
    for row, currency, turnover in ((9, "EUR", 7), (12, "NOK", 100)):
        for letter, expected in zip("DEF", (turnover, turnover, 0), strict=True):
            summed = sum(sheet[f"{letter}{n}"].value for n in range(2, 6)
                         if sheet[f"C{n}"].value == currency)  # fmt: skip
            assert summed == sheet[f"{letter}{row + 1}"].value == expected


def _sums(currency: str, row: int, turnover: int) -> list[list[object]]:
    """The three rows of a currency that begin at a row."""
    live = [f"=SUMIF($C$2:$C$5,$C{row},{letter}$2:{letter}$5)" for letter in "DEF"]
    off = [f"=ROUND({letter}{row}-{letter}{row + 1},2)" for letter in "DEF"]
    return [
        ["Sum", None, currency, *live, None],
        ["Control (books)", None, currency, turnover, turnover, 0, None],
        ["Difference", None, currency, *off, None],
    ]


def test_one_currency_is_summed_as_a_whole() -> None:
    """Also where it is not the book's own; an empty book sums to nothing."""
    rows = [
        BalanceRow("2400", "", "EUR", 0, 7_00, -7_00, -80_00),
        BalanceRow("4310", "", "EUR", 7_00, 0, 7_00, 80_00),
    ]
    table = trial_balance_sheet(trial_balance(rows, "NO01", None))
    assert (table.control, table.groups) == ((7_00, 7_00, 0, 0), None)
    assert trial_balance_sheet(trial_balance([], "NO01", None)).control == (0, 0, 0, 0)
