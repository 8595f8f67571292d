"""Binding periods: what is left to pay when a subscription ends before its term.

    rest = charge x days left of the term / days of the term, rounded once, half away from zero

The charge falls in a straight line from the day the term began to the day it ends; a term of months
ends on the day of the month on which it began, or on the last day of a shorter month. For consumers
the law sets the longest term, by the day on which it began; a longer one in the tariff counts no
further. Days are local dates, half-open.

Source: the Norwegian Electronic Communications Act (LOV-2024-12-13-76) chapter 4, twelve months for
consumers; docs/pricing.md.
"""

from collections.abc import Sequence

import numpy as np

from rating.dated import NOT_KNOWN, Dated
from rating.recurring import FlatCharges
from rating.rounding import Integers, check_integers, share_of
from rating.tariff import TariffBook
from rating.usage import Int32, Int64

NO_START = -1  # of a subscription whose term nobody knows


def term_end(begun: Int64, months: Int64) -> Int64:
    """Give the day on which terms end, itself not in the term.

    Parameters
    ----------
    begun : (n,) local days since 1970.
    months : (n,) whole months.

    >>> day = np.array([np.datetime64("2026-01-31").astype(np.int64)])
    >>> term_end(day, np.array([1])).astype("datetime64[D]")
    array(['2026-02-28'], dtype='datetime64[D]')
    """
    calendar = begun.astype("datetime64[D]")
    first = calendar.astype("datetime64[M]")
    day = (calendar - first.astype("datetime64[D]")).astype(np.int64)
    month = first + months
    start = month.astype("datetime64[D]")
    length = ((month + 1).astype("datetime64[D]") - start).astype(np.int64)
    ends: Int64 = (start + np.minimum(day, length - 1)).astype(np.int64)
    return ends


def remaining_charges(charge: Integers, begun: Int64, ends: Int64, ceased: Int64) -> Integers:
    """Give what is left of charges on the days on which subscriptions ended.

    Parameters
    ----------
    charge : (n,) int64, on the first day of the term. [currency units]
    begun, ends, ceased : (n,) local days since 1970; the term is [begun, ends).

    Returns
    -------
    (n,) int64; the whole charge up to the first day, nothing from the end on. [currency units]
    """
    check_integers(charge, "Charges")
    left = ends - np.clip(ceased, begun, ends)
    return share_of(charge, left, np.maximum(ends - begun, 1))


def binding_charges(
    book: TariffBook, offering: Int32, occasion: Sequence[str], begun: Int64, ceased: Int64
) -> FlatCharges:
    """Charge what is left of binding periods to subscriptions that end.

    Parameters
    ----------
    offering : (n,) index into `book.offerings`.
    occasion : n words; only "cease" is charged.
    begun : (n,) the local day on which the subscription began with the offering, NO_START where
        that is not known: nothing can be asked then.
    ceased : (n,) the local day on which it ended.

    Returns
    -------
    FlatCharges : none where nothing is left; `days` are the days left of `of_days` in the term.
    """
    words = np.array(occasion, dtype="U8")
    longest = Dated.of(
        "longest term", ((each.valid_from, each.months) for each in book.tariff.binding_limits)
    )
    found = []
    for number, terms in enumerate(book.tariff.offerings):
        rows = np.flatnonzero((offering == number) & (words == "cease") & (begun != NO_START))
        for binding in terms.bindings:
            months = np.full(len(rows), binding.months, np.int64)
            if terms.price_basis == "gross":
                allowed = longest.at(begun[rows])
                months = np.where(allowed == NOT_KNOWN, months, np.minimum(months, allowed))
            ends = term_end(begun[rows], months)
            left = ends - np.clip(ceased[rows], begun[rows], ends)
            due = np.flatnonzero(left > 0)
            at, full = rows[due], np.full(len(due), binding.charge_micro, np.int64)
            amount = remaining_charges(full, begun[at], ends[due], ceased[at])
            component = np.full(len(due), book.components.index(binding.component))
            found.append(
                np.stack([at, component, amount, full, left[due], ends[due] - begun[at]], axis=1)
            )
    table = np.concatenate([np.zeros((0, 6), np.int64), *found])
    table = table[np.argsort(table[:, 0], kind="stable")]
    source, which, amount, full, days, of_days = table.T.copy()
    small = (which.astype(np.int32), days.astype(np.int32), of_days.astype(np.int32))
    return FlatCharges(source, small[0], amount, full, small[1], small[2])
