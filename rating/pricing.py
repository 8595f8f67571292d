"""What an event costs: exact rationals in int64, divided once, half away from zero to millionths.

    amount = round(min(most, max(minimum, set-up fee + sum over pieces of units x price / per)))

A session is cut where the band changes and where a step of its price begins. With `split_carry`
each piece is rounded up to whole increments, and what a paid increment reaches into the next piece
is not paid again; with `split` every piece is rounded up on its own, and midnight cuts as well;
with `start_band` the band at the start prices all. Set-up fee, minimum, most and rounding are those
of the first piece's row. Nothing used costs nothing; what continues a session has paid set-up fee
and minimum. Numerators that might not fit in int64 are priced one by one with Python's integers
instead; nothing that counts ever wraps. Source: docs/pricing.md, "A call over two bands"; the
session kind of the pricing case format.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rating.clock import Timeline, timeline
from rating.pieces import NO_PLAN, Piece, Session, Sessions, pieces, walk, whole_increments
from rating.rounding import Integers, divide, narrow
from rating.tariff import TariffBook
from rating.tariff_tables import MODES, NEVER, StepTables, of_rows
from rating.tariff_terms import NO_PRICE, SPLIT, SPLIT_CARRY, START_BAND
from rating.usage import Bool, Int32, Int64

MAX_MICRO = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """What a set of events costs."""

    amount_micro: Int64
    billed_units: Int64
    row: Int64  # of the first piece


def timelines(book: TariffBook, first: int, last: int) -> tuple[Timeline, ...]:
    """Lay out the plans of a book over the instants of a batch, both ends included. [seconds]"""
    by_day, ticks = book.tariff.band_split == SPLIT, book.units_per_quantity
    return tuple(
        timeline(plan, book.clock, first, last, by_day=by_day, ticks=ticks) for plan in book.plans
    )


def price(book: TariffBook, lines: Sequence[Timeline], sessions: Sessions) -> Priced:
    """Price events that have a rate at every instant they use.

    Parameters
    ----------
    lines : the timelines of the book's plans, covering all events.
    sessions : what was used; quantities are positive.
    """
    short, long = price_short(book, lines, sessions)
    if not len(long):
        return short
    amount, units = short.amount_micro, short.billed_units.copy()
    priced = price_long(book, lines, sessions.take(long), short.row[long])
    amount[long], units[long] = priced.amount_micro, priced.billed_units
    return Priced(amount, units, short.row)


def price_short(
    book: TariffBook, lines: Sequence[Timeline], sessions: Sessions
) -> tuple[Priced, Int64]:
    """Price the events that one row covers from start to end: step by step, all side by side.

    Arguments as for `price`.

    Returns
    -------
    priced : of all events, since to leave out a few costs more than to price them in vain.
    long : those few, in rising order: over several bands or steps that look ahead, or too wide for
        int64. Of what is priced here, only the row of the first piece is theirs.
    """
    row, long = _first_rows(book, lines, sessions)
    long |= may_overflow(book, lines, sessions.cell, sessions.quantity)
    if book.steps.whole.any():
        long |= book.steps.whole[row]
    numerator, units = _sum_of_steps(book, row, sessions.quantity, sessions.elapsed)
    amount = _amounts(book, row, numerator, sessions.continued)
    return Priced(amount, units, row), np.flatnonzero(long)


def price_long(
    book: TariffBook, lines: Sequence[Timeline], sessions: Sessions, first: Int64
) -> Priced:
    """Price events over several bands or steps piece by piece, wide ones with Python's integers.

    `first` is the rate row of the first piece of each.
    """
    amount, units = np.zeros_like(first), np.zeros_like(first)
    wide = may_overflow(book, lines, sessions.cell, sessions.quantity)
    for rows, line in _by_plan(book, lines, sessions, np.flatnonzero(~wide)):
        numerator, units[rows] = sum_of_pieces(book.step_tables, line, sessions, rows)
        amount[rows] = _amounts(book, first[rows], numerator, sessions.continued_of(rows))
    for row in np.flatnonzero(wide).tolist():
        parts = list(pieces(book, lines, sessions.one(row)))
        amount[row] = price_exactly(book, parts, continued=sessions.goes_on(row))
        units[row] = sum(part.billed for part in parts)
    return Priced(amount, units, first)


def _first_rows(
    book: TariffBook, lines: Sequence[Timeline], sessions: Sessions
) -> tuple[Int64, Bool]:
    """Find the row that prices the start of each event, and which events outlast its band."""
    cell, start, outlasts = sessions.cell, sessions.start, np.zeros(len(sessions.cell), np.bool_)
    place = cell.astype(np.int64)
    place *= book.cells.rows.shape[1]
    for number, line in enumerate(lines):
        own = book.cells.plan == number
        rows = slice(None) if own.all() else np.flatnonzero(own[cell])
        at = line.at(start[rows])
        place[rows] += line.slots[at]
        if book.tariff.band_split != START_BAND:
            left = line.ends[at]
            left -= start[rows]
            outlasts[rows] = sessions.spans[rows] & (sessions.quantity[rows] > left)
    return book.cells.rows.ravel()[place].astype(np.int64), outlasts


def sum_of_pieces(
    tables: StepTables, line: Timeline, sessions: Sessions, rows: Int64
) -> tuple[Integers, Integers]:
    """Sum units x price over the pieces of events, and the units, without set-up fee or limits.

    Returns
    -------
    numerator, units : (rows,) of the dtype of the quantities; the caller sees that they fit.
    """
    kind = sessions.quantity.dtype
    numerator, units = np.zeros(len(rows), kind), np.zeros(len(rows), kind)
    for part in walk(tables, line, sessions, rows):
        units[part.event] += part.billed
        numerator[part.event] += part.billed * part.price
    return numerator, units


def divide_half_up(numerator: Int64, denominator: Int64) -> Int64:
    """Divide non-negative int64 by positive int64, ties up. The sum of both must fit in int64."""
    # Unsigned division is several times faster than NumPy's signed floor division.
    rounded = (numerator + (denominator >> 1)).view(np.uint64) // denominator.view(np.uint64)
    return rounded.view(np.int64)


def _sum_of_steps(
    book: TariffBook, row: Int64, quantity: Int64, elapsed: Int64 | None
) -> tuple[Int64, Int64]:
    """Sum units x price over the steps of one row, and the units, as `walk` does over pieces."""
    starts, prices, increments = book.steps.starts, book.steps.prices, book.steps.increments
    if prices.shape[1] == 1:
        units = whole_increments(quantity, of_rows(increments[:, 0], row))
        return units * of_rows(prices[:, 0], row), units
    carry = book.tariff.band_split == SPLIT_CARRY
    begin = np.zeros(1, np.int64) if elapsed is None else elapsed
    end, paid_until = begin + quantity, begin
    numerator, units = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    for step in range(prices.shape[1]):
        first = np.maximum(of_rows(starts[:, step], row), begin)
        if not (first < end).any():
            break
        # What an event does not reach of a step, or has left behind, is negative or nothing.
        paid = np.maximum(first, paid_until) if carry else first
        used = np.minimum(of_rows(starts[:, step + 1], row), end) - paid
        billed = whole_increments(np.maximum(used, 0), of_rows(increments[:, step], row))
        paid_until = paid + billed
        units += billed
        billed *= of_rows(prices[:, step], row)
        numerator += billed
    return numerator, units


def _amounts(
    book: TariffBook, row: Int64 | Int32, numerator: Int64, continued: Bool | None
) -> Int64:
    """Divide once and add what the first row asks for; `continued` events have paid it already."""
    setup, minimum = of_rows(book.rows.setup, row), of_rows(book.rows.minimum, row)
    if continued is not None:
        setup, minimum = np.where(continued, 0, setup), np.where(continued, 0, minimum)
    if book.rows.rounded:
        amount = _rounded(book, row, numerator, setup)
    else:
        amount = divide_half_up(numerator, of_rows(book.rows.denominator, row))
        amount += setup
    np.maximum(amount, minimum, out=amount)
    if book.rows.capped:
        np.minimum(amount, book.rows.most[row], out=amount)
    return amount


def _rounded(book: TariffBook, row: Int64 | Int32, numerator: Int64, setup: Int64) -> Int64:
    """Round the exact amounts to the units of their rows, each in its mode, dividing once."""
    unit, denominator = book.rows.unit[row], book.rows.denominator[row]
    whole, rest = np.divmod(numerator, denominator)
    count, over = np.divmod(whole + setup, unit)
    # amount = count x unit + (over + rest / denominator), of which the fraction of a unit rounds.
    odd, of = count & 1, unit * denominator
    left = over * denominator + rest + odd * of
    for number, mode in enumerate(MODES):
        rows = np.flatnonzero(book.rows.mode[row] == number)
        if len(rows):
            count[rows] += divide(left[rows], of[rows], mode) - odd[rows]
    amount: Int64 = count * unit
    return amount


def exact_amount(book: TariffBook, parts: Sequence[Piece]) -> tuple[int, int]:
    """Sum units x price of all pieces: numerator and denominator, without the set-up fee."""
    numerator = sum(p.billed * int(book.steps.prices[p.row, p.step]) for p in parts)
    return numerator, int(book.rows.denominator[parts[0].row])


def price_exactly(book: TariffBook, parts: Sequence[Piece], *, continued: bool = False) -> int:
    """Price the pieces of one event with Python's integers. [millionths]"""
    first, rows = parts[0].row, book.rows
    numerator, denominator = exact_amount(book, parts)
    setup, minimum = (0, 0) if continued else (int(rows.setup[first]), int(rows.minimum[first]))
    unit, mode = int(rows.unit[first]), MODES[int(rows.mode[first])]
    exact = np.array([numerator + setup * denominator], object)
    amount = int(divide(exact, denominator * unit, mode)[0]) * unit
    most = int(rows.most[first])
    amount = max(amount, minimum)
    return min(amount, most) if most < NEVER else amount


def may_overflow(book: TariffBook, lines: Sequence[Timeline], cell: Int32, quantity: Int64) -> Bool:
    """Mark what might not fit in int64: quantity and what increments add, times the dearest price.

    With carry the pieces together reach at most one increment beyond the end; without, each of them
    may be rounded up by one.
    """
    added, most_units = book.cells.max_increment, book.cells.max_units
    if book.tariff.band_split != SPLIT_CARRY:
        most = max((len(line.borders) for line in lines), default=1) + book.steps.prices.shape[1]
        added = added * most
    if not len(cell) or int(quantity.max()) + int(added.max()) <= int(most_units.min()):
        return np.zeros(len(cell), np.bool_)
    wide: Bool = quantity + added[cell] > most_units[cell]
    return wide


def _by_plan(
    book: TariffBook, lines: Sequence[Timeline], sessions: Sessions, rows: Int64
) -> Iterator[tuple[Int64, Timeline]]:
    """Group rows by the plan of their cell, each with its timeline."""
    if not len(rows):
        return
    plan = book.cells.plan[sessions.cell[rows]]
    for number, line in [(-1, NO_PLAN), *enumerate(lines)]:
        own = rows[plan == number]
        if len(own):
            yield own, line


def unsold(book: TariffBook, lines: Sequence[Timeline], sessions: Sessions) -> Int64:
    """Find the events that use more than has a price: beyond the bounded last step of a row."""
    found = [np.zeros(0, np.int64)]
    bounded = np.flatnonzero(book.cells.bounded[sessions.cell])
    for rows, line in _by_plan(book, lines, sessions, bounded):
        open_end = np.zeros(len(rows), np.bool_)
        for part in walk(book.step_tables, line, sessions, rows):
            open_end[part.event] |= part.price == NO_PRICE
        found.append(rows[open_end])
    return np.concatenate(found)


def overflows(book: TariffBook, lines: Sequence[Timeline], sessions: Sessions) -> Int64:
    """Find the events whose price reaches 2**62 millionths; arguments as for `price`.

    Judged on the whole quantity, whatever an allowance may cover: whether an event can be priced
    depends on the event and the book alone.
    """
    found = []
    wide = may_overflow(book, lines, sessions.cell, sessions.quantity)
    for row in np.flatnonzero(wide).tolist():
        session: Session = sessions.one(row)
        amount = price_exactly(
            book, list(pieces(book, lines, session)), continued=sessions.goes_on(row)
        )
        if amount >= MAX_MICRO:
            found.append(row)
    return np.array(found, np.int64)


def affordable_units(
    money: Integers, setup: Integers, price_of: Integers, per: Integers, increment: Integers
) -> Integers:
    """Count the units that money pays for, in whole increments; set-up fee first.

    Parameters
    ----------
    money, setup : (n,) integers. [units of the currency]
    price_of : (n,) integers > 0, per `per` units; what is free has no limit.
    per, increment : (n,) integers > 0. [units of the usage]

    Raises
    ------
    Overflow : a count does not fit in 64 bits.
    """
    left = np.maximum(money - setup, 0)
    exact = left.astype(object) * per // (price_of.astype(object) * increment) * increment
    return exact if money.dtype == np.object_ else narrow(exact, "What money pays for")
