"""Why each event of a batch costs what it costs, as integers; sentences come on request.

The parts are computed apart from the kernel that priced the events: every event is walked piece by
piece, what does not fit in int64 with Python's integers. So they are a second opinion, and an
amount that they do not sum to is refused before it is posted.

    amount = set-up fee + usage + rounding + limit        (the negative of that for a refund)

Of an event that brings its price, usage is that price and the set-up fee is what is added to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ledger.errors import DoesNotTie
from rating.carried_usage import brings_price, explain_carried
from rating.clock import Timeline
from rating.pieces import NO_PLAN, Pieces, Sessions, walk
from rating.pipeline import Rated
from rating.pricing import MAX_MICRO, may_overflow, timelines
from rating.rounding import Integers, Mode, divide
from rating.tariff import TariffBook
from rating.tariff_tables import MODES, NEVER, of_rows
from rating.usage import VOICE, Bool, Int32, Int64, Reason, UsageBatch

NONE = -1
_TOGETHER = 16_384  # events whose columns stay in the cache


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
        return self.setup_micro + self.usage_micro + self.rounding_micro + self.limit_micro


def codes_of(batch: UsageBatch, rated: Rated, book: TariffBook) -> Codes:
    """Explain all events of a rated batch.

    Parameters
    ----------
    rated : the outcome of `rating.pipeline.rate`; of it, only what is free and what was suspended
        is believed.
    """
    codes, carried = _unpaid(batch, rated, book), brings_price(batch)
    payable = np.abs(batch.quantity) - rated.free_quantity
    paid = (rated.reason == Reason.OK) & (payable > 0) & ~carried
    _explain_usage(batch, rated, book, payable, paid, codes)
    rows = np.flatnonzero(carried & (rated.reason == Reason.OK))
    if len(rows):
        _, _, parts = explain_carried(batch.take(rows), book)
        codes.pieces[rows] = 1
        codes.usage_micro[rows], codes.setup_micro[rows] = parts.price_micro, parts.markup_micro
        codes.rounding_micro[rows] = parts.rounding_micro
    return codes


def _explain_usage(
    batch: UsageBatch, rated: Rated, book: TariffBook, payable: Int64, paid: Bool, codes: Codes
) -> None:
    """Explain the events that are paid for by the rates of the tariff."""
    rows = np.flatnonzero(paid)
    if not len(rows):
        return
    ticks = book.units_per_quantity
    first = int(batch.started_at.min(initial=NEVER, where=paid))
    last = int(batch.started_at.max(initial=-NEVER, where=paid))
    last += int(payable.max(initial=1, where=paid & (batch.usage_type == VOICE)))
    lines = timelines(book, first // ticks, -(-last // ticks))
    bands = _bands(book)
    for begin in range(0, len(rows), _TOGETHER):
        part = rows[begin : begin + _TOGETHER]
        sessions = _sessions(batch, rated, book, part, payable[part])
        wide = may_overflow(book, lines, sessions.cell, sessions.quantity)
        for mine, line in _by_plan(book, lines, sessions):
            for chosen, kind in ((mine[~wide[mine]], np.int64), (mine[wide[mine]], np.object_)):
                if len(chosen):
                    own = (chosen, part[chosen])
                    _explain(book, bands, line, sessions, own, codes, kind)
    refunds = np.flatnonzero(paid & (batch.quantity < 0))
    for micro in (codes.setup_micro, codes.usage_micro, codes.rounding_micro, codes.limit_micro):
        micro[refunds] *= -1


def check_codes(codes: Codes, batch: UsageBatch, rated: Rated, book: TariffBook) -> None:
    """Refuse amounts that their explanations do not sum to.

    Raises
    ------
    DoesNotTie : names the first such event and counts them; nothing may be posted.
    """
    explained = codes.amount_micro
    wrong = np.flatnonzero(explained != rated.amount_micro)
    if not len(wrong):
        return
    row = int(wrong[np.argmin(batch.event_key[wrong])])
    raise DoesNotTie(
        f"Event {int(batch.event_key[row])} was rated at {int(rated.amount_micro[row])} "
        f"millionths, its explanation from book {book.label} sums to {int(explained[row])}; "
        f"{len(wrong)} of {len(batch)} events differ. Nothing is posted until they agree.",
        event_key=int(batch.event_key[row]), differing=len(wrong),
    )  # fmt: skip


def _unpaid(batch: UsageBatch, rated: Rated, book: TariffBook) -> Codes:
    """Say which allowances covered what; nothing is paid yet."""
    # By layer in memory, as what is drawn.
    events, layers = rated.drawn.shape
    allowance = np.full((layers, events), NONE, np.int32).T
    for layer in range(layers):
        rows = np.flatnonzero(rated.drawn[:, layer] > 0)
        served = book.cells.allowances[:, layer]
        allowance[rows, layer] = served[_cells(batch, rated, book, rows)]
    names = ("setup_micro", "usage_micro", "rounding_micro", "limit_micro")
    return Codes(
        band=np.full(len(batch), NONE, np.int32),
        step=np.full(len(batch), NONE, np.int32),
        pieces=np.zeros(len(batch), np.int32),
        **{name: np.zeros(len(batch), np.int64) for name in names},
        allowance=allowance,
        drawn=rated.drawn,
    )


def _cells(batch: UsageBatch, rated: Rated, book: TariffBook, rows: Int64) -> Int32:
    _, usages, zones = book.cube.shape
    usage = batch.offering[rows] * usages + (batch.usage_type[rows] - 1)
    cells: Int32 = book.cube.ravel()[usage * zones + rated.zone[rows]]
    return cells


def _sessions(
    batch: UsageBatch, rated: Rated, book: TariffBook, rows: Int64, payable: Int64
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


def _by_plan(
    book: TariffBook, lines: tuple[Timeline, ...], sessions: Sessions
) -> Iterator[tuple[Int64, Timeline]]:
    plan = book.cells.plan[sessions.cell]
    for number, line in [(-1, NO_PLAN), *enumerate(lines)]:
        mine = np.flatnonzero(plan == number)
        if len(mine):
            yield mine, line


def _explain(
    book: TariffBook, bands: Int32, line: Timeline, sessions: Sessions, rows: tuple[Int64, Int64],
    codes: Codes, kind: type,
) -> None:  # fmt: skip
    """Explain sessions of one plan; `rows` are their places among sessions and in `codes`."""
    own, at = rows
    walked = walk(book.step_tables, line, sessions, own)
    begun = next(walked)  # Of the first pieces, every event has one.
    first, numerator = begun.row, _numerator(begun, kind)
    count = np.ones(len(own), np.int32)
    for part in walked:
        count[part.event] += 1
        numerator[part.event] += _numerator(part, kind)
    setup, minimum = of_rows(book.rows.setup, first), of_rows(book.rows.minimum, first)
    continued = sessions.continued_of(own)
    if continued is not None:
        setup, minimum = np.where(continued, 0, setup), np.where(continued, 0, minimum)
    usage = divide(numerator, of_rows(book.rows.denominator, first).astype(kind), Mode.HALF_UP)
    rounded = _rounded(book, first, numerator, setup, usage)
    limited = np.minimum(np.maximum(rounded, minimum), of_rows(book.rows.most, first))
    if kind is np.object_:
        usage, rounded = _as_far_as_fits(usage, rounded, setup)
    codes.band[at], codes.step[at], codes.pieces[at] = bands[first], begun.step, count
    codes.setup_micro[at], codes.usage_micro[at] = setup, usage.astype(np.int64)
    if book.rows.rounded:
        codes.rounding_micro[at] = (rounded - setup - usage).astype(np.int64)
    held = np.flatnonzero(limited != rounded)
    codes.limit_micro[at[held]] = (limited[held] - rounded[held]).astype(np.int64)


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
