"""The balance sheet and the income statement, shaped from a trial balance by class and group.

Pure. Sections carry the sign their readers expect: assets and expenses debit positive, liabilities,
equity and income credit positive. Everything is in the book's own currency.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ledger.errors import DoesNotTie
from ledger.money import format_amount

TITLES = {"A": "Assets", "L": "Liabilities", "Q": "Equity", "I": "Income", "E": "Expenses"}
_SIGNS = {"A": 1, "L": -1, "Q": -1, "I": -1, "E": 1}


class Balance(Protocol):
    """What is needed of a row of the trial balance. [minor units of the book's currency]"""

    @property
    def account(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def account_class(self) -> str: ...  # noqa: D102
    @property
    def grouping_category(self) -> str: ...  # noqa: D102
    @property
    def grouping_code(self) -> str: ...  # noqa: D102
    @property
    def base_minor(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Figure:
    """An account's amount, and that of the comparative period. [minor units]"""

    account: str
    name: str
    amount_minor: int
    comparative_minor: int


@dataclass(frozen=True, slots=True)
class Group:
    """The accounts of one official grouping code, and their sum."""

    category: str
    code: str
    figures: tuple[Figure, ...]
    amount_minor: int
    comparative_minor: int


@dataclass(frozen=True, slots=True)
class Section:
    """All groups of a class of accounts, and their sum."""

    account_class: str
    title: str
    groups: tuple[Group, ...]
    amount_minor: int
    comparative_minor: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Sections and the result: income less expenses. It ties to the trial balance.

    On a balance sheet the result is what no year-end has moved into equity yet, so that
    assets = liabilities + equity + result.
    """

    sections: tuple[Section, ...]
    result_minor: int
    comparative_result_minor: int


def balance_sheet(rows: Iterable[Balance], comparative: Iterable[Balance] = ()) -> Statement:
    """Shape the balances of a day, beside those of another day.

    Raises
    ------
    DoesNotTie : assets are not liabilities, equity and result together.
    """
    return _statement("ALQ", rows, comparative)


def income_statement(rows: Iterable[Balance], comparative: Iterable[Balance] = ()) -> Statement:
    """Shape the movements of a period, beside those of another period.

    Raises
    ------
    DoesNotTie : the result is not the change of assets less liabilities and equity.
    """
    return _statement("IE", rows, comparative)


def _statement(classes: str, rows: Iterable[Balance], comparative: Iterable[Balance]) -> Statement:
    now, then = list(rows), list(comparative)
    sections = tuple(_section(of_class, now, then) for of_class in classes)
    _check(classes, [s.amount_minor for s in sections], now)
    _check(classes, [s.comparative_minor for s in sections], then)
    # What a year-end has moved to equity is part of that year's result, but not of what is left.
    counted = "IE" if classes == "IE" else "IED"
    return Statement(sections, _result(counted, now), _result(counted, then))


def _check(classes: str, shown: list[int], rows: list[Balance]) -> None:
    """Hold what is shown against all other accounts of the trial balance: they sum to zero."""
    signed = sum(minor * _SIGNS[one] for one, minor in zip(classes, shown, strict=True))
    others = sum(row.base_minor for row in rows if row.account_class not in classes)
    if signed + others:
        titles = " and ".join(TITLES[one].lower() for one in classes)
        raise DoesNotTie(
            f"The {titles} come to {format_amount(signed)} debit, all other accounts of the trial "
            f"balance to {format_amount(-others)} credit. Run `hovedbok ledger verify`."
        )


def _result(classes: str, rows: list[Balance]) -> int:
    """Sum income less expenses, and less what was disposed of where that counts."""
    return -sum(row.base_minor for row in rows if row.account_class in classes)


def _section(of_class: str, now: list[Balance], then: list[Balance]) -> Section:
    sign = _SIGNS[of_class]
    current, earlier = _per_account(now, of_class, sign), _per_account(then, of_class, sign)
    known = {row.account: row for row in (*then, *now) if row.account_class == of_class}
    groups: dict[tuple[str, str], list[Figure]] = {}
    for account, row in sorted(known.items()):
        figure = Figure(account, row.name, current.get(account, 0), earlier.get(account, 0))
        groups.setdefault((row.grouping_category, row.grouping_code), []).append(figure)
    shaped = tuple(
        Group(
            category, code, tuple(figures),
            sum(x.amount_minor for x in figures), sum(x.comparative_minor for x in figures),
        )
        for (category, code), figures in groups.items()
    )  # fmt: skip
    return Section(
        of_class, TITLES[of_class], shaped,
        sum(x.amount_minor for x in shaped), sum(x.comparative_minor for x in shaped),
    )  # fmt: skip


def _per_account(rows: Iterable[Balance], of_class: str, sign: int) -> Mapping[str, int]:
    """Sum an account over its currencies."""
    sums: dict[str, int] = {}
    for row in rows:
        if row.account_class == of_class:
            sums[row.account] = sums.get(row.account, 0) + sign * row.base_minor
    return sums
