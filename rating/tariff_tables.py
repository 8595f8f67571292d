"""The tables of a tariff book: prices, steps and plans of the day as columns.

The kernel of `rating.pricing` gathers from them by cell and by row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rating.allowance_terms import Included
from rating.clock import DayPlan
from rating.rounding import Integers, Mode, Rounding, round_amounts
from rating.tariff_terms import (
    NO_PRICE,
    Band,
    Offering,
    Rate,
    Step,
    Tariff,
    TariffInvalid,
    band_weekdays,
)
from rating.usage import Bool, Int32, Int64

# Amounts stay below 2**61 on the fast path; set-up fee and minimum then still fit with room.
_FAST_LIMIT = 2**61
NEVER = 2**62  # later than any usage, more than any amount
_EPOCH = date(1970, 1, 1)
MODES = tuple(Mode)


@dataclass(frozen=True, slots=True, eq=False)
class RateRows:
    """One row per price, in the order of the file. Amounts in millionths."""

    offering: Int32
    rate: Int32  # position among the offering's rates
    price: Int64  # per `denominator` units
    denominator: Int64  # the least common multiple of `per` over the rows of the cell
    increment: Int64  # 0 is proportional
    setup: Int64
    minimum: Int64
    most: Int64  # 2**62 where nothing caps the event
    mode: Int64  # of the rounding of an event, index into MODES
    unit: Int64  # the event is rounded to multiples of it
    capped: bool  # some row has a most
    rounded: bool  # some row rounds otherwise than half up to one unit


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The steps of each row, padded: a step holds from its start to the start of the next."""

    starts: Integers  # (rows, steps + 1) usage since the event began, 2**62 beyond the last
    prices: Integers  # (rows, steps) per denominator of the row; NO_PRICE where nothing is sold
    increments: Integers  # (rows, steps)
    whole: Bool  # (rows,) the step of the last unit prices all


@dataclass(frozen=True, slots=True, eq=False)
class StepTables:
    """What a walk through events needs: the row of a cell at a time, its steps, and how to cut."""

    rows: Int32  # (cells, slots)
    steps: Steps
    band_split: str


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One row per (offering, usage, zone) that has a price."""

    component: Int32
    plan: Int32  # index into `plans`, -1 where one row holds at all times
    rows: Int32  # (cells, slots) rate rows, -1 beyond the cell's last
    allowances: Int32  # (cells, layers) in order of use, -1 where the layer has none for the cell
    max_units: Int64  # above this many units the exact slow path prices
    max_increment: Int64
    bounded: Bool  # some row has a step without price


def of_rows(column: NDArray[Any], row: Int64 | Int32) -> NDArray[Any]:
    """Give a column of the table by row; where all rows of the table are alike, that one value.

    The one broadcasts: dividing by it is several times cheaper, and nothing is gathered.
    """
    one = column[:1]
    return one if (column == one).all() else column[row]


class TableCompiler:
    """Collects rows, cells and plans while the offerings are walked."""

    def __init__(self, tariff: Tariff, included: Included, units_per_currency: int) -> None:
        self.tariff = tariff
        self.included = included
        self.components = [component.id for component in tariff.components]
        self.units_per_currency = units_per_currency
        self.rows: list[tuple[int, ...]] = []
        self.row_steps: list[list[tuple[int, int, int]]] = []  # start, price, increment
        self.row_whole: list[bool] = []
        self.cell_rows: list[list[int]] = []
        self.cell_facts: list[tuple[int, ...]] = []
        self.cell_allowances: list[list[int]] = []
        self.plans: list[DayPlan] = []
        self.plan_index: dict[tuple[bytes, ...], int] = {}

    def add_offering(self, number: int, offering: Offering) -> list[tuple[str, str, int]]:
        """Compile the prices of an offering; gives (usage, zone, cell) of each cell made."""
        grouped: dict[tuple[str, str], list[tuple[int, Rate]]] = {}
        for position, rate in enumerate(offering.rates):
            grouped.setdefault((rate.usage, rate.zone), []).append((position, rate))
        return [
            (usage, zone, self._add_cell(number, offering, rates))
            for (usage, zone), rates in grouped.items()
        ]

    def _add_cell(self, number: int, offering: Offering, rates: list[tuple[int, Rate]]) -> int:
        component = rates[0][1].component
        # Bands in order of name, the row for every band last: equal patterns share a plan.
        rates = sorted(rates, key=lambda r: (r[1].band is None, r[1].band or ""))
        denominator = math.lcm(*(step.per for _, rate in rates for step in _steps(rate)))
        first_row = len(self.rows)
        for position, rate in rates:
            self._add_row(number, position, rate, denominator)
        steps = [step for row in self.row_steps[first_row:] for step in row]
        dearest = max(price for _, price, _ in steps)
        coarsest = max(self.rows[row][-1] for row in range(first_row, len(self.rows)))
        if denominator * coarsest >= _FAST_LIMIT or denominator >= 2**40 or dearest >= _FAST_LIMIT:
            raise TariffInvalid(
                f"offering {offering.id}: the rows for {rates[0][1].usage} to {rates[0][1].zone} "
                "have `per` values without a usable common multiple. Use the same `per` in all."
            )
        self.cell_rows.append(list(range(first_row, len(self.rows))))
        self.cell_facts.append((
            self.components.index(component),
            self._plan([rate.band for _, rate in rates]),
            _FAST_LIMIT // max(dearest, 1),
            max(increment for _, _, increment in steps),
            int(any(price == NO_PRICE for _, price, _ in steps)),
        ))  # fmt: skip
        self.cell_allowances.append(self.included.layers_of(offering, component))
        return len(self.cell_rows) - 1

    def _add_row(self, number: int, position: int, rate: Rate, denominator: int) -> None:
        steps = [
            (
                step.start,
                step.price_micro * (denominator // step.per) if step.price_micro >= 0 else NO_PRICE,
                step.increment,
            )
            for step in _steps(rate)
        ]
        minimum, most = self._rounded(rate, rate.minimum_micro), NEVER
        if rate.max_charge_micro is not None:
            most = self._rounded(rate, rate.max_charge_micro)
        self.rows.append((
            number, position, steps[0][1], denominator, steps[0][2], rate.setup_micro, minimum,
            most, MODES.index(Mode(rate.rounding)), rate.round_to_micro,
        ))  # fmt: skip
        self.row_steps.append(steps)
        self.row_whole.append(rate.whole_step)

    def _rounded(self, rate: Rate, limit: int) -> int:
        """Round a limit as the event is: a rounded amount within it is the rounding of the cut."""
        scale = Rounding(Mode(rate.rounding), 0)
        rounded = round_amounts(np.array([limit], object), rate.round_to_micro, scale)
        return int(rounded[0])

    def _plan(self, bands: Sequence[str | None]) -> int:
        if bands == [None]:
            return -1
        plan = day_plan(self.tariff.bands, bands, self.tariff.holidays)
        key = (
            *(getattr(plan, name).tobytes() for name in DayPlan.__slots__ if name != "default"),
            str(plan.default).encode(),
        )
        if key not in self.plan_index:
            self.plan_index[key] = len(self.plans)
            self.plans.append(plan)
        return self.plan_index[key]

    def rate_rows(self) -> RateRows:
        """Turn the rows into columns."""
        columns = np.array(self.rows, np.int64).reshape(-1, 10).T.copy()
        offering, rate, price, denominator, increment, setup, minimum, most, mode, unit = columns
        return RateRows(
            offering=offering.astype(np.int32),
            rate=rate.astype(np.int32),
            price=price,
            denominator=denominator,
            increment=increment,
            setup=setup,
            minimum=minimum,
            most=most,
            mode=mode,
            unit=unit,
            capped=bool((most < NEVER).any()),
            rounded=bool((unit != 1).any() or (mode != MODES.index(Mode.HALF_UP)).any()),
        )

    def steps(self) -> Steps:
        """Turn the steps into columns."""
        width = max((len(row) for row in self.row_steps), default=1)
        starts = np.full((len(self.row_steps), width + 1), NEVER, np.int64)
        prices = np.full((len(self.row_steps), width), NO_PRICE, np.int64)
        increments = np.zeros((len(self.row_steps), width), np.int64)
        for number, row in enumerate(self.row_steps):
            for place, step in enumerate(row):
                starts[number, place], prices[number, place], increments[number, place] = step
        return Steps(starts, prices, increments, np.array(self.row_whole, np.bool_))

    def cells(self) -> Cells:
        """Turn the cells into columns."""
        facts = np.array(self.cell_facts, np.int64).reshape(-1, 5).T.copy()
        return Cells(
            component=facts[0].astype(np.int32),
            plan=facts[1].astype(np.int32),
            rows=_padded(self.cell_rows),
            allowances=_padded(self.cell_allowances),
            max_units=facts[2],
            max_increment=facts[3],
            bounded=facts[4].astype(np.bool_),
        )


def _steps(rate: Rate) -> list[Step]:
    """List all steps of a price: its own first, what has no price last."""
    steps = [Step(0, rate.price_micro, rate.per, rate.increment), *rate.steps]
    return [*steps, Step(rate.until, NO_PRICE, 1, 0)] if rate.until else steps


def day_plan(
    bands: Sequence[Band], priced: Sequence[str | None], holidays: Sequence[date] = ()
) -> DayPlan:
    """Lay out which of the priced bands holds when on which days.

    Parameters
    ----------
    bands : the bands of the tariff.
    priced : the bands that have a price, None last if there is a price for every other band. Only
        priced bands are considered; with a price for every band, all are.
    holidays : public holidays, each weekday 8 whatever day of the week it is.

    Of the bands that apply on a day and have begun, the highest priority holds, then the latest
    start, then the first in the file. A day starts at local midnight with none of the day before.
    """
    default = len(priced) - 1 if None in priced else -1
    considered = [band for band in reversed(bands) if default >= 0 or band.id in priced]
    considered.sort(key=lambda band: (band.priority, band.from_second))
    return DayPlan(
        seconds=np.array([band.from_second for band in considered], np.int64),
        slots=np.array(
            [priced.index(b.id) if b.id in priced else default for b in considered], np.int32
        ),
        weekdays=_among([band_weekdays(band) for band in considered], 9),
        months=_among([band.months or range(13) for band in considered], 13),
        month_days=_among([band.month_days or range(32) for band in considered], 32),
        holidays=np.array(sorted((day - _EPOCH).days for day in holidays), np.int64),
        default=default,
    )


def _among(chosen: Sequence[Sequence[int]], width: int) -> Bool:
    table = np.zeros((len(chosen), width), np.bool_)
    for row, numbers in enumerate(chosen):
        table[row, list(numbers)] = True
    return table


def _padded(ragged: list[list[int]]) -> Int32:
    width = max((len(row) for row in ragged), default=0) or 1
    table = np.full((len(ragged), width), -1, np.int32)
    for number, row in enumerate(ragged):
        table[number, : len(row)] = row
    return table
