"""Buckets served event by event, for the pools that have no single order of buckets.

The same outcome as passes where both apply; `rating.buckets` chooses. Python's integers, no limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rating.drawing import NO_CAP, Cost, affordable
from rating.pools import NOT_USED, UNDATED, Buckets, Demands, Inflows
from rating.usage import Int64


@dataclass(slots=True)
class Looped:
    """What was taken: event, bucket, covered, drawn."""

    row: list[int] = field(default_factory=list)
    bucket: list[int] = field(default_factory=list)
    covered: list[int] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)


def serve_in_a_loop(
    buckets: Buckets, demands: Demands, cost: Cost | None, inflows: Inflows, rows: Int64,
    drawn_by: dict[int, int],
) -> Looped:  # fmt: skip
    """Serve `rows`, in this order; adds to what capped members drew."""
    left = dict(enumerate(buckets.balance.tolist()))
    in_pool: dict[int, list[int]] = {}
    for bucket in np.argsort(buckets.order, kind="stable").tolist():
        in_pool.setdefault(int(buckets.pool[bucket]), []).append(bucket)
    coming: dict[int, list[int]] = {}
    for flow in np.argsort(-inflows.start, kind="stable").tolist():
        coming.setdefault(int(inflows.bucket[flow]), []).append(flow)
    looped = Looped()
    for row in rows.tolist():
        pool = in_pool.get(int(demands.pool[row]), [])
        for bucket in pool:
            flows = coming.get(bucket, [])
            while flows and inflows.start[flows[-1]] <= demands.start[row]:
                left[bucket] += int(inflows.amount[flows.pop()])
        wanted = int(demands.quantity[row])
        for bucket in _usable(buckets, demands, row, pool):
            if wanted <= 0:
                break
            covered, drawn = _take(buckets, demands, cost, row, bucket, wanted, left, drawn_by)
            if covered or drawn:
                wanted -= covered
                left[bucket] -= drawn
                looped.row.append(row)
                looped.bucket.append(bucket)
                looped.covered.append(covered)
                looped.drawn.append(drawn)
    return looped


def _usable(buckets: Buckets, demands: Demands, row: int, pool: list[int]) -> list[int]:
    """Give the buckets an event may use, in the order in which it does."""
    kind, at = int(demands.kind[row]), int(demands.at[row])
    found = [
        (int(buckets.preference[bucket, kind]), place, bucket)
        for place, bucket in enumerate(pool)
        if buckets.preference[bucket, kind] != NOT_USED
        and (at == UNDATED or buckets.valid_from[bucket] <= at < buckets.valid_to[bucket])
        and (not buckets.restricted[bucket] or _is_member(buckets, demands, row, bucket))
    ]
    return [bucket for *_, bucket in sorted(found)]


def _is_member(buckets: Buckets, demands: Demands, row: int, bucket: int) -> bool:
    name = (bucket << 31) | int(demands.subscriber[row])
    place = int(np.searchsorted(buckets.members, name))
    return place < len(buckets.members) and int(buckets.members[place]) == name


def _take(
    buckets: Buckets, demands: Demands, cost: Cost | None, row: int, bucket: int, wanted: int,
    left: dict[int, int], drawn_by: dict[int, int],
) -> tuple[int, int]:  # fmt: skip
    """Take what an event gets of one bucket: what it covers, what the bucket loses."""
    available = max(left[bucket], 0)
    cap, name = int(buckets.cap[bucket]), (bucket << 31) | int(demands.subscriber[row])
    if cap != NO_CAP:
        available = min(available, max(cap - drawn_by.get(name, 0), 0))
    if not available:
        return 0, 0
    if buckets.money[bucket]:
        assert cost is not None
        kind, rows = demands.quantity.dtype, np.array([row])
        most = np.array([wanted], kind)
        covers = affordable(np.array([available], kind), most, rows, cost)
        covered, drawn = int(covers[0]), int(cost(rows, covers)[0])
    else:
        step = max(int(buckets.increment[bucket, int(demands.kind[row])]), 1)
        drawn = min(-(-wanted // step), available // step) * step
        covered = min(wanted, drawn)
    if cap != NO_CAP and drawn:
        drawn_by[name] = drawn_by.get(name, 0) + drawn
    return covered, drawn
