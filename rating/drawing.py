"""Drawing on balances: what each event gets of a bucket that earlier events drew on before it.

Every function but `in_turn` takes rows that lie together per bucket, in event order within it, and
answers for all buckets at once. A bucket is exact (any quantity), in whole increments, capped per
member, or money (as many whole increments of the event's price as the balance pays for).

    given = clip(balance - drawn by earlier events, 0, wanted)

Columns are int64; where a running sum might not fit, the same code runs on Python's integers.
Source: docs/pricing.md, "Allowances".
"""

from collections.abc import Callable

import numpy as np

from rating.ordering import STRETCH, heads_of, in_stable_order, runs
from rating.rounding import FITS, Integers, largest
from rating.usage import Int64

# Gives what some quantities of some events cost, in units of money: (rows, quantity) -> amounts.
# It must not fall when the quantity grows, and quantity 0 costs 0.
Cost = Callable[[Int64, Integers], Integers]

NO_CAP = -1
# Beyond so many rounds, the rows that are left are paid for one by one.
_MOST_ROUNDS = 64


def first_come(wanted: Integers, balance: Integers, bucket: Int64) -> Integers:
    """Give each row what the rows before it left of its bucket.

    Parameters
    ----------
    wanted : (n,) not negative.
    balance : (b,) not negative.
    bucket : (n,) index into `balance`; equal ones lie together.

    Returns
    -------
    (n,) given; the rest of `wanted` is not covered.
    """
    if not len(wanted):
        return wanted.copy()
    heads, cut = heads_of(bucket), wanted
    if wanted.dtype != np.object_ and len(wanted) * largest(wanted) >= FITS:
        # Who wants more than the whole balance empties the bucket just as if he wanted the balance:
        # the cut keeps the sum of a bucket small. (The sum over all buckets may wrap in int64; the
        # differences within a bucket are exact all the same.)
        cut = np.minimum(wanted, balance[bucket])
        lengths = np.diff(np.append(heads, len(bucket)))
        if int(lengths.max()) * largest(balance[bucket[heads]]) >= FITS:
            exact = first_come(wanted.astype(object), balance.astype(object), bucket)
            return exact.astype(np.int64)
    before = np.cumsum(cut) - cut
    # Sums run on from bucket to bucket: each balance begins at what was wanted before it.
    runs_out = balance.astype(np.result_type(balance, cut))
    runs_out[bucket[heads]] += before[heads]
    given: Integers = runs_out[bucket]
    given -= before
    np.maximum(given, 0, out=given)
    return np.minimum(given, wanted, out=given)


def in_increments(
    wanted: Integers, balance: Integers, increment: Integers, bucket: Int64
) -> tuple[Integers, Integers]:
    """Draw whole increments; what is smaller than an increment stays in the bucket for ever.

    Parameters
    ----------
    increment : (b,) of the bucket; 0 draws exactly what is wanted.

    Returns
    -------
    given : (n,) what is covered of `wanted`; a started increment covers no more than was wanted.
    drawn : (n,) what the bucket loses.
    """
    if not (increment > 1).any():
        given = first_come(wanted, balance, bucket)
        return given, given
    step = np.maximum(increment, 1)
    of_row = step[bucket]
    counts = first_come(-(-wanted // of_row), balance // step, bucket)
    drawn = counts * of_row
    return np.minimum(wanted, drawn), drawn


def in_turn(wanted: Int64, balance: Int64, increment: Int64, bucket: Int64) -> Int64:
    """Draw whole increments as `in_increments` does, by rows in event order whose buckets mix.

    Nothing is sorted but what has to be: of each stretch of rows a bucket either holds all that it
    is asked for, or is empty, or runs out right there. Only the rows of the last kind are put
    together.

    Parameters
    ----------
    wanted : (n,) what is covered of it stands there afterwards.

    Returns
    -------
    (b,) what each bucket loses.
    """
    step = np.maximum(increment, 1)
    exact = bool((step == 1).all())
    taken = wanted if exact else -(-wanted // step[bucket])
    full = balance if exact else balance // step
    left = full.copy()
    most = min(largest(taken), largest(left))
    if min(len(taken), STRETCH) * most + largest(left) >= FITS:
        _, order = in_stable_order(bucket, len(balance).bit_length())
        taken[order] = first_come(taken[order], left, bucket[order])
        np.subtract.at(left, bucket, taken)
    else:
        for begin in range(0, len(taken), STRETCH):
            rows = slice(begin, begin + STRETCH)
            _take_in_turn(taken[rows], left, bucket[rows])
    if not exact:
        np.minimum(wanted, taken * step[bucket], out=wanted)
    return (full - left) * step


def _take_in_turn(taken: Int64, left: Int64, bucket: Int64) -> None:
    """Cut what a stretch of rows takes to what is left of their buckets, and take that."""
    # Who wants more than is left empties the bucket just as if he wanted that much; mostly he is
    # the only one of the stretch, and served by this.
    np.minimum(taken, left[bucket], out=taken)
    np.subtract.at(left, bucket, taken)
    short = np.flatnonzero(left[bucket] < 0)
    if not len(short):
        return
    np.add.at(left, bucket[short], taken[short])
    ordered, order = in_stable_order(bucket[short], len(left).bit_length())
    heads, run = runs(ordered)
    short = short[order]
    taken[short] = first_come(taken[short], left[ordered[heads]], run)
    np.subtract.at(left, ordered, taken[short])


def within_caps(
    wanted: Integers, cap_left: Integers, increment: Integers, bucket: Int64, member: Int64
) -> Integers:
    """Cut what members want to what their caps leave, in whole increments of the bucket.

    The bucket is then shared out over the result. That is what event by event gives: as long as the
    bucket has something, each member gets what his cap allows; when it is empty nobody does.

    Parameters
    ----------
    cap_left : (n,) what the member of the row may still draw on the bucket; negative: no cap.
    bucket, member : (n,) in event order per bucket.

    Returns
    -------
    (n,) what is still wanted of the bucket.
    """
    capped = np.flatnonzero(cap_left >= 0)
    if not len(capped):
        return wanted
    order = capped[np.lexsort((capped, member[capped], bucket[capped]))]
    pair = np.ones(len(order), np.bool_)
    pair[1:] = (bucket[order[1:]] != bucket[order[:-1]]) | (member[order[1:]] != member[order[:-1]])
    group = np.cumsum(pair) - 1
    heads = order[pair]
    given, _ = in_increments(wanted[order], cap_left[heads], increment[bucket[heads]], group)
    left: Integers = wanted.copy()
    left[order] = given
    return left


def with_inflows(change: Integers, balance: Integers, bucket: Int64) -> Integers:
    """Draw on balances that are topped up between events: a sum reflected at zero.

    Parameters
    ----------
    change : (n,) in event order per bucket: above zero what an event wants, below what flows in.
    balance : (b,) at first, not negative.

    Returns
    -------
    (n,) given to events; 0 for what flows in.
    """
    if not len(change):
        return change.copy()
    heads = heads_of(bucket)
    lengths = np.diff(np.append(heads, len(bucket)))
    # Cut what an event wants to all there can ever be: the sums stay as small as balances are.
    inflow = np.maximum(-change, 0)
    most = np.add.reduceat(inflow, heads) + balance[bucket[heads]]
    wanted = np.minimum(np.maximum(change, 0), np.repeat(most, lengths))
    span = (int(lengths.max()) + 2) * (largest(most) + 1)
    if change.dtype != np.object_ and span * (len(heads) + 1) >= FITS:
        exact = with_inflows(change.astype(object), balance.astype(object), bucket)
        return exact.astype(np.int64)
    running = np.cumsum(inflow - wanted)
    before = np.repeat(running[heads] - (inflow - wanted)[heads], lengths)
    level = running - before + balance[bucket]
    # Each bucket lies a whole span below the one before it: one running minimum serves them all.
    shelf = np.repeat(np.arange(len(heads)).astype(change.dtype) * span, lengths)
    lowest = np.minimum.accumulate(np.minimum(level, 0) - shelf) + shelf
    after = level - lowest
    start = np.empty_like(after)
    start[1:] = after[:-1]
    start[heads] = balance[bucket[heads]]
    given: Integers = start + inflow - after
    return given


def pay(
    wanted: Integers, balance: Integers, bucket: Int64, rows: Int64, cost: Cost
) -> tuple[Integers, Integers]:
    """Let money pay for as many whole increments of each event as the balance reaches for.

    All events up to the first that is not paid in full are settled by one running sum; that one
    takes what the rest pays for, and the next round starts behind it. With increments that cost the
    same for every event there are two rounds, however many events there are.

    Parameters
    ----------
    wanted : (n,) quantities. `bucket` as for `first_come`.
    balance : (b,) money.
    rows : (n,) how `cost` names the events.

    Returns
    -------
    given : (n,) the quantity paid for.
    drawn : (n,) the money it takes.
    """
    given, drawn = np.zeros_like(wanted), np.zeros_like(balance[bucket])
    left = np.maximum(balance, 0)
    full, least = cost(rows, wanted), cost(rows, np.minimum(wanted, 1))
    going = np.arange(len(wanted))
    for _ in range(_MOST_ROUNDS):
        alive = (wanted[going] > 0) & (left[bucket[going]] > 0)
        going = going[alive & (least[going] <= left[bucket[going]])]
        if not len(going):
            return given, drawn
        short = _settle(going, full, left, bucket, wanted, given, drawn)
        _pay_in_part(short, wanted, left, bucket, rows, cost, given, drawn)
        stopped = np.full(len(left), len(wanted))
        stopped[bucket[short]] = short
        reached = stopped[bucket[going]]
        going = going[(going > reached) & (reached < len(wanted))]
    for one in going.tolist():
        _pay_in_part(np.array([one]), wanted, left, bucket, rows, cost, given, drawn)
    return given, drawn


def _settle(
    going: Int64, full: Integers, left: Integers, bucket: Int64, wanted: Integers,
    given: Integers, drawn: Integers,
) -> Int64:  # fmt: skip
    """Pay in full up to the first row of each bucket that money fails; give those firsts."""
    at = bucket[going]
    price = np.minimum(full[going], left[at] + 1)  # A dearer one fails just the same.
    heads = heads_of(at)
    lengths = np.diff(np.append(heads, len(at)))
    if price.dtype != np.object_ and int(lengths.max()) * (largest(left[at]) + 1) >= FITS:
        price = price.astype(object)
    sums = np.cumsum(price)
    sums = sums - np.repeat(sums[heads] - price[heads], lengths)
    # An empty purse pays for nothing, not even for what is free.
    whole = (sums <= left[at]) & (sums - price < left[at])
    settled = going[whole]
    given[settled], drawn[settled] = wanted[settled], full[settled]
    if len(settled):
        starts = heads_of(bucket[settled])
        left[bucket[settled[starts]]] -= np.add.reduceat(full[settled], starts)
    broken = going[~whole]
    first: Int64 = broken[heads_of(bucket[broken])]
    return first


def _pay_in_part(
    short: Int64, wanted: Integers, left: Integers, bucket: Int64, rows: Int64, cost: Cost,
    given: Integers, drawn: Integers,
) -> None:  # fmt: skip
    """Pay for what the balance reaches for; at most one row a bucket."""
    short = short[left[bucket[short]] > 0]
    if not len(short):
        return
    at = bucket[short]
    given[short] = affordable(left[at], wanted[short], rows[short], cost)
    drawn[short] = cost(rows[short], given[short])
    left[at] -= drawn[short]


def affordable(money: Integers, most: Integers, rows: Int64, cost: Cost) -> Integers:
    """Find the largest quantity up to `most` that money pays for.

    Usage is paid in whole increments, so the price is a staircase, and the largest quantity that is
    paid for lies on its edge: a whole number of increments, or all of `most`.
    """
    low, high = np.zeros_like(most), most + 1  # `low` is paid for, `high` is not
    while (open_ := np.flatnonzero(high - low > 1)).size:
        middle = (low[open_] + high[open_]) // 2
        paid = cost(rows[open_], middle) <= money[open_]
        low[open_] = np.where(paid, middle, low[open_])
        high[open_] = np.where(paid, high[open_], middle)
    return low
