"""Why each event of a batch costs what it costs, as integers; sentences come on request.

The parts are computed apart from the kernel that priced the events. What stays in one band is read
from a table of what the steps before have cost (`rating.straight`), what does not is walked through
piece by piece, what does not fit in int64 with Python's integers. So they are a second opinion, and
an amount that they do not sum to is refused before it is posted.

    amount = set-up fee + usage + rounding + limit        (the negative of that for a refund)

Of an event that brings its price, usage is that price and the set-up fee is what is added to it.
"""

from dataclasses import dataclass

import numpy as np

from ledger.errors import DoesNotTie
from rating.carried_usage import brings_price, explain_carried
from rating.clock import Timeline
from rating.pieces import NO_PLAN, Pieces, Sessions, walk
from rating.pipeline import CHUNK, Rated, timelines_of
from rating.pricing import MAX_MICRO, may_overflow
from rating.rounding import Integers, Mode, divide
from rating.straight import StraightRows, price_straight, straight_rows
from rating.tariff import TariffBook
from rating.tariff_tables import MODES, of_rows
from rating.tariff_terms import START_BAND
from rating.usage import VOICE, Bool, Int32, Int64, Reason, UsageBatch

NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """The explanation of each event, row by row as in the batch; nothing paid is all zero."""

    band: Int32  # index into the tariff's bands at the start, NONE where one price holds always
    step: Int32  # of the price at the start, NONE where nothing is paid
    pieces: Int32  # how many prices the event spans
    setup_micro: Int64
    usage_micro: Int64  # units x price of all pieces, divided once
    rounding_micro: Int64  # what the rounding of the event adds
    limit_micro: Int64  # up to the minimum, or down to the most
    allowance: Int32  # (n, layers) index into `book.allowances`, NONE where it covered nothing
    drawn: Int64  # (n, layers) what that allowance covered

    @property
    def amount_micro(self) -> Int64:
        """What the parts sum to. [millionths]"""
        return self.sums(slice(None))

    def sums(self, rows: slice) -> Int64:
        """Give what the parts of some events sum to. [millionths]"""
        total = self.setup_micro[rows] + self.usage_micro[rows]
        total += self.rounding_micro[rows]
        total += self.limit_micro[rows]
        return total


def codes_of(batch: UsageBatch, rated: Rated, book: TariffBook) -> Codes:
    """Explain all events of a rated batch.

    Parameters
    ----------
    rated : the outcome of `rating.pipeline.rate`; of it, only what is free and what was suspended
        is believed.
    """
    carried = brings_price(batch)
    codes = _unpaid(batch, rated, book, carried=bool(carried.any()))
    _explain_usage(batch, rated, book, carried, codes)
    rows = np.flatnonzero(carried & (rated.reason == Reason.OK))
    if len(rows):
        _, _, parts = explain_carried(batch.take(rows), book)
        codes.pieces[rows] = 1
        codes.usage_micro[rows], codes.setup_micro[rows] = parts.price_micro, parts.markup_micro
        codes.rounding_micro[rows] = parts.rounding_micro
    return codes


def _explain_usage(
    batch: UsageBatch, rated: Rated, book: TariffBook, carried: Bool, codes: Codes
) -> None:
    """Explain the events that are paid for by the rates of the tariff."""
    reason = np.where(carried, Reason.NO_PRICE, rated.reason) if carried.any() else rated.reason
    tables = _Tables(
        book, timelines_of(batch, book, reason), straight_rows(book.steps), _bands(book)
    )
    left = []
    for begin in range(0, len(batch), CHUNK):
        rows: slice | Int64 = slice(begin, min(begin + CHUNK, len(batch)))
        payable = _payable(batch, rated, book, rows)
        paid = (reason[rows] == Reason.OK) & (payable > 0)
        if not paid.all():
            mine = np.flatnonzero(paid)
            rows, payable = begin + mine, payable[mine]
        if len(payable):
            sessions = _sessions(batch, rated, book, rows, payable)
            left.append(_read_off(tables, sessions, rows, codes))
    rest = np.concatenate([np.zeros(0, np.int64), *left])
    for begin in range(0, len(rest), CHUNK):
        some = rest[begin : begin + CHUNK]
        sessions = _sessions(batch, rated, book, some, _payable(batch, rated, book, some))
        _walk_through(tables, sessions, some, codes)
    if book.tariff.refunds:
        refunds = np.flatnonzero((batch.quantity < 0) & (codes.pieces > 0))
        columns = (codes.setup_micro, codes.usage_micro, codes.rounding_micro, codes.limit_micro)
        for micro in columns:
            if micro.flags.writeable:
                micro[refunds] *= -1


def _payable(batch: UsageBatch, rated: Rated, book: TariffBook, rows: Int64 | slice) -> Int64:
    """Give what is to be paid for: of a refund, the use that it gives back."""
    used = batch.quantity[rows]
    payable: Int64 = np.abs(used) if book.tariff.refunds else used
    return payable - rated.free_quantity[rows]


def check_codes(codes: Codes, batch: UsageBatch, rated: Rated, book: TariffBook) -> None:
    """Refuse amounts that their explanations do not sum to.

    Raises
    ------
    DoesNotTie : names the first such event and counts them; nothing may be posted.
    """
    stretches = (slice(at, at + CHUNK) for at in range(0, len(batch), CHUNK))
    if all(np.array_equal(codes.sums(rows), rated.amount_micro[rows]) for rows in stretches):
        return
    explained = codes.amount_micro
    wrong = np.flatnonzero(explained != rated.amount_micro)
    row = int(wrong[np.argmin(batch.event_key[wrong])])
    raise DoesNotTie(
        f"Event {int(batch.event_key[row])} was rated at {int(rated.amount_micro[row])} "
        f"millionths, its explanation from book {book.label} sums to {int(explained[row])}; "
        f"{len(wrong)} of {len(batch)} events differ. Nothing is posted until they agree.",
        event_key=int(batch.event_key[row]), differing=len(wrong),
    )  # fmt: skip


def _unpaid(batch: UsageBatch, rated: Rated, book: TariffBook, *, carried: bool) -> Codes:
    """Say which allowances covered what; nothing is paid yet."""
    events, layers = rated.drawn.shape
    allowance: Int32 = np.broadcast_to(np.int32(NONE), (events, layers))
    if book.allowances:  # By layer in memory, as what is drawn.
        allowance = np.full((layers, events), NONE, np.int32).T
        for layer in range(layers):
            rows = np.flatnonzero(rated.drawn[:, layer] > 0)
            served = book.cells.allowances[:, layer]
            allowance[rows, layer] = served[_cells(batch, rated, book, rows)]
    nothing = np.broadcast_to(np.int64(0), events)  # Takes no room, and cannot be written to.
    return Codes(
        band=np.full(events, NONE, np.int32),
        step=np.full(events, NONE, np.int32),
        pieces=np.zeros(events, np.int32),
        setup_micro=np.zeros(events, np.int64),
        usage_micro=np.zeros(events, np.int64),
        rounding_micro=np.zeros(events, np.int64) if carried or book.rows.rounded else nothing,
        limit_micro=np.zeros(events, np.int64) if _has_limits(book) else nothing,
        allowance=allowance,
        drawn=rated.drawn,
    )


def _has_limits(book: TariffBook) -> bool:
    """Say whether some price has a minimum or a most."""
    return book.rows.capped or bool(book.rows.minimum.any())


def _cells(batch: UsageBatch, rated: Rated, book: TariffBook, rows: Int64 | slice) -> Int32:
    _, usages, zones = book.cube.shape
    usage = batch.offering[rows] * usages + (batch.usage_type[rows] - 1)
    cells: Int32 = book.cube.ravel()[usage * zones + rated.zone[rows]]
    return cells


def _sessions(
    batch: UsageBatch, rated: Rated, book: TariffBook, rows: Int64 | slice, payable: Int64
) -> Sessions:
    usage = batch.usage_type[rows]
    elapsed, continued = batch.elapsed_before, batch.continuation
    return Sessions(
        cell=_cells(batch, rated, book, rows),
        start=batch.started_at[rows],
        quantity=payable,
        spans=usage == VOICE,
        elapsed=None if elapsed is None else elapsed[rows],
        continued=None if continued is None else continued[rows],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """What the explanation of a batch looks up."""

    book: TariffBook
    lines: tuple[Timeline, ...]
    straight: StraightRows
    bands: Int32  # of each rate row


def _read_off(
    tables: _Tables, sessions: Sessions, rows: Int64 | slice, codes: Codes
) -> Int64:  # fmt: skip
    """Explain the sessions that stay in one band and have straight steps, from the table.

    `rows` are the places of the sessions in `codes`. Gives the places of those that are left; what
    stands there means nothing until they have been walked through.
    """
    book = tables.book
    first, stays = _first_rows(book, tables.lines, sessions)
    short = stays & ~may_overflow(book, tables.lines, sessions.cell, sessions.quantity)
    if not tables.straight.straight.all():
        short &= tables.straight.straight[first]
    if sessions.elapsed is not None:
        short &= sessions.elapsed == 0
    if short.any():
        numerator, step = price_straight(tables.straight, first, sessions.quantity)
        begins = _Begins(first, np.zeros(1, np.int64), (step + 1).astype(np.int32))
        _write(tables, begins, numerator, sessions.continued, rows, codes)
    left = np.flatnonzero(~short)
    return left + rows.start if isinstance(rows, slice) else rows[left]


def _walk_through(tables: _Tables, sessions: Sessions, rows: Int64, codes: Codes) -> None:
    """Explain sessions piece by piece; `rows` are their places in `codes`."""
    book = tables.book
    wide = may_overflow(book, tables.lines, sessions.cell, sessions.quantity)
    plan = book.cells.plan[sessions.cell]
    for number, line in [(-1, NO_PLAN), *enumerate(tables.lines)]:
        mine = np.flatnonzero(plan == number)
        for chosen, kind in ((mine[~wide[mine]], np.int64), (mine[wide[mine]], np.object_)):
            if len(chosen):
                begins, numerator = _walked(book, line, sessions, chosen, kind)
                continued = sessions.continued_of(chosen)
                _write(tables, begins, numerator, continued, rows[chosen], codes)


@dataclass(frozen=True, slots=True, eq=False)
class _Begins:
    """How sessions begin, and how many pieces they have."""

    row: Int64
    step: Int64
    pieces: Int32


def _first_rows(
    book: TariffBook, lines: tuple[Timeline, ...], sessions: Sessions
) -> tuple[Int64, Bool]:
    """Find the row at the start of each session, and which sessions it holds for to their end."""
    cell, start, stays = sessions.cell, sessions.start, np.ones(len(sessions.cell), np.bool_)
    place = cell.astype(np.int64)
    place *= book.cells.rows.shape[1]
    for number, line in enumerate(lines):
        own = book.cells.plan == number
        mine = slice(None) if own.all() else np.flatnonzero(own[cell])
        at = line.at(start[mine])
        place[mine] += line.slots[at]
        if book.tariff.band_split != START_BAND:
            left = line.ends[at]
            left -= start[mine]
            stays[mine] = (sessions.quantity[mine] <= left) | ~sessions.spans[mine]
    return book.cells.rows.ravel()[place].astype(np.int64), stays


def _walked(
    book: TariffBook, line: Timeline, sessions: Sessions, rows: Int64, kind: type
) -> tuple[_Begins, Integers]:
    """Walk through sessions of one plan: how they begin, and units x price of all pieces."""
    walked = walk(book.step_tables, line, sessions, rows)
    begun = next(walked)  # Of the first pieces, every event has one.
    numerator, count = _numerator(begun, kind), np.ones(len(rows), np.int32)
    for part in walked:
        count[part.event] += 1
        numerator[part.event] += _numerator(part, kind)
    return _Begins(begun.row, begun.step, count), numerator


def _write(
    tables: _Tables, begins: _Begins, numerator: Integers, continued: Bool | None,
    rows: Int64 | slice, codes: Codes,
) -> None:  # fmt: skip
    """Make the codes of sessions from units x price; int64, or Python's integers."""
    book, first = tables.book, begins.row
    setup, minimum = of_rows(book.rows.setup, first), of_rows(book.rows.minimum, first)
    if continued is not None:
        setup, minimum = np.where(continued, 0, setup), np.where(continued, 0, minimum)
    denominator = of_rows(book.rows.denominator, first).astype(numerator.dtype, copy=False)
    usage = divide(numerator, denominator, Mode.HALF_UP)
    rounded = _rounded(book, first, numerator, setup, usage)
    limited = rounded
    if _has_limits(book):
        limited = np.minimum(np.maximum(rounded, minimum), of_rows(book.rows.most, first))
    if numerator.dtype == np.object_:
        usage, rounded = _as_far_as_fits(usage, rounded, setup)
    codes.band[rows], codes.step[rows] = tables.bands[first], begins.step
    codes.pieces[rows] = begins.pieces
    codes.setup_micro[rows], codes.usage_micro[rows] = setup, usage
    if book.rows.rounded:
        codes.rounding_micro[rows] = rounded - setup - usage
    if limited is not rounded:
        codes.limit_micro[rows] = limited - rounded


def _numerator(part: Pieces, kind: type) -> Integers:
    """Give units x price of pieces, per the denominator of their rows."""
    billed: Integers = part.billed.astype(kind, copy=False)
    return billed * part.price.astype(kind, copy=False)


def _rounded(
    book: TariffBook, row: Int64, numerator: Integers, setup: Int64, usage: Integers
) -> Integers:
    """Round set-up fee and usage together, where a row rounds otherwise than to millionths."""
    rounded = setup + usage
    if not book.rows.rounded:
        return rounded
    setup = np.broadcast_to(setup, len(row))
    mode, unit = book.rows.mode[row], book.rows.unit[row]
    for number, how in enumerate(MODES):
        other = (mode == number) & ((unit != 1) | (how is not Mode.HALF_UP))
        chosen = np.flatnonzero(other)
        if len(chosen):
            per = book.rows.denominator[row[chosen]].astype(object)
            exact = numerator[chosen].astype(object) + setup[chosen].astype(object) * per
            step = unit[chosen].astype(object)
            rounded[chosen] = divide(exact, per * step, how) * step
    return rounded


def _as_far_as_fits(usage: Integers, rounded: Integers, setup: Int64) -> tuple[Integers, Integers]:
    """Say of what only its limit made payable that it cost the most that a column can hold."""
    beyond = usage >= MAX_MICRO
    return np.where(beyond, MAX_MICRO - 1, usage), np.where(beyond, MAX_MICRO - 1 + setup, rounded)


def _bands(book: TariffBook) -> Int32:
    """Give the band of each rate row, as an index into the tariff's bands."""
    names = [band.id for band in book.tariff.bands]
    bands = [book.rate_of_row(row).band for row in range(len(book.rows.price))]
    return np.array([names.index(band) if band in names else NONE for band in bands], np.int32)
