"""Top-ups: extra volume that was bought, from the instant of the order to the end of its month.

A pool that is topped up has, at each of its events, what was bought by then. Its counters tell what
is used, as those of any pool do; what was bought is beside them, since it comes in mid-month.
"""

from dataclasses import dataclass

import numpy as np

from ledger.errors import Invalid
from rating.drawing import with_inflows
from rating.ordering import heads_of
from rating.usage import Int32, Int64


@dataclass(frozen=True, slots=True, eq=False)
class TopUps:
    """What was bought, one row an order; any order of rows says the same."""

    owner: Int32  # a code of the usage batch: the subscription, or the pool of who shares
    allowance: Int32  # index into `book.allowances`, of what is bought
    month: Int32  # year * 12 + month - 1
    start: Int64  # on the clock of events; an event of the same instant has it already
    quantity: Int64

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def none(cls) -> "TopUps":
        """Make the top-ups of a month in which nothing was bought."""
        codes, sums = np.zeros(0, np.int32), np.zeros(0, np.int64)
        return cls(codes, codes, codes, sums, sums)

    def by(self, owner: Int32, allowance: Int32, month: Int32, start: Int64) -> Int64:
        """Give what a pool had bought by some instants.

        Parameters
        ----------
        owner, allowance, month, start : (n,) pool and instant, in any order.

        Raises
        ------
        Invalid : a top-up adds less than nothing.
        """
        bought = np.zeros(len(start), np.int64)
        if not len(self) or not len(start):
            return bought
        if self.quantity.min() < 0:
            raise Invalid("A top-up cannot add less than nothing.")
        pools = np.stack([
            np.concatenate([mine, asked]).astype(np.int64)
            for mine, asked in ((self.owner, owner), (self.allowance, allowance),
                                (self.month, month))
        ])  # fmt: skip
        _, code = np.unique(pools, axis=1, return_inverse=True)
        code = code.ravel()
        added = np.concatenate([self.quantity, bought])
        asks = np.arange(len(code)) >= len(self)
        order = np.lexsort((asks, np.concatenate([self.start, start]), code))
        running = np.cumsum(added[order])
        heads = heads_of(code[order])
        before = running[heads] - added[order][heads]
        total = np.empty_like(running)
        total[order] = running - np.repeat(before, np.diff(np.append(heads, len(code))))
        found: Int64 = total[len(self) :]
        return found


def draw_bought(
    wanted: Int64, bought: Int64, used: Int64, increment: Int64, pool: Int64
) -> tuple[Int64, Int64]:
    """Draw on what was bought by the instant of each event, less what earlier events used of it.

    Parameters
    ----------
    wanted : (n,) not negative, in event order per pool; equal pools lie together.
    bought : (n,) by then; it never falls within a pool.
    used : (p,) before the first event.
    increment : (p,) debited in whole ones; 0 is exactly what is used.
    pool : (n,) index into `used`.

    Returns
    -------
    given : (n,) covered of `wanted`.
    drawn : (n,) what the pool loses.
    """
    step = np.maximum(increment, 1)
    of_row = step[pool]
    whole = bought // of_row
    heads = heads_of(pool)
    flows = np.diff(whole, prepend=0)
    flows[heads] = 0
    balance = np.zeros(len(used), np.int64)
    balance[pool[heads]] = np.maximum(whole[heads] - used[pool[heads]] // step[pool[heads]], 0)
    change = np.stack([-flows, -(-wanted // of_row)], axis=1).ravel()
    counts = with_inflows(change, balance, np.repeat(pool, 2))[1::2]
    drawn = counts * of_row
    return np.minimum(wanted, drawn), drawn
