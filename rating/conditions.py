"""Discounts that depend on what else a customer has: other products, or how many subscriptions.

A condition is judged day by day, on what the billing account has that day; a discount is given for
the days on which it holds, as the price it reduces is asked for by days. Percentages come before
fixed amounts, each on what is left of the price; a price is never discounted below zero.

Source: docs/pricing.md; the stacking order of `rating.discounts`.
"""

from dataclasses import dataclass

import numpy as np

from rating.dated import day_number
from rating.recurring import FlatCharges, month_span
from rating.rounding import MICRO, share_of
from rating.tariff import TariffBook
from rating.tariff_terms import ConditionalDiscount
from rating.usage import Bool, Int32, Int64

_HUNDRED_PERCENT = 100 * MICRO


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """What billing accounts have in a month: stretches with one offering and one payer."""

    account: Int64
    offering: Int32  # index into `book.offerings`, -1 for what the book does not sell
    active_from: Int64  # local days since 1970, half-open
    active_to: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Discounted:
    """Discounts given, in order of the charges they are off; columns of equal length."""

    source: Int64  # row of the holdings
    component: Int32  # that is reduced, index into `book.components`
    discount: Int64  # index into `book.tariff.discounts`
    amount_micro: Int64  # below zero
    days: Int64  # on which the condition held
    of_micro: Int64  # what was left of the price before it
    of_days: Int64  # that the percentage, or the amount of a month, is for


def conditional_discounts(
    book: TariffBook, period: str, charges: FlatCharges, holdings: Holdings
) -> Discounted:
    """Discount a month's recurring charges.

    Parameters
    ----------
    period : the month, such as 2026-03.
    charges : of `recurring_charges`, by rows of `holdings`.

    Returns
    -------
    Discounted : only what is given; nothing where a condition never held.
    """
    first, after = month_span(period)
    accounts, account = np.unique(holdings.account, return_inverse=True)
    left = charges.amount_micro.copy()
    found = [np.zeros((0, 7), np.int64)]
    terms = book.tariff.discounts
    # Percentages first, each in the order of the file.
    for number in sorted(range(len(terms)), key=lambda n: (not terms[n].percent_micro, n)):
        holds = _held(terms[number], book, holdings, account, len(accounts), first, after)
        before = np.zeros((len(accounts), after - first + 1), np.int64)
        before[:, 1:] = holds.cumsum(axis=1)
        rows = _reduced(book, terms[number], charges, holdings, left)
        source = charges.source[rows]
        begin = np.clip(holdings.active_from[source], first, after) - first
        end = np.clip(holdings.active_to[source], first, after) - first
        # A price that does not go by days is discounted or not, by its first day.
        end = np.where(charges.of_days[rows] == 1, begin + 1, end)
        days = before[account[source], end] - before[account[source], begin]
        taken = _taken(terms[number], left[rows], days, end - begin, charges.of_days[rows])
        of_days = charges.of_days[rows].astype(np.int64)
        if terms[number].percent_micro:
            of_days = np.maximum(end - begin, 1)
        given = np.stack(
            [rows, source, np.full(len(rows), number), -taken, days, left[rows], of_days], axis=1
        )
        found.append(given[taken > 0])
        left[rows] -= taken
    table = np.concatenate(found)
    table = table[np.lexsort((table[:, 2], table[:, 0]))]
    row, source, discount, amount, days, of_micro, of_days = table.T.copy()
    return Discounted(source, charges.component[row], discount, amount, days, of_micro, of_days)


def _taken(
    terms: ConditionalDiscount, left: Int64, days: Int64, length: Int64, of_days: Int32
) -> Int64:
    """Give what a discount takes off for the days on which it holds, of what is left."""
    if terms.percent_micro:
        rate = terms.percent_micro * days
        wished = share_of(left, rate, _HUNDRED_PERCENT * np.maximum(length, 1))
    else:
        fixed = np.full(len(left), terms.amount_micro, np.int64)
        wished = share_of(fixed, days, of_days.astype(np.int64))
    return np.minimum(wished, left)


def _reduced(
    book: TariffBook, terms: ConditionalDiscount, charges: FlatCharges, holdings: Holdings,
    left: Int64,
) -> Int64:  # fmt: skip
    """Find the charges that a discount reduces."""
    reduced = np.isin(
        charges.component, np.array([book.components.index(name) for name in terms.reduces])
    )
    if terms.offerings:
        ours = np.array([book.offerings.index(name) for name in terms.offerings])
        reduced &= np.isin(holdings.offering[charges.source], ours)
    found: Int64 = np.flatnonzero(reduced & (left > 0))
    return found


def _held(
    terms: ConditionalDiscount, book: TariffBook, holdings: Holdings, account: Int64, accounts: int,
    first: int, after: int,
) -> Bool:  # fmt: skip
    """Say on which days of the month the condition held for which accounts: (accounts, days)."""
    everything = np.ones(len(account), np.bool_)
    holds = counted(account, accounts, everything, holdings, first, after) >= terms.at_least
    for name in terms.with_offerings:
        has = holdings.offering == book.offerings.index(name)
        holds &= counted(account, accounts, has, holdings, first, after) > 0
    days = np.arange(first, after)
    if terms.valid_from is not None:
        holds &= days >= day_number(terms.valid_from)
    if terms.valid_to is not None:
        holds &= days < day_number(terms.valid_to)
    return holds


def counted(
    account: Int64, accounts: int, rows: Bool, holdings: Holdings, first: int, after: int
) -> Int64:
    """Count the stretches of accounts on each day of [first, after): (accounts, days)."""
    begin = np.clip(holdings.active_from[rows], first, after) - first
    end = np.clip(holdings.active_to[rows], first, after) - first
    some = end > begin
    change = np.zeros((accounts, after - first + 1), np.int64)
    np.add.at(change, (account[rows][some], begin[some]), 1)
    np.add.at(change, (account[rows][some], end[some]), -1)
    return change.cumsum(axis=1)[:, :-1]
