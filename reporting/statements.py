"""Statements of the books: the trial balance, shaped for a screen, a file or a sheet.

Pure: the balances come as rows, the proof that they sum to zero is made here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ledger.errors import DoesNotTie
from ledger.money import format_amount


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One account in one currency: turnover on both sides and the balance, debit positive."""

    account: str
    name: str
    currency: str
    debit_minor: int  # ≥ 0.
    credit_minor: int  # ≥ 0.
    balance_minor: int
    base_minor: int = 0  # The balance in the book's own currency.


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All accounts of a book as of a day, and per currency the sums that prove it."""

    book: str
    as_of: date | None
    rows: tuple[BalanceRow, ...]
    totals: tuple[BalanceRow, ...]

    def is_foreign(self, own: str) -> bool:
        """Tell whether some of it is in another currency than the book's own."""
        return any(total.currency != own for total in self.totals)


def trial_balance(rows: Iterable[BalanceRow], book: str, as_of: date | None) -> TrialBalance:
    """Order the accounts, sum them per currency and refuse sums that are not zero.

    Raises
    ------
    DoesNotTie : debit and credit differ in a currency, or the balances in the book's own currency
        are not zero in all, or a row's balance is not the difference of its sides.
    """
    ordered = tuple(sorted(rows, key=lambda row: (row.currency, row.account)))
    for row in ordered:
        _check_row(row)
    totals = tuple(
        _total([row for row in ordered if row.currency == currency], currency)
        for currency in dict.fromkeys(row.currency for row in ordered)
    )
    for total in totals:
        if total.balance_minor:
            raise DoesNotTie(
                f"The trial balance of {book} has {format_amount(total.debit_minor)} debit and "
                f"{format_amount(total.credit_minor)} credit in {total.currency}. "
                "Run `hovedbok ledger verify` to find the entry.",
                book=book,
                debit=format_amount(total.debit_minor),
                credit=format_amount(total.credit_minor),
            )
    if base := sum(total.base_minor for total in totals):
        raise DoesNotTie(
            f"The trial balance of {book} is off by {format_amount(base)} in the book's own "
            "currency. Run `hovedbok ledger verify` to find the entry.",
            book=book,
            base=format_amount(base),
        )
    return TrialBalance(book, as_of, ordered, totals)


def _total(rows: list[BalanceRow], currency: str) -> BalanceRow:
    return BalanceRow(
        account="",
        name="Total",
        currency=currency,
        debit_minor=sum(row.debit_minor for row in rows),
        credit_minor=sum(row.credit_minor for row in rows),
        balance_minor=sum(row.balance_minor for row in rows),
        base_minor=sum(row.base_minor for row in rows),
    )


def _check_row(row: BalanceRow) -> None:
    if row.debit_minor - row.credit_minor != row.balance_minor:
        raise DoesNotTie(
            f"Account {row.account} shows {format_amount(row.debit_minor)} debit and "
            f"{format_amount(row.credit_minor)} credit but a balance of "
            f"{format_amount(row.balance_minor)}.",
            account=row.account,
        )
