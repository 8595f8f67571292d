"""Buckets of any kind, shared by any number of subscribers, drawn on in the order of events.

A pool has buckets; an event draws on those it may use, by lowest preference, then in the pool's
order of use, until nothing is left to cover. What one bucket gives depends on earlier events of
that bucket alone, so with one order of buckets per pool the work is one pass of `rating.drawing`
per place in that order, over all pools at once. Pools that have no such order (kinds of events
prefer buckets differently, or are debited in different increments of one balance, or a bucket is
topped up and capped at the same time) are found from their terms and served event by event, with
the same outcome; how many events went that way is counted.

Source: docs/pricing.md, "Allowances"; the allowance kind of the pricing case format.
"""

from dataclasses import dataclass

import numpy as np

from ledger.errors import Invalid
from rating.drawing import NO_CAP, Cost, in_increments, pay, with_inflows, within_caps
from rating.looping import serve_in_a_loop
from rating.pools import (
    ALWAYS,
    NOT_USED,
    UNDATED,
    Buckets,
    Demands,
    Inflows,
    no_inflows,
    pair,
)
from rating.rounding import FITS, Integers, check_integers
from rating.usage import Bool, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """What was served, and the counters afterwards: balances and what capped members drew."""

    free: Integers  # (n,) covered of each event
    row: Int64  # (t,) takes: event, bucket, what it covers and what the bucket loses
    bucket: Int64
    covered: Integers
    drawn: Integers
    balance: Integers  # (b,)
    member: Int64  # pairs (bucket, subscriber) with a cap, ascending
    member_drawn: Integers
    looped: int  # events that were served one by one


def serve(
    buckets: Buckets,
    demands: Demands,
    cost: Cost | None = None,
    inflows: Inflows | None = None,
    drawn_before: tuple[Int64, Integers] | None = None,
) -> Served:
    """Serve all events from all buckets.

    Parameters
    ----------
    cost : prices the events (rows of `demands`) for money buckets.
    inflows : top-ups; none by default.
    drawn_before : `member` and `member_drawn` of the events before these.

    Returns
    -------
    The same for any order of rows. Quantities of zero or less get nothing.

    Raises
    ------
    Invalid : a column is no int64, or a money bucket comes without prices.
    """
    for column, what in ((buckets.balance, "Balances"), (demands.quantity, "Quantities")):
        check_integers(column, what)
    if cost is None and buckets.money.any():
        raise Invalid("A money bucket needs the prices of its events.")
    work = _Work(buckets, demands, cost, inflows or no_inflows(), drawn_before)
    loops = _without_order(buckets, work.inflows)
    looped = work.in_a_loop(loops)
    for place in range(work.places):
        work.serve_place(place, loops)
    return work.outcome(looped)


def _without_order(buckets: Buckets, inflows: Inflows) -> Int64:
    """Find the pools that one pass per bucket cannot serve, from their terms alone."""
    used = buckets.preference != NOT_USED
    lowest = buckets.preference.min(axis=1, initial=NOT_USED)
    highest = np.where(used, buckets.preference, -1).max(axis=1, initial=-1)
    alone = _count_of(buckets.pool) == 1
    torn = (highest > lowest) & ~alone
    step = np.maximum(buckets.increment, 1)
    coarse = np.where(used, step, 0).max(axis=1, initial=0)
    fine = np.where(used, step, coarse[:, None]).min(axis=1, initial=FITS)
    torn |= (coarse > fine) & ~buckets.money
    flows = np.isin(np.arange(len(buckets.pool)), inflows.bucket)
    torn |= flows & (buckets.money | (buckets.cap != NO_CAP))
    torn |= buckets.money & (buckets.cap != NO_CAP)
    return np.unique(buckets.pool[torn])


def _count_of(pool: Int64) -> Int64:
    _, place, count = np.unique(pool, return_inverse=True, return_counts=True)
    counted: Int64 = count[place]
    return counted


class _Work:
    """The state of one call: what is still wanted, what buckets hold, what members drew."""

    def __init__(
        self, buckets: Buckets, demands: Demands, cost: Cost | None, inflows: Inflows,
        before: tuple[Int64, Integers] | None,
    ) -> None:  # fmt: skip
        self.buckets, self.demands, self.cost, self.inflows = buckets, demands, cost, inflows
        self.balance = buckets.balance.copy()
        self.order = np.lexsort((demands.key, demands.start, demands.pool))
        self.free = np.zeros_like(demands.quantity)
        pairs = zip(*(column.tolist() for column in before), strict=True) if before else ()
        self.drawn_by: dict[int, int] = dict(pairs)
        self.takes: list[tuple[Int64, Int64, Integers, Integers]] = []
        preference = buckets.preference.min(axis=1, initial=NOT_USED)
        ranked = np.lexsort((buckets.order, preference, buckets.pool))
        self.pools, first = np.unique(buckets.pool[ranked], return_index=True)
        last = np.append(first[1:], len(ranked))
        self.ranked, self.first, self.last = ranked, first, last
        self.places = int((last - first).max(initial=0))

    def serve_place(self, place: int, loops: Int64) -> None:
        """Serve the buckets that are number `place` in the order of their pools."""
        has = np.flatnonzero(self.last - self.first > place)
        has = has[~np.isin(self.pools[has], loops)]
        bucket_of_pool = np.full(len(self.pools), -1)
        bucket_of_pool[has] = self.ranked[self.first[has] + place]
        rows = self.order[self._wanting(self.order)]
        at = np.minimum(
            np.searchsorted(self.pools, self.demands.pool[rows]), len(self.pools) - 1
        )  # fmt: skip
        found = self.pools[at] == self.demands.pool[rows]
        bucket = np.where(found, bucket_of_pool[at], -1)
        rows, bucket = rows[bucket >= 0], bucket[bucket >= 0]
        good = self._may_use(rows, bucket)
        rows, bucket = rows[good], bucket[good]
        for kind in ("money", "flowing", "plain"):
            of_kind = self._kind(bucket) == kind
            self._draw(kind, rows[of_kind], bucket[of_kind])

    def _wanting(self, rows: Int64) -> Bool:
        wants: Bool = (self.demands.quantity[rows] > self.free[rows]).astype(np.bool_)
        return wants

    def _may_use(self, rows: Int64, bucket: Int64) -> Bool:
        """Say which rows may use the bucket beside them."""
        b, d = self.buckets, self.demands
        may: Bool = b.preference[bucket, d.kind[rows]] != NOT_USED
        at = d.at[rows]
        may &= (at == UNDATED) | ((b.valid_from[bucket] <= at) & (at < b.valid_to[bucket]))
        closed = np.flatnonzero(b.restricted[bucket])
        may[closed] &= np.isin(pair(bucket[closed], d.subscriber[rows[closed]]), b.members)
        return may

    def _kind(self, bucket: Int64) -> np.ndarray:
        flows = np.isin(bucket, self.inflows.bucket)
        return np.where(self.buckets.money[bucket], "money", np.where(flows, "flowing", "plain"))

    def _draw(self, kind: str, rows: Int64, bucket: Int64) -> None:
        if kind == "flowing":
            given, drawn = self._draw_flowing(rows, bucket)
        elif not len(rows):
            return
        elif kind == "money":
            assert self.cost is not None
            wanted = self.demands.quantity[rows] - self.free[rows]
            given, drawn = pay(wanted, self.balance, bucket, rows, self.cost)
        else:
            given, drawn = self._draw_plain(rows, bucket)
        self._book(rows, bucket, given, drawn)

    def _draw_plain(self, rows: Int64, bucket: Int64) -> tuple[Integers, Integers]:
        wanted = self.demands.quantity[rows] - self.free[rows]
        member = self.demands.subscriber[rows]
        step = np.zeros_like(self.balance)
        step[bucket] = self.buckets.increment[bucket, self.demands.kind[rows]]
        cap = self.buckets.cap[bucket].copy()
        for place in np.flatnonzero(cap != NO_CAP).tolist():
            before = self.drawn_by.get(int(pair(bucket[place], member[place])), 0)
            cap[place] = max(int(cap[place]) - before, 0)
        allowed = within_caps(wanted, cap, step, bucket, member)
        given, drawn = in_increments(allowed, np.maximum(self.balance, 0), step, bucket)
        return given, drawn

    def _draw_flowing(self, rows: Int64, bucket: Int64) -> tuple[Integers, Integers]:
        """Merge events and top-ups by time, a top-up first, and draw on the moving balance."""
        flows, d = self.inflows, self.demands
        mine = np.flatnonzero(np.isin(flows.bucket, self.ranked))
        mine = mine[np.isin(flows.bucket[mine], bucket)]
        order = np.lexsort((
            np.concatenate([np.full(len(mine), ALWAYS), d.key[rows]]),
            np.concatenate([flows.start[mine], d.start[rows]]),
            np.concatenate([flows.bucket[mine], bucket]),
        ))  # fmt: skip
        every = np.concatenate([flows.bucket[mine], bucket])
        step = np.ones_like(self.balance)
        step[bucket] = np.maximum(self.buckets.increment[bucket, d.kind[rows]], 1)
        counts = -(-(d.quantity[rows] - self.free[rows]) // step[bucket])
        inflow = _whole_inflows(flows, mine, step, self.balance)
        change = np.concatenate([-inflow, counts])[order]
        merged = with_inflows(change, np.maximum(self.balance, 0) // step, every[order])
        taken = np.zeros_like(change)
        taken[order] = merged
        drawn = taken[len(mine) :] * step[bucket]
        return np.minimum(drawn, d.quantity[rows] - self.free[rows]), drawn

    def _book(self, rows: Int64, bucket: Int64, given: Integers, drawn: Integers) -> None:
        took = np.flatnonzero(((given > 0) | (drawn > 0)).astype(np.bool_))
        rows, bucket, given, drawn = rows[took], bucket[took], given[took], drawn[took]
        self.free[rows] += given
        if not len(rows):
            return
        starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
        self.balance[bucket[starts]] -= np.add.reduceat(drawn, starts)
        self.takes.append((rows, bucket, given, drawn))
        capped = np.flatnonzero(self.buckets.cap[bucket] != NO_CAP)
        names = pair(bucket[capped], self.demands.subscriber[rows[capped]])
        for name, amount in zip(names.tolist(), drawn[capped].tolist(), strict=True):
            self.drawn_by[name] = self.drawn_by.get(name, 0) + amount

    def in_a_loop(self, loops: Int64) -> int:
        """Serve the pools without one order, event by event."""
        rows = self.order[np.isin(self.demands.pool[self.order], loops)]
        rows = rows[self._wanting(rows)]
        if not len(rows):
            return 0
        looped = serve_in_a_loop(
            self.buckets, self.demands, self.cost, self.inflows, rows, self.drawn_by
        )
        if looped.row:
            dtype = self.balance.dtype
            self.takes.append((
                np.array(looped.row), np.array(looped.bucket),
                np.array(looped.covered, dtype), np.array(looped.drawn, dtype),
            ))  # fmt: skip
            np.add.at(self.free, self.takes[-1][0], self.takes[-1][2])
            np.subtract.at(self.balance, self.takes[-1][1], self.takes[-1][3])
        return len(rows)

    def outcome(self, looped: int) -> Served:
        """Collect what was served; top-ups are in the balances."""
        if len(self.inflows.bucket):
            np.add.at(self.balance, self.inflows.bucket, self.inflows.amount)
        none = np.zeros(0, np.int64)
        empty = (none, none, self.free[:0], self.balance[:0])
        columns = [np.concatenate(parts) for parts in zip(*([empty, *self.takes]), strict=True)]
        order = np.lexsort((columns[1], columns[0]))
        row, bucket, covered, drawn = (column[order] for column in columns)
        names = sorted(self.drawn_by)
        amounts = np.array([self.drawn_by[name] for name in names], self.balance.dtype)
        return Served(
            self.free, row, bucket, covered, drawn, self.balance,
            np.array(names, np.int64), amounts, looped,
        )  # fmt: skip


def _whole_inflows(
    flows: Inflows, mine: Int64, step: Integers, balance: Integers
) -> Integers:  # fmt: skip
    """Give the increments each top-up makes whole, with what lay in the bucket before it."""
    whole = np.zeros_like(flows.amount[mine])
    total: dict[int, int] = {}
    for place in np.lexsort((flows.start[mine], flows.bucket[mine])).tolist():
        bucket = int(flows.bucket[mine[place]])
        before = total.get(bucket, int(balance[bucket]))
        total[bucket] = before + int(flows.amount[mine[place]])
        # An overdrawn bucket makes up for that first.
        size = int(step[bucket])
        whole[place] = max(total[bucket], 0) // size - max(before, 0) // size
    return whole
