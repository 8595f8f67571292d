"""Events of each subscription's months, in the order in which they happened.

The order is start, then event key: neither the order of arrival nor that of rows matters, and two
events of one second are never taken in either order.
"""

from dataclasses import dataclass

import numpy as np

from rating.clock import Clock, months
from rating.usage import Int32, Int64, UsageBatch


@dataclass(frozen=True, slots=True, eq=False)
class RunningMonths:
    """Rows of a batch that lie together per subscription and local month, in event order."""

    rows: Int64  # (n,) rows of the batch
    owner: Int32  # (n,) subscription
    month: Int32  # (n,) as `rating.clock.months` numbers them
    heads: Int64  # (g,) the first position of each subscription's month
    group: Int64  # (n,) which of them


def running_months(batch: UsageBatch, rows: Int64, clock: Clock) -> RunningMonths:
    """Put some rows of a batch into the order in which they count."""
    owner, start = batch.subscription[rows], batch.started_at[rows]
    month = months(clock, start)
    order = np.lexsort((batch.event_key[rows], start, month, owner))
    owner, month = owner[order], month[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (owner[1:] != owner[:-1]) | (month[1:] != month[:-1])
    return RunningMonths(
        rows[order], owner, month, np.flatnonzero(first), np.cumsum(first, dtype=np.int64) - 1
    )
