"""Allowances: what a subscription has included each month, used in the order of events.

Events are ordered by start and then by event key, so the outcome does not depend on arrival. Per
pool (subscription, allowance, local month) the pass is one cumulative sum:

    free = clip(balance - quantity used by earlier events of the pool, 0, quantity)

Several allowances of an offering are passes one after the other, in the order of the tariff file,
each over what the ones before left; that equals event-by-event consumption (rating 4.6).
"""

from dataclasses import dataclass

import numpy as np

from ledger.errors import Invalid
from rating.clock import months
from rating.tariff import TariffBook
from rating.usage import Int16, Int32, Int64, Reason, UsageBatch

NOT_STATED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Counters:
    """What each pool has used, one row per pool in order of (subscription, allowance, month).

    `last_start` and `last_key` name the last event served. An older event that comes afterwards
    would have changed what was served: it leaves with reason LATE, and the month is rated again.
    """

    subscription: Int32
    allowance: Int32  # index into `book.allowances`
    month: Int32  # year * 12 + month - 1
    used: Int64
    granted: Int64  # NOT_STATED: what the book says
    last_start: Int64
    last_key: Int64

    def __len__(self) -> int:
        return len(self.used)

    @classmethod
    def none(cls) -> "Counters":
        """Make the counters of a month in which nothing has been used."""
        codes, sums = np.zeros(0, np.int32), np.zeros(0, np.int64)
        return cls(codes, codes, codes, sums, sums, sums, sums)

    @classmethod
    def grants(
        cls, subscription: Int32, allowance: Int32, month: Int32, granted: Int64
    ) -> "Counters":
        """Make unused counters that state what is granted, for prorated allowances.

        Raises `Invalid` when a pool is named twice or a grant is negative.
        """
        order = np.lexsort((month, allowance, subscription))
        key = np.stack([subscription, allowance, month])[:, order]
        if len(order) and granted.min() < 0:
            raise Invalid("An allowance cannot grant less than nothing.")
        if (key[:, 1:] == key[:, :-1]).all(axis=0).any():
            raise Invalid("A pool is granted twice; sum its grants first.")
        never = np.full(len(order), np.iinfo(np.int64).min)
        return cls(
            key[0].astype(np.int32), key[1].astype(np.int32), key[2].astype(np.int32),
            np.zeros(len(order), np.int64), granted[order].astype(np.int64), never, never.copy(),
        )  # fmt: skip


def consume(
    batch: UsageBatch, cell: Int32, reason: Int16, book: TariffBook, counters: Counters
) -> tuple[Int64, Counters]:
    """Serve the priced events of a batch from their allowances.

    Parameters
    ----------
    batch : the events.
    cell : (n,) index into `book.cells`, -1 where unpriced.
    reason : (n,) reasons so far; events that NO_GRANT or LATE suspends are marked in place.
    counters : what was used before; pools may be missing.

    Returns
    -------
    free : (n,) int64, the part of each quantity that an allowance covers.
    counters : what is used now, of all pools seen before or touched here.
    """
    if len(counters) or book.prorated.any():
        # Before anything is served: an event that one allowance suspends must not use another.
        _suspend(batch, cell, reason, book, counters)
    free = np.zeros(len(batch), np.int64)
    for slot in range(book.cells.allowances.shape[1]):
        rows, allowance = _candidates(batch, cell, reason, book, slot)
        rows, allowance = rows[left := batch.quantity[rows] > free[rows]], allowance[left]
        if len(rows):
            counters = _pass(batch, rows, allowance, free, book, counters)
    return free, counters


def _candidates(
    batch: UsageBatch, cell: Int32, reason: Int16, book: TariffBook, slot: int
) -> tuple[Int64, Int32]:
    """Give the rows that may use an allowance of this slot, and which allowance that is."""
    served = np.append(book.cells.allowances[:, slot], np.int32(-1))[cell]
    wants = (served >= 0) & (reason == Reason.OK) & (batch.quantity > 0)
    rows = np.flatnonzero(wants)
    return rows, served[rows]


def _suspend(
    batch: UsageBatch, cell: Int32, reason: Int16, book: TariffBook, counters: Counters
) -> None:
    """Mark the events that cannot be served in order, or whose grant nobody stated."""
    late, ungranted = np.zeros(len(batch), np.bool_), np.zeros(len(batch), np.bool_)
    for slot in range(book.cells.allowances.shape[1]):
        rows, allowance = _candidates(batch, cell, reason, book, slot)
        start, key = batch.started_at[rows], batch.event_key[rows]
        pools = _look_up(counters, batch.subscription[rows], allowance, months(book.clock, start))
        late[rows] |= (start < pools.last_start) | (
            (start == pools.last_start) & (key <= pools.last_key)
        )
        ungranted[rows] |= book.prorated[allowance] & (pools.granted == NOT_STATED)
    reason[late] = Reason.LATE
    reason[ungranted] = Reason.NO_GRANT


def _pass(
    batch: UsageBatch,
    rows: Int64,
    allowance: Int32,
    free: Int64,
    book: TariffBook,
    counters: Counters,
) -> Counters:
    """Serve one allowance of each event of `rows`; adds to `free`, gives the counters after."""
    order = _event_order(batch, rows, allowance)
    rows, allowance = rows[order], allowance[order]
    subscription, start = batch.subscription[rows], batch.started_at[rows]
    month = months(book.clock, start)
    first = np.ones(len(rows), np.bool_)
    first[1:] = (
        (subscription[1:] != subscription[:-1])
        | (allowance[1:] != allowance[:-1])
        | (month[1:] != month[:-1])
    )
    heads = np.flatnonzero(first)
    pool = np.cumsum(first) - 1
    pools = _look_up(counters, subscription[heads], allowance[heads], month[heads])
    granted = np.where(pools.granted == NOT_STATED, book.granted[pools.allowance], pools.granted)
    given = _serve(
        batch.quantity[rows] - free[rows], np.maximum(granted - pools.used, 0), heads, pool
    )
    free[rows] += given
    used = pools.used + np.add.reduceat(given, heads)
    tails = np.append(heads[1:], len(rows)) - 1
    touched = Counters(
        pools.subscription, pools.allowance, pools.month, used, pools.granted,
        start[tails], batch.event_key[rows[tails]],
    )  # fmt: skip
    return _merge(counters, touched)


def _serve(wanted: Int64, balance: Int64, heads: Int64, pool: Int64) -> Int64:
    """Give each event of a pool what earlier ones left: (n,) wanted, (p,) balance."""
    limit = balance[pool]
    # An event that wants more than the whole balance empties the pool just as if it wanted the
    # balance: the cut keeps the running sum of a pool inside int64. (The running sum over all pools
    # may wrap; differences within a pool are exact all the same.)
    cut = np.minimum(wanted, limit)
    lengths = np.diff(np.append(heads, len(wanted)))
    if int(lengths.max()) * int(balance.max(initial=0)) >= 2**62:
        return _serve_slowly(wanted, balance, pool)
    before = np.cumsum(cut) - cut
    before -= before[heads][pool]
    given: Int64 = np.clip(limit - before, 0, wanted)
    return given


def _serve_slowly(wanted: Int64, balance: Int64, pool: Int64) -> Int64:
    """Do the same event by event, for pools whose sums might not fit."""
    left = balance.tolist()
    given = np.zeros(len(wanted), np.int64)
    for row, (want, number) in enumerate(zip(wanted.tolist(), pool.tolist(), strict=True)):
        given[row] = min(want, left[number])
        left[number] -= int(given[row])
    return given


def _event_order(batch: UsageBatch, rows: Int64, allowance: Int32) -> Int64:
    """Order rows by (subscription, allowance, start, event key): pools are then contiguous."""
    subscription = batch.subscription[rows].astype(np.int64)
    start = batch.started_at[rows]
    earliest = int(start.min())
    time_bits = (int(start.max()) - earliest).bit_length()
    kind_bits = int(allowance.max()).bit_length()
    if int(subscription.max()).bit_length() + kind_bits + time_bits > 62:
        return np.lexsort((batch.event_key[rows], start, allowance, subscription))
    packed = (subscription << (kind_bits + time_bits)) | (
        (allowance.astype(np.int64) << time_bits) | (start - earliest)
    )
    order: Int64 = np.argsort(packed)
    packed = packed[order]
    tied = np.zeros(len(rows), np.bool_)
    same = packed[1:] == packed[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    if tied.any():
        places = np.flatnonzero(tied)
        among = np.lexsort((batch.event_key[rows[order[places]]], packed[places]))
        order[places] = order[places][among]
    return order


def _look_up(counters: Counters, subscription: Int32, allowance: Int32, month: Int32) -> Counters:
    """Find the counters of pools; a pool that is not there has used nothing."""
    count = len(subscription)
    used, granted = np.zeros(count, np.int64), np.full(count, NOT_STATED, np.int64)
    never = np.iinfo(np.int64).min
    last_start, last_key = np.full(count, never), np.full(count, never)
    if len(counters):
        at = _positions(counters, subscription, allowance, month)
        known = np.flatnonzero(at >= 0)
        at = at[known]
        used[known], granted[known] = counters.used[at], counters.granted[at]
        last_start[known], last_key[known] = counters.last_start[at], counters.last_key[at]
    return Counters(subscription, allowance, month, used, granted, last_start, last_key)


def _positions(counters: Counters, subscription: Int32, allowance: Int32, month: Int32) -> Int64:
    known = _pool_codes(counters.subscription, counters.allowance, counters.month)
    asked = _pool_codes(subscription, allowance, month)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[at] == asked, at, -1)


def _pool_codes(subscription: Int32, allowance: Int32, month: Int32) -> Int64:
    """Pack a pool into one integer: 31 bits of subscription, 16 of allowance, 16 of month."""
    packed: Int64 = (subscription.astype(np.int64) << 32) | (
        (allowance.astype(np.int64) << 16) | month
    )
    return packed


def _merge(counters: Counters, touched: Counters) -> Counters:
    """Put the touched pools in the place of what they were, in pool order."""
    columns = [getattr(touched, name) for name in Counters.__slots__]
    if len(counters):
        at = _positions(counters, *columns[:3])
        untouched = np.ones(len(counters), np.bool_)
        untouched[at[at >= 0]] = False
        columns = [
            np.concatenate([getattr(counters, name)[untouched], column])
            for name, column in zip(Counters.__slots__, columns, strict=True)
        ]
    order = np.argsort(_pool_codes(*columns[:3]), kind="stable")
    return Counters(*(column[order] for column in columns))
