"""What an event costs: exact rationals in int64, divided once, half away from zero to millionths.

    amount = max(minimum, set-up fee + sum over portions of units x price / per)

A voice event is cut where the band changes (`split_carry`): each portion is rounded up to whole
increments of its own row, and what a paid increment reaches into the next portion is not paid
again. Set-up fee and minimum are those of the first portion's row. Nothing used costs nothing.
Numerators that might not fit in int64 are priced one by one with Python's integers instead; nothing
ever wraps. Source: reference design, rating 4.5; the session kind of the pricing case format.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rating.clock import Timeline, timeline
from rating.tariff import TariffBook
from rating.usage import Bool, Int32, Int64

MAX_MICRO = 2**62


@dataclass(frozen=True, slots=True)
class Portion:
    """The part of one event that one rate row prices."""

    row: int
    start: int  # UTC epoch seconds
    used: int
    billed: int  # units, in whole increments; less what an earlier portion has paid


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """What a set of events costs."""

    amount_micro: Int64
    billed_units: Int64
    row: Int32  # of the first portion


def timelines(book: TariffBook, first: int, last: int) -> tuple[Timeline, ...]:
    """Lay out the week plans of a book over the instants of a batch, both ends included."""
    return tuple(timeline(plan, book.clock, first, last) for plan in book.plans)


def price(
    book: TariffBook,
    lines: Sequence[Timeline],
    cell: Int32,
    start: Int64,
    quantity: Int64,
    spans: Bool,
) -> Priced:
    """Price events that have a rate at every instant they use.

    Parameters
    ----------
    lines : the timelines of the book's plans, covering all events.
    cell : (n,) index into `book.cells`.
    start : (n,) int64. [UTC epoch seconds]
    quantity : (n,) int64 > 0, what is to be paid for. [units of the usage]
    spans : (n,) bool, true where the quantity is seconds on the clock and may cross a band border.
    """
    priced = Priced(
        np.zeros(len(cell), np.int64), np.zeros(len(cell), np.int64), book.cells.rows[cell, 0]
    )
    plan = book.cells.plan[cell]
    wide = quantity + book.cells.max_increment[cell] > book.cells.max_units[cell]
    crossing = np.zeros(len(cell), np.bool_)
    for number, line in enumerate(lines):
        rows = np.flatnonzero(plan == number)
        if not len(rows):
            continue
        at = np.searchsorted(line.borders, start[rows], side="right") - 1
        ends = start[rows] + np.where(spans[rows], quantity[rows], 1)
        crossing[rows] = ends > np.append(line.borders[1:], MAX_MICRO)[at]
        priced.row[rows] = book.cells.rows[cell[rows], line.slots[at]]
        cut = rows[crossing[rows] & ~wide[rows]]
        _price_crossing(book, line, cell, start, quantity, cut, priced)
    plain = ~(crossing | wide)
    _price_single(book, quantity, slice(None) if plain.all() else np.flatnonzero(plain), priced)
    for row in np.flatnonzero(wide).tolist():
        _price_wide(book, lines, int(cell[row]), int(start[row]), int(quantity[row]),
                    bool(spans[row]), row, priced)  # fmt: skip
    return priced


def divide_half_up(numerator: Int64, denominator: Int64) -> Int64:
    """Divide non-negative int64 by positive int64, ties up. The sum of both must fit in int64."""
    # Unsigned division is several times faster than NumPy's signed floor division.
    rounded = (numerator + (denominator >> 1)).view(np.uint64) // denominator.view(np.uint64)
    return rounded.view(np.int64)


def _price_single(book: TariffBook, quantity: Int64, rows: Int64 | slice, priced: Priced) -> None:
    """Price the events that one row covers from start to end."""
    row = priced.row[rows]
    units = _whole_increments(quantity[rows], book.rows.increment[row])
    numerator = units * book.rows.price[row]
    amount = divide_half_up(numerator, book.rows.denominator[row])
    amount += book.rows.setup[row]
    priced.amount_micro[rows] = np.maximum(amount, book.rows.minimum[row], out=amount)
    priced.billed_units[rows] = units


def _whole_increments(quantity: Int64, increment: Int64) -> Int64:
    """Round up to whole increments; increment 0 is proportional."""
    step = np.maximum(increment, 1)
    count = (quantity + (step - 1)).view(np.uint64) // step.view(np.uint64)
    units: Int64 = count.view(np.int64) * step
    return units


def _price_crossing(
    book: TariffBook,
    line: Timeline,
    cell: Int32,
    start: Int64,
    quantity: Int64,
    rows: Int64,
    priced: Priced,
) -> None:
    """Price voice events over several bands, portion by portion, all events side by side."""
    if not len(rows):
        return
    begin, end = start[rows], start[rows] + quantity[rows]
    border = np.append(line.borders, MAX_MICRO)
    at = np.searchsorted(line.borders, begin, side="right") - 1
    numerator, units = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    paid_until = begin.copy()
    going = np.arange(len(rows))
    while len(going):
        row = book.cells.rows[cell[rows[going]], line.slots[at[going]]]
        stop = np.minimum(border[at[going] + 1], end[going])
        unpaid = np.maximum(stop - np.maximum(begin[going], paid_until[going]), 0)
        billed = _whole_increments(unpaid, book.rows.increment[row])
        units[going] += billed
        numerator[going] += billed * book.rows.price[row]
        paid_until[going] = np.maximum(begin[going], paid_until[going]) + billed
        begin[going] = stop
        at[going] += 1
        going = going[stop < end[going]]
    first = priced.row[rows]
    amount = divide_half_up(numerator, book.rows.denominator[first]) + book.rows.setup[first]
    priced.amount_micro[rows] = np.maximum(amount, book.rows.minimum[first])
    priced.billed_units[rows] = units


def portions(
    book: TariffBook,
    lines: Sequence[Timeline],
    cell: int,
    start: int,
    quantity: int,
    *,
    spans: bool,
) -> Iterator[Portion]:
    """Cut one event into its portions, with Python's integers: for explanations and wide events."""
    plan = int(book.cells.plan[cell])
    end = start + quantity
    paid_until = start
    at, borders = 0, [start]
    if plan >= 0:
        line = lines[plan]
        at = int(np.searchsorted(line.borders, start, side="right")) - 1
        borders = line.borders.tolist()
    while start < end:
        slot = int(lines[plan].slots[at]) if plan >= 0 else 0
        row = int(book.cells.rows[cell, slot])
        stop = min(borders[at + 1], end) if spans and at + 1 < len(borders) else end
        paid_from = max(start, paid_until)
        step = int(book.rows.increment[row]) or 1
        billed = -(-max(stop - paid_from, 0) // step) * step
        paid_until = paid_from + billed
        yield Portion(row, start, stop - start, billed)
        start, at = stop, at + 1


def exact_numerator(book: TariffBook, parts: Sequence[Portion]) -> int:
    """Sum units x price of all portions, over the denominator of the first one's row."""
    return sum(part.billed * int(book.rows.price[part.row]) for part in parts)


def price_exactly(book: TariffBook, parts: Sequence[Portion]) -> int:
    """Price the portions of one event with Python's integers. [millionths]"""
    first = parts[0].row
    denominator = int(book.rows.denominator[first])
    amount = (exact_numerator(book, parts) + denominator // 2) // denominator
    return max(amount + int(book.rows.setup[first]), int(book.rows.minimum[first]))


def _price_wide(
    book: TariffBook,
    lines: Sequence[Timeline],
    cell: int,
    start: int,
    quantity: int,
    spans: bool,
    row: int,
    priced: Priced,
) -> None:
    parts = list(portions(book, lines, cell, start, quantity, spans=spans))
    priced.amount_micro[row] = price_exactly(book, parts)
    priced.billed_units[row] = sum(part.billed for part in parts)
    priced.row[row] = parts[0].row


def overflows(
    book: TariffBook,
    lines: Sequence[Timeline],
    cell: Int32,
    start: Int64,
    quantity: Int64,
    spans: Bool,
) -> Int64:
    """Find the events whose price reaches 2**62 millionths; arguments as for `price`.

    Judged on the whole quantity, whatever an allowance may cover: whether an event can be priced
    depends on the event and the book alone.
    """
    wide = quantity + book.cells.max_increment[cell] > book.cells.max_units[cell]
    found = []
    for row in np.flatnonzero(wide).tolist():
        parts = list(portions(book, lines, int(cell[row]), int(start[row]), int(quantity[row]),
                              spans=bool(spans[row])))  # fmt: skip
        if price_exactly(book, parts) >= MAX_MICRO:
            found.append(row)
    return np.array(found, np.int64)
