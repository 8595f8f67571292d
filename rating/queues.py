"""Who is served when: the events that may draw on an allowance, pool by pool, in event order.

A pool is one allowance of one owner in one month, and comes first who started first; the event key
settles ties. Usage mostly arrives in the order of time. Then one sort of integers that hold pool
and place puts all pools together; what arrives otherwise is put in the order of time before.
Source: reference design, rating 4.6.
"""

from dataclasses import dataclass

import numpy as np

from rating.clock import months
from rating.drawing import heads_of
from rating.tariff import TariffBook
from rating.usage import Bool, Int16, Int32, Int64, Reason, UsageBatch

_FITS_BITS = 62


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """The events that may use an allowance of one layer."""

    rows: Int64  # (n,) of the batch
    pool: Int64  # (n,) number of the pool, from 0 without gaps; equal ones lie together
    heads: Int64  # (pools,) the first event of each, as an index into `rows`
    owner: Int32  # (pools,) the subscription; where the allowance is shared, the code of the pool
    allowance: Int32  # (pools,) index into `book.allowances`
    month: Int32  # (pools,) as of `rating.clock.months`

    @property
    def tails(self) -> Int64:
        """The last event of each pool, as an index into `rows`."""
        return np.append(self.heads, len(self.rows))[1:] - 1

    def only(self, stays: Bool) -> "Queue":
        """Let events go; a pool that nobody is left of goes too."""
        if stays.all():
            return self
        rows, was = self.rows[stays], self.pool[stays]
        heads, pool = _runs(was)
        kept = was[heads]
        return Queue(rows, pool, heads, self.owner[kept], self.allowance[kept], self.month[kept])


def event_order(batch: UsageBatch) -> Int64 | None:
    """Order a batch by (start, event key); None where it is in that order."""
    start, key = batch.started_at, batch.event_key
    later = (start[1:] > start[:-1]) | ((start[1:] == start[:-1]) & (key[1:] > key[:-1]))
    if later.all():
        return None
    bits = (int(start.max()) - int(start.min())).bit_length()
    if bits > _FITS_BITS:  # A garbled clock: the event is suspended, but lies in the batch.
        return np.lexsort((key, start))
    since = start - start.min()
    since, order = in_stable_order(since, bits)
    tied = np.zeros(len(batch), np.bool_)
    same = since[1:] == since[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    order[places] = order[places][np.lexsort((key[order[places]], since[places]))]
    return order


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
    rows = np.flatnonzero(wants) if order is None else order[wants[order]]
    allowance = served[rows]
    begins, ends = book.included.valid_from, book.included.valid_to
    if (begins > -(2**62)).any() or (ends < 2**62).any():
        start = batch.started_at[rows]
        valid = (begins[allowance] <= start) & (start < ends[allowance])
        rows, allowance = rows[valid], allowance[valid]
    owner = _owners(batch, rows, allowance, book, kinds[kinds >= 0])
    return _by_pool(batch, rows, owner, allowance, book)


def _by_pool(
    batch: UsageBatch, rows: Int64, owner: Int32, allowance: Int32, book: TariffBook
) -> Queue:
    """Put together the pools of rows that are in event order."""
    if not len(rows):
        none = np.zeros(0, np.int32)
        return Queue(rows, rows, rows, none, none, none)
    month = months(book.clock, batch.started_at[rows])
    # Within a pool months rise with time: among the digits of the code, they change no order.
    digits = [(owner, 0), (allowance, int(allowance.min())), (month, int(month.min()))]
    code, widths = np.zeros(len(rows), np.int64), []
    for column, least in digits:
        widths.append((int(column.max()) - least).bit_length())
        code <<= widths[-1]
        if widths[-1]:
            code |= column - np.int32(least)
    code, order = in_stable_order(code, sum(widths))
    rows = rows[order]
    heads, pool = _runs(code)
    left, found = code[heads], []
    for (_, least), width in zip(reversed(digits), reversed(widths), strict=True):
        found.append(((left & ((1 << width) - 1)) + least).astype(np.int32))
        left >>= width
    return Queue(rows, pool, heads, *reversed(found))


def _owners(
    batch: UsageBatch, rows: Int64, allowance: Int32, book: TariffBook, kinds: Int32
) -> Int32:
    """Give whose balance each row draws on: its pool's where that is shared, else its own."""
    shared = book.included.shared
    if batch.pool is None or not shared[kinds].any():
        return batch.subscription[rows]
    if shared[kinds].all():
        return batch.pool[rows]
    return np.where(shared[allowance], batch.pool[rows], batch.subscription[rows])


def in_stable_order(code: Int64, bits: int) -> tuple[Int64, Int64]:
    """Sort codes of so many bits; gives them and where each was. Equal ones keep their order."""
    place_bits = len(code).bit_length()
    if bits + place_bits > _FITS_BITS:
        order = np.argsort(code, kind="stable")
        return code[order], order
    # Sorting integers is several times faster than sorting the places of integers.
    packed = code << place_bits
    packed |= np.arange(len(code))
    packed.sort()
    return packed >> place_bits, packed & ((1 << place_bits) - 1)


def _runs(code: Int64) -> tuple[Int64, Int64]:
    """Give the first place of each run of equal codes, and the number of each place's run."""
    heads = heads_of(code)
    return heads, np.repeat(np.arange(len(heads)), np.diff(heads, append=len(code)))
