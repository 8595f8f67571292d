"""Spend limits: what use has cost so far in the month, and which event reached which threshold.

Cost runs per subscription and local month, in the order of the events' start, then of their key:
the order of arrival and of rows changes nothing, nor do ties. A threshold is reached by the event
that brings the cost to it, once a month, also where a refund takes the cost below it again. After
the limit itself is reached, a limit that stops leaves everything beyond: the rest of that event,
and all later ones of the month.

Limits are without VAT; prices that hold VAT are compared without it.

Source: Regulation (EU) 2022/612 article 14 (a default cut-off of EUR 50 a month for data roaming,
notices at 80 and 100 per cent); in Norway by ekomforskriften.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rating.dated import Dated, exchange_rates
from rating.pipeline import Rated
from rating.rounding import FITS, MICRO, Overflow, largest, share_of
from rating.running_months import running_months
from rating.tariff import TariffBook
from rating.tariff_terms import SpendLimit
from rating.usage import Bool, Int32, Int64, Reason, UsageBatch

LISTED = -1  # of a subscription: the limit of the tariff
NO_LIMIT = -2  # of a subscription: it has asked for none

_BASIS_POINTS = 10_000
_PERCENT = 100


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """Thresholds that were reached, in order of subscription, time and threshold."""

    row: Int64  # the event of the batch that reached it
    subscription: Int32
    month: Int32  # as `rating.clock.months` numbers them
    percent: Int64  # of the limit
    cost_micro: Int64  # of the month with this event, without VAT
    limit_micro: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What one limit says of a batch; zero where an event does not count towards it."""

    limit: SpendLimit
    cost_micro: Int64  # (n,) of the month up to and with the event, without VAT
    beyond_micro: Int64  # (n,) part of the event's own cost that lies beyond a limit that stops
    stopped: Bool  # (n,) the limit was reached before the event began
    reached: Reached


def watch(
    batch: UsageBatch, rated: Rated, book: TariffBook, limit: SpendLimit,
    vat_rates_bp: Mapping[str, int], own_micro: Int64 | None = None,
) -> Watched:  # fmt: skip
    """Run the cost of a batch against one limit of the tariff.

    Parameters
    ----------
    batch, rated : whole months of each subscription; what is suspended costs nothing.
    vat_rates_bp : by VAT code.
    own_micro : (n,) the limit of the event's subscription, without VAT, in the tariff's currency;
        LISTED for that of the tariff, NO_LIMIT for none.

    Raises
    ------
    FigureNotDated : the limit is in a currency without rate on the first day of a month.
    """
    count = len(batch)
    counted = np.array([book.components.index(name) for name in limit.components])
    rows = np.flatnonzero((rated.reason == Reason.OK) & np.isin(rated.component, counted))
    ran = running_months(batch, rows, book.clock)
    rows, heads = ran.rows, ran.heads
    cost = without_vat(rated, batch, book, rows, vat_rates_bp)
    most = _limits(book, limit, ran.month)
    if own_micro is not None:
        most = np.where(own_micro[rows] == LISTED, most, own_micro[rows])
    judged = judge(cost, heads, most[heads], limit.notify, stop=limit.stop)
    at = judged.place
    reached = Reached(
        rows[at], ran.owner[at], ran.month[at], judged.percent, judged.after[at],
        most[heads][judged.group[at]],
    )  # fmt: skip

    def spread(column: NDArray[Any]) -> NDArray[Any]:
        wide = np.zeros(count, column.dtype)
        wide[rows] = column
        return wide

    return Watched(
        limit, spread(judged.after), spread(judged.beyond), spread(judged.stopped), reached
    )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What limits say of rows that lie together per group, in event order."""

    group: Int64
    after: Int64  # cost up to and with the row
    beyond: Int64
    stopped: Bool
    place: Int64  # rows that reached a threshold, in order
    percent: Int64  # and which


def judge(cost: Int64, heads: Int64, most: Int64, notify: Sequence[int], *, stop: bool) -> Judged:
    """Run costs against limits.

    Parameters
    ----------
    cost : (n,) of either sign, rows of a group together in event order.
    heads : (g,) the first row of each group.
    most : (g,) limits; NO_LIMIT for none, 0 is reached before anything is used.
    notify : thresholds in per cent; reaching the limit itself is always told.
    stop : nothing is left beyond a limit that does not stop.
    """
    group = np.repeat(np.arange(len(heads)), np.diff(np.append(heads, len(cost))))
    after = running(cost, heads)
    percent, place = _first_reached(notify, after - cost, after, most[group], group)
    whole = np.full(len(heads), len(cost))
    full = place[percent == _PERCENT]
    whole[group[full]] = full
    whole[most == 0] = heads[most == 0] - 1
    position = np.arange(len(cost))
    stopped = (position > whole[group]) & stop
    last = (position == whole[group]) & stop
    beyond = np.where(stopped, cost, np.where(last, after - most[group], 0))
    return Judged(group, after, beyond, stopped, place, percent)


def running(cost: Int64, heads: Int64) -> Int64:
    """Sum costs up to and with each row, within groups that begin at `heads`.

    Raises
    ------
    Overflow : a group might come to more than 62 bits.
    """
    if not len(cost):
        return cost.copy()
    lengths = np.diff(np.append(heads, len(cost)))
    if int(lengths.max()) * largest(cost) >= FITS:
        raise Overflow("The cost of a month does not fit in 62 bits.")
    # The sum over all groups may wrap; the differences within a group are exact all the same.
    sums = np.cumsum(cost)
    within: Int64 = sums - np.repeat(sums[heads] - cost[heads], lengths)
    return within


def without_vat(
    rated: Rated, batch: UsageBatch, book: TariffBook, rows: Int64, vat_rates_bp: Mapping[str, int]
) -> Int64:
    """Give what events cost without VAT, rounded half away from zero. [millionths]"""
    amount = rated.amount_micro[rows].copy()
    gross = np.array([each.price_basis == "gross" for each in book.tariff.offerings], np.bool_)
    rates = np.array([vat_rates_bp[each.vat] for each in book.tariff.components], np.int64)
    rate = np.where(gross[batch.offering[rows]], rates[rated.component[rows]], 0)
    for bp in np.unique(rate[rate > 0]).tolist():
        mine = rate == bp
        amount[mine] = share_of(amount[mine], _BASIS_POINTS, _BASIS_POINTS + bp)
    return amount


def _limits(book: TariffBook, limit: SpendLimit, month: Int32) -> Int64:
    """Give the limit of each row's month, at the rate of its first day. [millionths]"""
    if limit.currency == book.tariff.currency:
        return np.full(len(month), limit.amount_micro, np.int64)
    rates = exchange_rates(book.tariff.exchange).get(limit.currency)
    dated = rates or Dated.of(f"rate of {limit.currency}", ())
    most = np.zeros(len(month), np.int64)
    for which in np.unique(month).tolist():
        rate = dated.on(date(which // 12, which % 12 + 1, 1))
        worth = share_of(np.array([limit.amount_micro]), rate, MICRO)
        most[month == which] = worth[0]
    return most


def _first_reached(
    notify: Sequence[int], before: Int64, after: Int64, most: Int64, group: Int64
) -> tuple[Int64, Int64]:
    """Find the first row of each group that reaches each threshold: percent, position."""
    found = [np.zeros((0, 2), np.int64)]
    for level in sorted({*notify, _PERCENT}):
        wanted = share_of(most, level, _PERCENT)
        crossing = np.flatnonzero((most >= 0) & (after >= wanted) & (before < wanted))
        _, head = np.unique(group[crossing], return_index=True)
        place = crossing[head]
        found.append(np.stack([place, np.full(len(place), level)], axis=1))
    table = np.concatenate(found)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return table[:, 1], table[:, 0]


def limits_in_force(limits: Sequence[SpendLimit], day: date) -> list[SpendLimit]:
    """Give the limits of a day: of each id the one that began last, in order of id."""
    found: dict[str, SpendLimit] = {}
    for limit in sorted(limits, key=lambda each: each.valid_from):
        if limit.valid_from <= day:
            found[limit.id] = limit
    return [found[name] for name in sorted(found)]
