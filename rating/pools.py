"""What pools hold and what events want of them: the tables that `rating.buckets` serves from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rating.rounding import Integers
from rating.usage import Bool, Int32, Int64

ALWAYS, NEVER = -(2**62), 2**62  # ends of a validity
NOT_USED = np.iinfo(np.int32).max  # a preference: this kind of event may not
UNDATED = -(2**62)  # an instant: the event is not judged by validity


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Balances and who may use them; a row a bucket."""

    pool: Int64  # (b,)
    balance: Integers  # units of quantity, or of money; below zero gives nothing
    order: Int64  # of use within the pool: `order_of_use`
    money: Bool
    valid_from: Int64  # serves events that start in [valid_from, valid_to)
    valid_to: Int64
    preference: Int32  # (b, kinds of events) lowest first, NOT_USED where the kind may not
    increment: Integers  # (b, kinds of events) 0 debits exactly what is used
    restricted: Bool  # serves only the subscribers named in `members`
    members: Int64  # `pair(bucket, subscriber)`, ascending
    cap: Integers  # what each subscriber may draw; NO_CAP for all of it


@dataclass(frozen=True, slots=True, eq=False)
class Demands:
    """Events that want something of a pool; rows in any order."""

    pool: Int64
    start: Int64
    key: Int64  # settles which of two simultaneous events came first
    at: Int64  # the instant that validity is judged by: the start, or UNDATED
    quantity: Integers
    kind: Int32  # of event: what the columns of `Buckets.preference` stand for
    subscriber: Int64  # from 0 to 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Inflows:
    """Top-ups in mid-period. At its start second it comes before any event of that second."""

    bucket: Int64
    start: Int64
    amount: Integers


def no_inflows() -> Inflows:
    """Make the top-ups of a period without any."""
    none = np.zeros(0, np.int64)
    return Inflows(none, none, none)


def order_of_use(
    pool: Int64, priority: Int64, expires: Int64, names: Sequence[str]
) -> Int64:  # fmt: skip
    """Number buckets in order of use: lowest priority number, then earliest expiry, then id."""
    by_name = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), np.int64)
    place[by_name] = np.arange(len(names))
    order = np.empty(len(names), np.int64)
    order[np.lexsort((place, expires, priority, pool))] = np.arange(len(names))
    return order


def pair(bucket: Int64, subscriber: Int64) -> Int64:
    """Pack a bucket and a subscriber into one integer."""
    packed: Int64 = (bucket << 31) | subscriber
    return packed
