"""Who is served when: the events that may draw on an allowance, in event order, and their pools.

A pool is one allowance of one owner in one month, and comes first who started first; the event key
settles ties. Usage mostly arrives in the order of time; what arrives otherwise is put in it here.
Source: docs/pricing.md, "Allowances".
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rating.clock import months
from rating.ordering import STRETCH, distinct, in_stable_order
from rating.tariff import TariffBook
from rating.usage import Bool, Int16, Int32, Int64, Reason, UsageBatch

_FITS_BITS = 62


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """The events that may use an allowance of one layer, in event order."""

    rows: Int64 | slice  # (n,) of the batch; a slice where it is all of them
    pool: Int64  # (n,) number of the pool, from 0
    owner: Int32  # (pools,) the subscription; where the allowance is shared, the code of the pool
    allowance: Int32  # (pools,) index into `book.allowances`
    month: Int32  # (pools,) as of `rating.clock.months`

    def __len__(self) -> int:
        return len(self.pool)

    def rows_at(self, places: Int64 | Bool) -> Int64:
        """Give the rows of the batch at some places of the queue."""
        if not isinstance(self.rows, slice):
            return self.rows[places]
        # The places themselves: no column of all rows is made to take some of it.
        if places.dtype == np.bool_:
            return np.flatnonzero(places)
        return places.astype(np.int64, copy=False)

    def only(self, stays: Bool) -> "Queue":
        """Let events go; the pools stay, also those that nobody is left of."""
        if stays.all():
            return self
        return replace(self, rows=self.rows_at(stays), pool=self.pool[stays])

    def by_pool(self) -> tuple["Queue", Int64]:
        """Put together the events of each pool; gives where each was, too."""
        pool, order = in_stable_order(self.pool, len(self.owner).bit_length())
        return replace(self, rows=self.rows_at(order), pool=pool), order

    def last(self) -> Int64:
        """Give the place of the last event of each pool, -1 where there is none."""
        found = np.full(len(self.owner), -1)
        for begin in range(0, len(self), STRETCH):
            pool = self.pool[begin : begin + STRETCH]
            np.maximum.at(found, pool, np.arange(begin, begin + len(pool)))
        return found


def event_order(batch: UsageBatch) -> Int64 | None:
    """Order a batch by (start, event key); None where it is in that order."""
    start, key = batch.started_at, batch.event_key
    if (start[1:] >= start[:-1]).all() and (key[1:] > key[:-1]).all():
        return None
    later = (start[1:] > start[:-1]) | ((start[1:] == start[:-1]) & (key[1:] > key[:-1]))
    if later.all():
        return None
    bits = (int(start.max()) - int(start.min())).bit_length()
    if bits > _FITS_BITS:  # A garbled clock: the event is suspended, but lies in the batch.
        return np.lexsort((key, start))
    # One sort by the start and as much of the key as fits beside it; what is still tied is few.
    spare = max(_FITS_BITS - bits - len(key).bit_length(), 0)
    code = start - start.min()
    code <<= spare
    code |= _leading(key, spare)
    code, order = in_stable_order(code, bits + spare)
    same = code[1:] == code[:-1]
    if same.any():
        tied = np.zeros(len(batch), np.bool_)
        tied[1:] |= same
        tied[:-1] |= same
        places = np.flatnonzero(tied)
        order[places] = order[places][np.lexsort((key[order[places]], code[places]))]
    return order


def _leading(key: Int64, bits: int) -> Int64:
    """Give so many leading bits of keys, counted from the lowest: they rise as the keys do."""
    lowest, width = int(key.min()), (int(key.max()) - int(key.min())).bit_length()
    # From one end of int64 to the other, a difference still fits in 64 bits without a sign.
    above = key.view(np.uint64) - np.uint64(lowest % 2**64)
    return (above >> np.uint64(max(width - bits, 0))).view(np.int64)


def queue_of(
    batch: UsageBatch, cell: Int32, reason: Int16, book: TariffBook, layer: int,
    order: Int64 | None,
) -> Queue:  # fmt: skip
    """Queue the events that may use an allowance of a layer.

    Parameters
    ----------
    cell : (n,) index into `book.cells`, -1 where unpriced.
    reason : (n,) reasons so far.
    order : of the batch, by `event_order`.
    """
    kinds = book.cells.allowances[:, layer]
    served = np.append(kinds, np.int32(-1))[cell]
    wants = (served >= 0) & (reason == Reason.OK) & (batch.quantity > 0)
    begins, ends = book.included.valid_from, book.included.valid_to
    if (begins > -(2**62)).any() or (ends < 2**62).any():
        start = batch.started_at
        wants &= (begins[served] <= start) & (start < ends[served])
    rows: Int64 | slice = slice(None)
    if order is not None:
        rows = order[wants[order]]
    elif not wants.all():
        rows = np.flatnonzero(wants)
    return _in_pools(batch, rows, served[rows], book, kinds[kinds >= 0])


def _in_pools(
    batch: UsageBatch, rows: Int64 | slice, allowance: Int32, book: TariffBook, kinds: Int32
) -> Queue:
    """Number the pools of rows that are in event order."""
    if not len(allowance):
        none = np.zeros(0, np.int32)
        return Queue(np.zeros(0, np.int64), np.zeros(0, np.int64), none, none, none)
    owner = _owners(batch, rows, allowance, book, kinds)
    month = months(book.clock, batch.started_at[rows])
    # The digits of the code of a pool, each as wide as it has to be.
    columns: tuple[Int32, ...] = (owner, allowance, month)
    least = [int(column.min()) for column in columns]
    widths = [
        (int(column.max()) - low).bit_length() for column, low in zip(columns, least, strict=True)
    ]
    kind = np.int32 if sum(widths) < 32 else np.int64
    code: NDArray[Any] = (owner - np.int32(least[0])).astype(kind, copy=False)
    for column, low, width in zip(columns[1:], least[1:], widths[1:], strict=True):
        if width:
            code <<= width
            code |= column - np.int32(low)
    codes, pool = distinct(code)
    digits = []
    for low, width in zip(reversed(least), reversed(widths), strict=True):
        digits.append(((codes & ((1 << width) - 1)) + low).astype(np.int32))
        codes >>= width
    return Queue(rows, pool, *reversed(digits))


def _owners(
    batch: UsageBatch, rows: Int64 | slice, allowance: Int32, book: TariffBook, kinds: Int32
) -> Int32:
    """Give whose balance each row draws on: its pool's where that is shared, else its own."""
    shared = book.included.shared
    if batch.pool is None or not shared[kinds].any():
        return batch.subscription[rows]
    if shared[kinds].all():
        return batch.pool[rows]
    return np.where(shared[allowance], batch.pool[rows], batch.subscription[rows])
