"""Charges that are no usage: monthly prices by days, and prices of orders.

A month's price is price x days active / days of the month, an exact rational rounded once, half
away from zero, to millionths. Days are local dates, half-open: [from, to).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from rating.dated import day_number
from rating.rounding import share_of
from rating.tariff import TariffBook
from rating.usage import Int32, Int64

NOT_AGREED = -1


@dataclass(frozen=True, slots=True, eq=False)
class FlatCharges:
    """Charges, several per input row or none; columns of equal length."""

    source: Int64  # row of the input
    component: Int32  # index into `book.components`
    amount_micro: Int64  # in the price basis of the offering
    full_micro: Int64  # of a whole month, or the one-off price
    days: Int32  # charged for
    of_days: Int32  # in the month; 1 of 1 where nothing is prorated


def month_span(period: str) -> tuple[int, int]:
    """Give a month such as 2026-03 as day numbers since 1970, half-open.

    >>> month_span("2026-03")
    (20513, 20544)
    """
    first = date.fromisoformat(f"{period}-01")
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return day_number(first), day_number(after)


def recurring_charges(
    book: TariffBook,
    period: str,
    offering: Int32,
    active_from: Int64,
    active_to: Int64,
    agreed_micro: Int64 | None = None,
    subscription: Int64 | None = None,
) -> FlatCharges:
    """Charge a month's recurring prices for subscriptions, or stretches of them.

    Parameters
    ----------
    period : the month, such as 2026-03.
    offering : (n,) index into `book.offerings`.
    active_from, active_to : (n,) days since 1970, half-open, cut to the month here.
    agreed_micro : (n,) a price of its own in place of the offering's first recurring one, in the
        offering's price basis; `NOT_AGREED` for the list price.
    subscription : (n,) whose stretches these are; None where each row is a subscription of its own.
        A price that does not go by days is charged once a month for an offering of a subscription,
        with its first stretch, however often the payer changed.

    Returns
    -------
    FlatCharges : in order of input row, then of the tariff file; none for a row without a day.
    """
    first, after = month_span(period)
    days = np.clip(active_to, first, after) - np.clip(active_from, first, after)
    agreed = np.full(len(offering), NOT_AGREED, np.int64) if agreed_micro is None else agreed_micro
    found: list[tuple[Int64, int, Int64, Int64, int]] = []
    for number, terms in enumerate(book.tariff.offerings):
        rows = np.flatnonzero((offering == number) & (days > 0))
        for position, price in enumerate(terms.recurring):
            full = np.full(len(rows), price.price_micro, np.int64)
            if position == 0:
                full = np.where(agreed[rows] != NOT_AGREED, agreed[rows], full)
            component = book.components.index(price.component)
            if price.proration == "days":
                found.append((rows, component, full, days[rows], after - first))
                continue
            once = first_stretches(rows, active_from, subscription)
            found.append((rows[once], component, full[once], np.ones(len(once), np.int64), 1))
    return _collect(found)


def first_stretches(rows: Int64, active_from: Int64, subscription: Int64 | None) -> Int64:
    """Give the positions in `rows` of each subscription's first stretch, in order."""
    if subscription is None:
        return np.arange(len(rows))
    order = np.lexsort((active_from[rows], subscription[rows]))
    _, first = np.unique(subscription[rows][order], return_index=True)
    return np.sort(order[first])


def one_off_charges(
    book: TariffBook,
    offering: Int32,
    occasion: Sequence[str],
    agreed_micro: Int64 | None = None,
) -> FlatCharges:
    """Charge the prices that orders cause.

    Parameters
    ----------
    offering : (n,) index into `book.offerings`.
    occasion : n words: add, change, addon or cease.
    agreed_micro : (n,) a price of its own for an add-on, in place of its first price on "addon".
        On other occasions an agreed price is the monthly one and changes nothing here.
    """
    words = np.array(occasion, dtype="U8")
    agreed = np.full(len(offering), NOT_AGREED, np.int64) if agreed_micro is None else agreed_micro
    found: list[tuple[Int64, int, Int64, Int64, int]] = []
    for number, terms in enumerate(book.tariff.offerings):
        replaced = False
        for price in terms.one_off:
            rows = np.flatnonzero((offering == number) & (words == price.on))
            full = np.full(len(rows), price.price_micro, np.int64)
            if price.on == "addon" and not replaced:
                full = np.where(agreed[rows] != NOT_AGREED, agreed[rows], full)
                replaced = True
            component = book.components.index(price.component)
            found.append((rows, component, full, np.ones(len(rows), np.int64), 1))
    return _collect(found)


def _collect(found: list[tuple[Int64, int, Int64, Int64, int]]) -> FlatCharges:
    """Join the charges of all offerings in order of input row."""
    if not found:
        found = [(np.zeros(0, np.int64), 0, np.zeros(0, np.int64), np.zeros(0, np.int64), 1)]
    source = np.concatenate([rows for rows, *_ in found])
    order = np.argsort(source, kind="stable")
    sizes = [len(rows) for rows, *_ in found]
    charges = FlatCharges(
        source=source,
        component=np.repeat(np.array([part[1] for part in found], np.int32), sizes),
        amount_micro=np.concatenate([share_of(part[2], part[3], part[4]) for part in found]),
        full_micro=np.concatenate([part[2] for part in found]),
        days=np.concatenate([part[3] for part in found]).astype(np.int32),
        of_days=np.repeat(np.array([part[4] for part in found], np.int32), sizes),
    )
    return FlatCharges(*(getattr(charges, name)[order] for name in FlatCharges.__slots__))
