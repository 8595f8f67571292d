"""The road of a batch: from usage columns to amounts, a pure function of events, book and counters.

    locate    zone by prefix or rating group, cell of prices; suspended with a reason where none
    consume   allowances, over the whole batch, in event order
    price     increments, steps, bands, set-up fee, minimum, most, rounding

Events that bring their price take a road of their own, by the terms of their service; the two meet
nowhere.

Chunks only keep the work in the cache; the result does not depend on them, nor on the order of
rows. What is suspended is never priced and never consumes an allowance. A refund (a negative
quantity, where the tariff knows refunds) costs the negative of the same positive quantity; it gives
no allowance back and takes none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from rating.allowances import Counters, consume
from rating.carried_usage import brings_price, components_of, price_carried
from rating.clock import Timeline
from rating.drawing import Cost
from rating.pieces import Sessions
from rating.pricing import (
    may_overflow,
    overflows,
    price,
    price_long,
    price_short,
    timelines,
    unsold,
)
from rating.rounding import Integers
from rating.tariff import TariffBook
from rating.tariff_tables import NEVER, of_rows
from rating.tariff_terms import START_BAND
from rating.top_ups import TopUps
from rating.usage import (
    DATA,
    MAX_CALL_SECONDS,
    MAX_QUANTITY,
    VOICE,
    Int16,
    Int32,
    Int64,
    Reason,
    UsageBatch,
)
from rating.zones import zones_of_groups, zones_of_numbers

CHUNK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """The outcome of each event, row by row as in the batch, and the counters afterwards."""

    amount_micro: Int64  # in the price basis of the offering; 0 where suspended
    component: Int32  # index into `book.components`, -1 where suspended
    zone: Int32  # index into `book.zones`, -1 where none
    reason: Int16  # a `Reason`; 0 is rated
    billed_units: Int64  # what was paid for, in whole increments
    free_quantity: Int64  # what an allowance covered
    rate_row: Int32  # of the first portion, -1 where suspended or wholly covered
    counters: Counters
    drawn: Int64  # (n, layers) what each allowance of the event's cell covered, in order of use


def rate(
    batch: UsageBatch, book: TariffBook, counters: Counters | None = None, *,
    top_ups: TopUps | None = None, chunk: int = CHUNK,
) -> Rated:  # fmt: skip
    """Rate a batch of usage events.

    Parameters
    ----------
    batch : events of `check_usage`, in any order.
    book : the tariff; one book a call, chosen by the caller by effective date.
    counters : what allowances have served before, None for nothing. A pool (subscription and month)
        must not be split over batches out of time order: such events leave with reason LATE.
    top_ups : what was bought of allowances, in codes of the batch and the book; None for nothing.
    chunk : rows priced at a time; affects speed only.
    """
    carried = brings_price(batch)
    if not carried.any():
        return _rate_usage(batch, book, counters, top_ups=top_ups, chunk=chunk)
    plain, own = np.flatnonzero(~carried), np.flatnonzero(carried)
    usage = _rate_usage(batch.take(plain), book, counters, top_ups=top_ups, chunk=chunk)
    return _joined(usage, plain, _rate_carried(batch.take(own), book, usage), own)


def _rate_carried(batch: UsageBatch, book: TariffBook, usage: Rated) -> Rated:
    """Price events by what they bring; `usage` is the rest of the batch, with its counters."""
    priced, none = price_carried(batch, book), np.full(len(batch), -1, np.int32)
    return Rated(
        amount_micro=priced.amount_micro,
        component=components_of(priced, book),
        zone=none,
        reason=priced.reason,
        billed_units=np.where(priced.reason == Reason.OK, batch.quantity, 0),
        free_quantity=np.zeros(len(batch), np.int64),
        rate_row=none,
        counters=usage.counters,
        drawn=np.zeros((len(batch), usage.drawn.shape[1]), np.int64),
    )


def _joined(one: Rated, one_rows: Int64, other: Rated, other_rows: Int64) -> Rated:
    """Put two parts of a batch together, each at its rows; the counters are those of the first."""
    order = np.argsort(np.concatenate([one_rows, other_rows]))
    columns = {
        column.name: np.concatenate([getattr(one, column.name), getattr(other, column.name)])[order]
        for column in fields(Rated)
        if column.name != "counters"
    }
    return Rated(**columns, counters=one.counters)


def _rate_usage(
    batch: UsageBatch, book: TariffBook, counters: Counters | None, *, top_ups: TopUps | None,
    chunk: int,
) -> Rated:  # fmt: skip
    """Rate events that the tariff has rates for."""
    zone = np.full(len(batch), -1, np.int32)
    cell = np.full(len(batch), -1, np.int32)
    reason = np.zeros(len(batch), np.int16)
    for rows in _chunks(len(batch), chunk):
        _locate(batch.take(rows), book, zone[rows], cell[rows], reason[rows])
    lines = timelines_of(batch, book, reason, chunk)
    for rows in _chunks(len(batch), chunk):
        _refuse_unpriceable(batch.take(rows), book, lines, cell[rows], reason[rows])
    cost = _usage_cost(batch, book, lines, cell)
    drawn, after = consume(batch, cell, reason, book, counters or Counters.none(), cost, top_ups)
    free = drawn[:, 0] if drawn.shape[1] == 1 else drawn.sum(axis=1)
    amount, units, rate_row = _price_usage(batch, book, lines, cell, reason, free, chunk)
    component = np.full(len(batch), -1, np.int32)
    for rows in _chunks(len(batch), chunk):
        sound = reason[rows] == Reason.OK
        if sound.all():
            component[rows] = of_rows(book.cells.component, cell[rows])
        elif sound.any():
            component[rows] = np.where(sound, book.cells.component[cell[rows]], np.int32(-1))
    if book.tariff.refunds:
        refunded = batch.quantity < 0
        amount[refunded] *= -1
        units[refunded] *= -1
    return Rated(amount, component, zone, reason, units, free, rate_row, after, drawn)


def _price_usage(
    batch: UsageBatch, book: TariffBook, lines: tuple[Timeline, ...], cell: Int32, reason: Int16,
    free: Int64, chunk: int,
) -> tuple[Int64, Int64, Int32]:  # fmt: skip
    """Price what allowances leave of sound events: amount, units paid for, first rate row."""
    amount, units = np.zeros(len(batch), np.int64), np.zeros(len(batch), np.int64)
    rate_row, long = np.full(len(batch), -1, np.int32), [np.zeros(0, np.int64)]
    for rows in _chunks(len(batch), chunk):
        payable = _size(batch.quantity[rows] - free[rows], book)
        paid = (reason[rows] == Reason.OK) & (payable > 0)
        at: slice | Int64 = rows
        if not paid.all():
            mine = np.flatnonzero(paid)
            at, payable = mine + rows.start, payable[mine]
        if not len(payable):
            continue
        priced, left = price_short(book, lines, _sessions(batch, at, cell[at], payable))
        amount[at], units[at] = priced.amount_micro, priced.billed_units
        rate_row[at] = priced.row
        if len(left):
            long.append(left + rows.start if isinstance(at, slice) else at[left])
    later = np.concatenate(long)
    for part in _chunks(len(later), chunk):
        at = later[part]
        payable = _size(batch.quantity[at] - free[at], book)
        sessions = _sessions(batch, at, cell[at], payable)
        priced = price_long(book, lines, sessions, rate_row[at].astype(np.int64))
        amount[at], units[at] = priced.amount_micro, priced.billed_units
    return amount, units, rate_row


def _chunks(length: int, chunk: int) -> Iterator[slice]:
    for begin in range(0, length, chunk):
        yield slice(begin, min(begin + chunk, length))


def _sessions(batch: UsageBatch, rows: slice | Int64, cell: Int32, quantity: Int64) -> Sessions:
    """Say of located events what is to be priced."""
    elapsed, continued = batch.elapsed_before, batch.continuation
    return Sessions(
        cell=cell,
        start=batch.started_at[rows],
        quantity=quantity,
        spans=batch.usage_type[rows] == VOICE,
        elapsed=None if elapsed is None else elapsed[rows],
        continued=None if continued is None else continued[rows],
    )


def _usage_cost(
    batch: UsageBatch, book: TariffBook, lines: tuple[Timeline, ...], cell: Int32
) -> Cost | None:
    """Price parts of events without set-up fee and minimum, for allowances of money."""
    if not book.included.money.any():
        return None
    nothing = np.zeros_like(book.rows.setup)
    plain = replace(book, rows=replace(book.rows, setup=nothing, minimum=nothing))

    def cost(rows: Int64, quantity: Integers) -> Integers:
        amount = np.zeros(len(rows), np.int64)
        used = np.flatnonzero(quantity > 0)
        at = rows[used]
        priced = price(plain, lines, _sessions(batch, at, cell[at], quantity[used]))
        amount[used] = priced.amount_micro
        return amount

    return cost


def _locate(batch: UsageBatch, book: TariffBook, zone: Int32, cell: Int32, reason: Int16) -> None:
    """Find zone and cell of one chunk; writes its three outputs in place."""
    _check_rows(batch, book, reason)
    groups = np.flatnonzero(batch.usage_type == DATA)
    if len(groups) < len(batch):
        zone[:] = zones_of_numbers(book.zone_map, batch.called)
        zone[groups] = zones_of_groups(book.zone_map, batch.rating_group[groups])
    else:
        zone[:] = zones_of_groups(book.zone_map, batch.rating_group)
    sound = reason == Reason.OK
    usage, offering = batch.usage_type, batch.offering
    if not sound.all():
        usage, offering = np.where(sound, usage, VOICE), np.where(sound, offering, 0)
        zone[~sound] = -1
    _, usages, zones = book.cube.shape
    if not book.cube.size:
        reason[sound] = np.where(zone[sound] < 0, Reason.NO_ZONE, Reason.NO_RATE)
        return
    place = (offering * usages + (usage - 1)) * zones + np.maximum(zone, 0)
    cell[:] = book.cube.ravel()[place]
    unpriced = (cell < 0) | (zone < 0)
    if unpriced.any() or not sound.all():
        reason[unpriced & sound] = np.where(zone < 0, Reason.NO_ZONE, Reason.NO_RATE)[
            unpriced & sound
        ]
        cell[unpriced | ~sound] = -1


def _check_rows(batch: UsageBatch, book: TariffBook, reason: Int16) -> None:
    """Mark what is wrong with a row by itself; the first reason of the list wins."""
    start, quantity, voice = batch.started_at, batch.quantity, batch.usage_type == VOICE
    clock, ticks = book.clock, book.units_per_quantity
    longest = MAX_CALL_SECONDS * ticks
    if batch.elapsed_before is None and (
        int(start.min()) >= max(book.valid_from, clock.first) * ticks
        and int(start.max()) < clock.last * ticks - longest
        and int(quantity.min()) >= 0 and int(quantity.max()) <= min(longest, MAX_QUANTITY)
        and int(batch.offering.min()) >= 0 and int(batch.offering.max()) < len(book.offerings)
        and int(batch.usage_type.min()) >= VOICE and int(batch.usage_type.max()) <= DATA
    ):  # fmt: skip
        return  # The ends are sound, so all between them are.
    faults = [
        (Reason.NOT_YET_VALID, start < book.valid_from * ticks),
        (Reason.NEGATIVE, quantity < 0),
        (
            Reason.OUT_OF_RANGE,
            (start < clock.first * ticks) | (start >= clock.last * ticks - longest)
            | (np.abs(quantity) > MAX_QUANTITY) | (quantity == np.iinfo(np.int64).min)
            | (voice & (np.abs(quantity) > longest)),
        ),
        (Reason.UNKNOWN_OFFERING, (batch.offering < 0) | (batch.offering >= len(book.offerings))),
        (Reason.UNKNOWN_USAGE, (batch.usage_type < VOICE) | (batch.usage_type > DATA)),
    ]  # fmt: skip
    if batch.elapsed_before is not None:
        before = batch.elapsed_before
        faults.insert(2, (Reason.OUT_OF_RANGE, (before < 0) | (before > MAX_QUANTITY)))
    if book.tariff.refunds:
        faults = [fault for fault in faults if fault[0] is not Reason.NEGATIVE]
    for name, wrong in faults:
        if wrong.any():
            reason[wrong] = name


def timelines_of(
    batch: UsageBatch, book: TariffBook, reason: Int16, chunk: int = CHUNK
) -> tuple[Timeline, ...]:
    """Lay the plans out over the sound events, and a call's length beyond the last start."""
    if not book.plans:
        return ()
    first, last, longest = NEVER, -NEVER, 0
    for rows in _chunks(len(batch), chunk):
        start, size = batch.started_at[rows], _size(batch.quantity[rows], book)
        calls = batch.usage_type[rows] == VOICE
        sound = reason[rows] == Reason.OK
        if not sound.all():
            start, size, calls = start[sound], size[sound], calls[sound]
        if not calls.all():
            size = size[calls]
        first, last = int(start.min(initial=first)), int(start.max(initial=last))
        longest = int(size.max(initial=longest))
    if first == NEVER:
        return ()
    ticks = book.units_per_quantity
    return timelines(book, first // ticks, -(-(last + longest) // ticks))


def _refuse_unpriceable(
    batch: UsageBatch,
    book: TariffBook,
    lines: tuple[Timeline, ...],
    cell: Int32,
    reason: Int16,
) -> None:
    """Suspend events that touch a time or a step without a price, or cost more than fits."""
    for number, line in enumerate(lines):
        if line.gaps_before[-1]:
            plan = np.append(book.cells.plan, np.int32(-1))[cell]
            rows = np.flatnonzero((plan == number) & (reason == Reason.OK))
            _mark(_untimed(batch, book, line, rows), Reason.NO_RATE, cell, reason)
    if not len(book.cells.plan):
        return
    suspect = may_overflow(book, lines, cell, _size(batch.quantity, book))
    if book.cells.bounded.any():
        suspect |= book.cells.bounded[cell]
    if not suspect.any():
        return
    rows = np.flatnonzero(suspect & (reason == Reason.OK) & (batch.quantity != 0))
    if len(rows):
        sessions = _sessions(batch, rows, cell[rows], _size(batch.quantity[rows], book))
        # Too dear is only what has a price throughout.
        beyond = unsold(book, lines, sessions)
        too_much = np.setdiff1d(overflows(book, lines, sessions), beyond)
        _mark(rows[beyond], Reason.NO_RATE, cell, reason)
        _mark(rows[too_much], Reason.OVERFLOW, cell, reason)


def _mark(rows: Int64, why: Reason, cell: Int32, reason: Int16) -> None:
    reason[rows] = why
    cell[rows] = -1


def _untimed(batch: UsageBatch, book: TariffBook, line: Timeline, rows: Int64) -> Int64:
    """Find which of the rows use an instant at which their plan has no price."""
    start, seconds = batch.started_at[rows], np.ones(len(rows), np.int64)
    if book.tariff.band_split != START_BAND:
        calls = batch.usage_type[rows] == VOICE
        seconds[calls] = np.maximum(np.abs(batch.quantity[rows[calls]]), 1)
    first, last = line.at(start), line.at(start + seconds - 1)
    found: Int64 = rows[line.gaps_before[last + 1] > line.gaps_before[first]]
    return found


def _size(quantity: Int64, book: TariffBook) -> Int64:
    """Give what is to be priced: of a refund, the use that it gives back."""
    return np.abs(quantity) if book.tariff.refunds else quantity
