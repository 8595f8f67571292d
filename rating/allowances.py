"""Allowances: what a subscription has included each month, used in the order of events.

Events are ordered by start and then by event key, so the outcome does not depend on arrival. A pool
is an allowance of an owner in a local month; the owner is the subscription, or those who share. The
allowances of an offering are passes one after the other, in layers of their order, each over what
the ones before left; an allowance is served in one pass for all kinds of events, so that equals
event-by-event consumption.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ledger.errors import Invalid
from rating.allowance_terms import BOUGHT
from rating.drawing import NO_CAP, Cost, in_increments, in_turn, pay, within_caps
from rating.ordering import heads_of
from rating.queues import Queue, event_order, queue_of
from rating.tariff import TariffBook
from rating.top_ups import TopUps, draw_bought
from rating.usage import Bool, Int16, Int32, Int64, Reason, UsageBatch

NOT_STATED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Counters:
    """What each pool has used, one row per pool in order of (subscription, allowance, month).

    In the place of the subscription stands the code of the pool where the allowance is shared.

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

    def take(self, rows: Int64) -> "Counters":
        """Select pools."""
        return Counters(*(getattr(self, name)[rows] for name in Counters.__slots__))

    @classmethod
    def none(cls) -> "Counters":
        """Make the counters of a month in which nothing has been used."""
        codes, sums = np.zeros(0, np.int32), np.zeros(0, np.int64)
        return cls(codes, codes, codes, sums, sums, sums, sums)

    @classmethod
    def grants(
        cls, subscription: Int32, allowance: Int32, month: Int32, granted: Int64
    ) -> "Counters":
        """Make unused counters that state what is granted, for prorated and shared ones.

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
    batch: UsageBatch, cell: Int32, reason: Int16, book: TariffBook, counters: Counters,
    cost: Cost | None = None, top_ups: TopUps | None = None,
) -> tuple[Int64, Counters]:  # fmt: skip
    """Serve the priced events of a batch from their allowances, in the layers of their order.

    Parameters
    ----------
    batch : the events.
    cell : (n,) index into `book.cells`, -1 where unpriced.
    reason : (n,) reasons so far; events that NO_GRANT or LATE suspends are marked in place.
    counters : what was used before; pools may be missing.
    cost : what parts of events cost, where the book has allowances of money.
    top_ups : what was bought; left out, nothing.

    Returns
    -------
    free : (n, layers) int64, what the allowance of each layer covers of each quantity.
    counters : what is used now, of all pools seen before or touched here.
    """
    layers = book.cells.allowances.shape[1]
    if not book.allowances:
        return np.broadcast_to(np.int64(0), (len(batch), layers)), counters
    # By layer in memory, so that a layer is one column.
    free = np.zeros((layers, len(batch)), np.int64).T
    order = event_order(batch)
    queues = [queue_of(batch, cell, reason, book, layer, order) for layer in range(layers)]
    before = [_look_up(counters, queue.owner, queue.allowance, queue.month) for queue in queues]
    # Before anything is served: an event that one allowance suspends must not use another.
    if _suspend(batch, queues, before, reason, book):
        queues = [queue.only(reason[queue.rows] == Reason.OK) for queue in queues]
    touched: list[Counters] = []
    for layer, (candidates, pools) in enumerate(zip(queues, before, strict=True)):
        queue, wanted = candidates, batch.quantity[candidates.rows]
        if layer:
            wanted = wanted - free[candidates.rows, :layer].sum(axis=1)
            stays = wanted > 0
            queue, wanted = candidates.only(stays), wanted[stays]
        if len(queue):
            touched += _pass(
                batch, queue, wanted, free[:, layer], pools, book, counters, cost,
                top_ups or TopUps.none(),
            )  # fmt: skip
    return free, _merge(counters, touched)


def _suspend(
    batch: UsageBatch, queues: Sequence[Queue], before: Sequence[Counters], reason: Int16,
    book: TariffBook,
) -> bool:  # fmt: skip
    """Mark the events that cannot be served in order, or whose grant nobody stated, if any."""
    late: list[Int64] = []
    ungranted: list[Int64] = []
    for queue, pools in zip(queues, before, strict=True):
        start = batch.started_at[queue.rows]
        # Mostly all that comes now is later than all that was served.
        if len(queue) and int(start.min()) <= int(pools.last_start.max()):
            key, served = batch.event_key[queue.rows], pools.last_start[queue.pool]
            late.append(queue.rows_at(
                (start < served) | ((start == served) & (key <= pools.last_key[queue.pool]))
            ))  # fmt: skip
        unstated = book.included.stated[queue.allowance] & (pools.granted == NOT_STATED)
        if unstated.any():
            ungranted.append(queue.rows_at(unstated[queue.pool]))
    for why, marked in ((Reason.LATE, late), (Reason.NO_GRANT, ungranted)):
        for rows in marked:
            reason[rows] = why
    return any(len(rows) for rows in (*late, *ungranted))


def _pass(
    batch: UsageBatch, queue: Queue, wanted: Int64, free: Int64, pools: Counters,
    book: TariffBook, counters: Counters, cost: Cost | None, top_ups: TopUps,
) -> list[Counters]:  # fmt: skip
    """Serve one allowance of each event of a queue; writes `free`, gives what it touched.

    Parameters
    ----------
    pools, counters : before any event: those of the pools of the queue, and all. What one layer
        touches no other does, since an allowance is of one layer.
    """
    stated = pools.granted != NOT_STATED
    granted = np.where(stated, pools.granted, book.included.quantity[pools.allowance])
    balance = np.maximum(granted - pools.used, 0)
    members = None
    if _is_plain(queue.allowance, book, top_ups):
        increment = book.included.increment[queue.allowance]
        if isinstance(queue.rows, slice):  # In its place: no column of all events more.
            free[queue.rows] = wanted
            drawn = in_turn(free[queue.rows], balance, increment, queue.pool)
        else:
            drawn = in_turn(wanted, balance, increment, queue.pool)
            free[queue.rows] = wanted
    else:
        drawn, members = _pass_by_pool(
            batch, queue, wanted, free, pools, balance, book, counters, cost, top_ups
        )
    last = queue.last()
    touched = np.flatnonzero(last >= 0)
    rows = queue.rows_at(last[touched])
    after = replace(
        replace(pools, used=pools.used + drawn).take(touched),
        last_start=batch.started_at[rows], last_key=batch.event_key[rows],
    )  # fmt: skip
    return [after] if members is None else [after, members]


def _is_plain(allowance: Int32, book: TariffBook, top_ups: TopUps) -> bool:
    """Say whether all pools of these allowances hold units that nobody caps or tops up."""
    included = book.included
    plain: Bool = (included.cap == NO_CAP) & ~included.money
    if len(top_ups):
        plain &= included.age != BOUGHT
    return bool(plain[allowance].all())


def _pass_by_pool(
    batch: UsageBatch, queue: Queue, wanted: Int64, free: Int64, pools: Counters, balance: Int64,
    book: TariffBook, counters: Counters, cost: Cost | None, top_ups: TopUps,
) -> tuple[Int64, Counters | None]:  # fmt: skip
    """Serve pools of any kind, the events of each put together; writes `free`.

    Returns
    -------
    drawn : (pools,) what each loses.
    members : what the members of capped pools have used now, None where none is capped.
    """
    queue, order = queue.by_pool()
    wanted = wanted[order]
    members = _members(batch, queue, book, counters)
    free[queue.rows], drawn = _draw(wanted, balance, queue, members, book, cost)
    if len(top_ups):
        bought = np.flatnonzero((book.included.age[queue.allowance] == BOUGHT)[queue.pool])
        rows, of = queue.rows_at(bought), queue.pool[bought]
        by_then = top_ups.by(
            queue.owner[of], queue.allowance[of], queue.month[of], batch.started_at[rows]
        )
        free[rows], drawn[bought] = draw_bought(
            wanted[bought], by_then, pools.used, book.included.increment[queue.allowance], of
        )
    heads = heads_of(queue.pool)
    lost = np.zeros(len(balance), np.int64)
    lost[queue.pool[heads]] = np.add.reduceat(drawn, heads)
    return lost, None if members is None else members.after(drawn)


@dataclass(frozen=True, slots=True, eq=False)
class _Members:
    """What the members of capped pools have used before, and to whom of them each row belongs.

    A member's use of allowance a is counted as that of allowance a + the number of allowances.
    """

    counters: Counters  # one row a member and pool
    member: Int64  # (n,) row of `counters`, -1 where the allowance has no cap
    left: Int64  # (n,) of the cap before these events, NO_CAP where there is none

    def after(self, drawn: Int64) -> Counters:
        """Add what was drawn."""
        capped = self.member >= 0
        used = self.counters.used.copy()
        np.add.at(used, self.member[capped], drawn[capped])
        return replace(self.counters, used=used)


def _members(
    batch: UsageBatch, queue: Queue, book: TariffBook, counters: Counters
) -> _Members | None:
    cap = book.included.cap[queue.allowance]
    if (cap == NO_CAP).all():
        return None
    cap = cap[queue.pool]
    capped = np.flatnonzero(cap != NO_CAP)
    of = queue.pool[capped]
    code = queue.allowance + np.int32(len(book.allowances))
    names = np.stack([batch.subscription[queue.rows_at(capped)], code[of], queue.month[of]])
    unique, place = np.unique(names, axis=1, return_inverse=True)
    before = _look_up(counters, *(column.astype(np.int32) for column in unique))
    member = np.full(len(cap), -1)
    member[capped] = place.ravel()
    left = np.full(len(cap), NO_CAP, np.int64)
    left[capped] = np.maximum(cap[capped] - before.used[member[capped]], 0)
    return _Members(before, member, left)


def _draw(
    wanted: Int64, balance: Int64, queue: Queue, members: _Members | None, book: TariffBook,
    cost: Cost | None,
) -> tuple[Int64, Int64]:  # fmt: skip
    """Draw on the balances of pools: what each row gets, and what its pool loses."""
    pool, increment = queue.pool, book.included.increment[queue.allowance]
    if members is not None:
        wanted = within_caps(wanted, members.left, increment, pool, members.member)
    money = book.included.money[queue.allowance]
    if not money.any():
        return in_increments(wanted, balance, increment, pool)
    assert cost is not None
    given, drawn = np.zeros_like(wanted), np.zeros_like(wanted)
    for paid in (False, True):
        mine = np.flatnonzero(money[pool] == paid)
        if paid:
            rows = queue.rows_at(mine)
            given[mine], drawn[mine] = pay(wanted[mine], balance, pool[mine], rows, cost)
        else:
            given[mine], drawn[mine] = in_increments(wanted[mine], balance, increment, pool[mine])
    return given, drawn


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


def _merge(counters: Counters, touched: Sequence[Counters]) -> Counters:
    """Put the touched pools in the place of what they were, in pool order."""
    if not any(len(each) for each in touched):
        return counters
    joined = Counters(
        *(np.concatenate([getattr(each, name) for each in (counters, *touched)])
          for name in Counters.__slots__)
    )  # fmt: skip
    codes = _pool_codes(joined.subscription, joined.allowance, joined.month)
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    newest = np.ones(len(codes), np.bool_)
    newest[:-1] = codes[1:] != codes[:-1]
    return joined.take(order[newest])


def carry_over(
    counters: Counters, before: TariffBook, after: TariffBook, granted: Counters | None
) -> Counters:
    """Go on with the counters of one version in the next: what was used of a name stays used.

    Parameters
    ----------
    counters : as rating by `before` left them.
    granted : what `after` cannot know of its grants; None where it knows all.

    An allowance that the next version no longer has, or counts in money and not in use, is over.
    """
    size, was = len(before.allowances), before.included.money
    code = np.full(2 * size, -1, np.int64)
    for number, name in enumerate(before.allowances):
        if name in after.allowances:
            place = after.allowances.index(name)
            if was[number] == after.included.money[place]:
                # The second half counts what members used of capped allowances.
                code[number], code[number + size] = place, place + len(after.allowances)
    allowance = code[counters.allowance]
    kept = np.flatnonzero(allowance >= 0)
    columns = {name: getattr(counters, name)[kept] for name in Counters.__slots__}
    columns["allowance"] = allowance[kept].astype(np.int32)
    columns["granted"] = np.full(len(kept), NOT_STATED, np.int64)
    went_on = _merge(Counters.none(), [Counters(**columns)])
    if granted is None or not len(granted):
        return went_on
    pools = (granted.subscription, granted.allowance, granted.month)
    return _merge(went_on, [replace(_look_up(went_on, *pools), granted=granted.granted)])
