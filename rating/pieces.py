"""Sessions cut into pieces, each with one price: where the band changes and where a step begins.

Columns (`walk`) price them; the same rule with Python's integers (`pieces`) explains them and
prices what does not fit in int64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rating.clock import Timeline
from rating.rounding import Integers
from rating.tariff import TariffBook
from rating.tariff_tables import StepTables
from rating.tariff_terms import SPLIT_CARRY, START_BAND
from rating.usage import Bool, Int32, Int64

_END = 2**62  # later than any instant
BEYOND = 2**420  # later than any figure that a case may have, where figures are Python's integers

# Of a cell that has one row at all times.
NO_PLAN = Timeline(np.array([-_END]), np.zeros(1, np.int32), np.zeros(2, np.int64))


@dataclass(frozen=True, slots=True)
class Session:
    """One event to be priced; instants and quantities in ticks."""

    cell: int  # index into `book.cells`
    start: int  # UTC, since 1970
    quantity: int  # positive
    spans: bool  # the quantity is time on the clock and may cross a band border
    elapsed: int = 0  # used before, in the same session


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Events to be priced, as columns of equal length; see `Session`."""

    cell: Int32
    start: Integers
    quantity: Integers
    spans: Bool
    elapsed: Int64 | None = None
    continued: Bool | None = None  # has paid set-up fee and minimum already

    def one(self, row: int) -> Session:
        """Give one event."""
        elapsed = 0 if self.elapsed is None else int(self.elapsed[row])
        return Session(
            int(self.cell[row]), int(self.start[row]), int(self.quantity[row]),
            bool(self.spans[row]), elapsed,
        )  # fmt: skip

    def take(self, rows: Int64) -> "Sessions":
        """Select events."""
        return Sessions(
            self.cell[rows], self.start[rows], self.quantity[rows], self.spans[rows],
            None if self.elapsed is None else self.elapsed[rows], self.continued_of(rows),
        )  # fmt: skip

    def goes_on(self, row: int) -> bool:
        """Say whether one event continues a session."""
        return self.continued is not None and bool(self.continued[row])

    def continued_of(self, rows: Any) -> Bool | None:
        """Select the continuations of rows; None where no event is one."""
        return None if self.continued is None else self.continued[rows]


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of one event that one step of one rate row prices."""

    row: int
    step: int
    start: int
    used: int
    billed: int  # units, in whole increments; less what an earlier piece has paid


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The next piece of each event that has one left; columns as in `Piece`."""

    event: Int64  # position among the rows that are walked; of the first pieces, all of them
    row: Int64
    step: Int64
    billed: Integers
    price: Integers  # of a unit, per denominator of the row; NO_PRICE where nothing is sold


def whole_increments(quantity: Integers, increment: Integers) -> Integers:
    """Round up to whole increments; increment 0 is proportional."""
    step: Integers = np.maximum(increment, 1)
    if len(step) == 1 and step[0] == 1:
        return quantity
    if quantity.dtype == np.object_:
        exact: Integers = -(-quantity // step) * step
        return exact
    if len(step) > 1:
        coarse = np.flatnonzero(step > 1)
        if 2 * len(coarse) < len(step):  # A division is dear: only what needs one gets it.
            units = quantity.copy()
            units[coarse] = _whole(quantity[coarse], step[coarse])
            return units
    return _whole(quantity, step)


def _whole(quantity: Int64, step: Int64) -> Int64:
    count = (quantity + (step - 1)).view(np.uint64) // step.view(np.uint64)
    units = count.view(np.int64)
    units *= step
    return units


def walk(tables: StepTables, line: Timeline, sessions: Sessions, rows: Int64) -> Iterator[Pieces]:
    """Walk through events piece by piece, all of them side by side; rows share the timeline.

    Figures are int64, or Python's integers where tables and sessions hold such.
    """
    carry = tables.band_split == SPLIT_CARRY
    # One index into a table laid out row by row is gathered by in half the time of two.
    slots, steps = tables.rows.shape[1], tables.steps.prices.shape[1]
    rows_flat = tables.rows.ravel()
    prices, increments = tables.steps.prices.ravel(), tables.steps.increments.ravel()
    now, cell = sessions.start[rows], sessions.cell[rows]
    last = BEYOND if now.dtype == np.object_ else _END
    border = np.append(line.borders, last)
    end = now + sessions.quantity[rows]
    at = line.at(now)
    origin = now if sessions.elapsed is None else now - sessions.elapsed[rows]
    in_one_band = np.full(len(rows), tables.band_split == START_BAND) | ~sessions.spans[rows]
    paid_until, event = now, np.arange(len(rows))
    while len(event):
        row = rows_flat[cell * slots + line.slots[at]].astype(np.int64)
        step, step_end = _steps_at(tables, row, now, end, origin)
        band_end = np.where(in_one_band, last, border[at + 1])
        stop = np.minimum(np.minimum(band_end, step_end), end)
        paid = np.maximum(now, paid_until) if carry else now
        place = row * steps + step
        billed = whole_increments(np.maximum(stop - paid, 0), increments[place])
        yield Pieces(event, row, step, billed, prices[place])
        more = np.flatnonzero(stop < end)
        at = (at + (stop == band_end))[more]
        event, now, paid_until = event[more], stop[more], (paid + billed)[more]
        cell, origin, end, in_one_band = cell[more], origin[more], end[more], in_one_band[more]


def _steps_at(
    tables: StepTables, row: Int64, now: Integers, until: Integers, origin: Integers
) -> tuple[Int64, Integers]:
    """Find the step that prices each event now, and the instant at which it ends."""
    starts, used = tables.steps.starts, now - origin
    whole = tables.steps.whole[row] if tables.steps.whole.any() else None
    if whole is not None:
        used = np.where(whole, until - 1 - origin, used)
    step = np.zeros(len(row), np.int64)  # The first begins at nothing, the last column never.
    for number in range(1, starts.shape[1] - 1):
        step += starts[:, number][row] <= used
    step_end: Integers = origin + starts.ravel()[row * starts.shape[1] + (step + 1)]
    return step, step_end if whole is None else np.where(whole, _END, step_end)


def pieces(book: TariffBook, lines: Sequence[Timeline], session: Session) -> Iterator[Piece]:
    """Cut one event into its pieces, with Python's integers: for explanations and wide events."""
    plan = int(book.cells.plan[session.cell])
    line = lines[plan] if plan >= 0 else NO_PLAN
    at = int(np.searchsorted(line.borders, session.start, side="right")) - 1
    start, end = session.start, session.start + session.quantity
    spans = session.spans and book.tariff.band_split != START_BAND
    carry = book.tariff.band_split == SPLIT_CARRY
    paid_until = start
    while start < end:
        row = int(book.cells.rows[session.cell, int(line.slots[at])])
        stop = min(end, int(line.borders[at + 1])) if spans and at + 1 < len(line.borders) else end
        begin = start
        for step, used in _step_parts(book, row, session, begin, stop):
            paid_from = max(begin, paid_until) if carry else begin
            increment = int(book.steps.increments[row, step]) or 1
            billed = -(-max(begin + used - paid_from, 0) // increment) * increment
            paid_until = paid_from + billed
            yield Piece(row, step, begin, used, billed)
            begin += used
        start, at = stop, at + 1


def _step_parts(
    book: TariffBook, row: int, session: Session, start: int, stop: int
) -> Iterator[tuple[int, int]]:
    """Cut the stretch of one row where its steps begin: (step, ticks used)."""
    starts = [int(s) for s in book.steps.starts[row] if s < _END]
    end = session.elapsed + session.quantity
    if book.steps.whole[row]:
        yield max(n for n, at in enumerate(starts) if at < end), stop - start
        return
    origin = session.start - session.elapsed
    for step, at in enumerate(starts):
        begin = max(start, origin + at)
        after = origin + starts[step + 1] if step + 1 < len(starts) else stop
        if begin < min(stop, after):
            yield step, min(stop, after) - begin
