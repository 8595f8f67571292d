"""A tariff book: the content of a tariff file, frozen, hashed and compiled into arrays.

The hash covers the canonical content, not the bytes: comments and layout do not change it, a price
does. The arrays are what the kernel gathers from:

    cell = cube[offering, usage, zone]       every price that one kind of usage to one zone can have
    row  = cell_rows[cell, slot]             slot by the cell's week plan; one slot where no bands
    row  -> price, increment, set-up fee, minimum

All rows of a cell share one denominator, so that an event over several bands is still divided once.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np

from ledger.errors import NotFound
from rating.clock import DAY, Clock, WeekPlan, clock_of, midnight
from rating.tariff_file import (
    FORMAT,
    USAGES,
    Band,
    Offering,
    Rate,
    Tariff,
    TariffInvalid,
    read_tariff,
)
from rating.usage import Bool, Int32, Int64
from rating.zones import ZoneMap, compile_zones

# Amounts stay below 2**61 on the fast path; set-up fee and minimum then still fit with room.
_FAST_LIMIT = 2**61


class OfferingUnknown(NotFound):
    """Somebody is to be charged for an offering that the tariff book does not sell.

    Raise as: f"{offering} is not in tariff book {name}/{version}; it has ...".
    """

    title = "Offering is not in the tariff book"


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


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One row per (offering, usage, zone) that has a price."""

    component: Int32
    plan: Int32  # index into `plans`, -1 where one row holds at all times
    rows: Int32  # (cells, slots) rate rows, -1 beyond the cell's last
    allowances: Int32  # (cells, most allowances of a cell) in order of use, -1 beyond the last
    max_units: Int64  # above this many units the exact slow path prices
    max_increment: Int64


@dataclass(frozen=True, slots=True, eq=False)
class TariffBook:
    """A frozen tariff: equal hashes price equally, for ever."""

    tariff: Tariff
    content_hash: str  # sha256 of the canonical content
    valid_from: int  # UTC epoch seconds
    offerings: tuple[str, ...]
    components: tuple[str, ...]
    zones: tuple[str, ...]
    allowances: tuple[str, ...]
    granted: Int64  # (allowances,) per month
    prorated: Bool  # (allowances,) the grant is in the counters, not in the book
    clock: Clock
    zone_map: ZoneMap
    cube: Int32  # (offerings, 3, zones) cell, -1 where unpriced
    cells: Cells
    rows: RateRows
    plans: tuple[WeekPlan, ...]

    @property
    def label(self) -> str:
        """Name the book as people do: NORDLYS/1."""
        return f"{self.tariff.name}/{self.tariff.version}"

    def offering_index(self, offering: str) -> int:
        """Give the index of an offering; raises `OfferingUnknown`."""
        if offering not in self.offerings:
            raise OfferingUnknown(
                f"{offering} is not in tariff book {self.label}; "
                f"it has {', '.join(self.offerings)}.",
                offering=offering,
            )
        return self.offerings.index(offering)

    def rate_of_row(self, row: int) -> Rate:
        """Give the line of the tariff file behind a rate row."""
        offering = self.tariff.offerings[int(self.rows.offering[row])]
        return offering.rates[int(self.rows.rate[row])]


def parse_tariff(source: bytes) -> TariffBook:
    """Read and compile a tariff file; raises `TariffInvalid` with every fault."""
    return compile_tariff(read_tariff(source))


def canonical_content(tariff: Tariff) -> bytes:
    """Write the content in the one form that is hashed: JSON, keys sorted, prices in millionths."""
    content = {"format": FORMAT, **asdict(tariff)}
    return json.dumps(
        content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    ).encode()


def compile_tariff(tariff: Tariff) -> TariffBook:
    """Compile a tariff that has been read; the same content gives the same arrays."""
    clock = clock_of(tariff.time_zone)
    zones = tuple(zone.id for zone in tariff.zones)
    allowances = tuple(a for offering in tariff.offerings for a in offering.allowances)
    cube = np.full((len(tariff.offerings), len(USAGES), max(len(zones), 1)), -1, np.int32)
    compiler = _Compiler(tariff, {a.id: n for n, a in enumerate(allowances)})
    for number, offering in enumerate(tariff.offerings):
        for usage, zone, cell in compiler.add_offering(number, offering):
            cube[number, USAGES.index(usage), zones.index(zone)] = cell
    return TariffBook(
        tariff=tariff,
        content_hash=sha256(canonical_content(tariff)).hexdigest(),
        valid_from=midnight(clock, tariff.valid_from),
        offerings=tuple(offering.id for offering in tariff.offerings),
        components=tuple(component.id for component in tariff.components),
        zones=zones,
        allowances=tuple(allowance.id for allowance in allowances),
        granted=np.array([a.quantity for a in allowances], np.int64),
        prorated=np.array([a.prorate for a in allowances], np.bool_),
        clock=clock,
        zone_map=compile_zones(
            {prefix: n for n, zone in enumerate(tariff.zones) for prefix in zone.prefixes},
            {group: n for n, zone in enumerate(tariff.zones) for group in zone.rating_groups},
        ),
        cube=cube,
        cells=compiler.cells(),
        rows=compiler.rate_rows(),
        plans=tuple(compiler.plans),
    )


class _Compiler:
    """Collects rows, cells and week plans while the offerings are walked."""

    def __init__(self, tariff: Tariff, allowance_index: dict[str, int]) -> None:
        self.tariff = tariff
        self.allowance_index = allowance_index
        self.components = [component.id for component in tariff.components]
        self.rows: list[tuple[int, int, int, int, int, int, int]] = []
        self.cell_rows: list[list[int]] = []
        self.cell_facts: list[tuple[int, int, int, int]] = []
        self.cell_allowances: list[list[int]] = []
        self.plans: list[WeekPlan] = []
        self.plan_index: dict[tuple[bytes, bytes], int] = {}

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
        denominator = math.lcm(*(rate.per for _, rate in rates))
        scaled = [rate.price_micro * (denominator // rate.per) for _, rate in rates]
        if denominator >= 2**40 or max(scaled) >= _FAST_LIMIT:
            raise TariffInvalid(
                f"offering {offering.id}: the rows for {rates[0][1].usage} to {rates[0][1].zone} "
                "have `per` values without a usable common multiple. Use the same `per` in all."
            )
        first_row = len(self.rows)
        for (position, rate), price in zip(rates, scaled, strict=True):
            self.rows.append((number, position, price, denominator, rate.increment,
                              rate.setup_micro, rate.minimum_micro))  # fmt: skip
        self.cell_rows.append(list(range(first_row, len(self.rows))))
        self.cell_facts.append((
            self.components.index(component),
            self._plan([rate.band for _, rate in rates]),
            _FAST_LIMIT // max(*scaled, 1),
            max(rate.increment for _, rate in rates),
        ))  # fmt: skip
        self.cell_allowances.append([
            self.allowance_index[allowance.id]
            for allowance in offering.allowances
            if component in allowance.components
        ])  # fmt: skip
        return len(self.cell_rows) - 1

    def _plan(self, bands: Sequence[str | None]) -> int:
        if bands == [None]:
            return -1
        plan = week_plan(self.tariff.bands, bands)
        key = (plan.seconds.tobytes(), plan.slots.tobytes())
        if key not in self.plan_index:
            self.plan_index[key] = len(self.plans)
            self.plans.append(plan)
        return self.plan_index[key]

    def rate_rows(self) -> RateRows:
        """Turn the rows into columns."""
        columns = np.array(self.rows, np.int64).reshape(-1, 7).T.copy()
        return RateRows(columns[0].astype(np.int32), columns[1].astype(np.int32), *columns[2:])

    def cells(self) -> Cells:
        """Turn the cells into columns."""
        facts = np.array(self.cell_facts, np.int64).reshape(-1, 4).T.copy()
        return Cells(
            component=facts[0].astype(np.int32),
            plan=facts[1].astype(np.int32),
            rows=_padded(self.cell_rows),
            allowances=_padded(self.cell_allowances),
            max_units=facts[2],
            max_increment=facts[3],
        )


def week_plan(bands: Sequence[Band], priced: Sequence[str | None]) -> WeekPlan:
    """Lay out which of the priced bands holds when in a local week.

    Parameters
    ----------
    bands : the bands of the tariff.
    priced : the bands that have a price, None last if there is a price for every other band. Only
        priced bands are considered; with a price for every band, all are.

    Of the bands that apply on a day and have begun, the highest priority holds, then the latest
    start. A day starts at local midnight with none of the day before.
    """
    default = len(priced) - 1 if None in priced else -1
    seconds: list[int] = []
    slots: list[int] = []
    for weekday in range(1, 8):
        today = [
            band
            for band in bands
            if weekday in band.weekdays and (default >= 0 or band.id in priced)
        ]
        for begin in sorted({0, *(band.from_second for band in today)}):
            begun = [band for band in today if band.from_second <= begin]
            slot = default
            if begun:
                holds = max(begun, key=lambda band: (band.priority, band.from_second))
                slot = priced.index(holds.id) if holds.id in priced else default
            if not slots or slots[-1] != slot:
                seconds.append((weekday - 1) * DAY + begin)
                slots.append(slot)
    return WeekPlan(np.array(seconds, np.int64), np.array(slots, np.int32), -1 in slots)


def _padded(ragged: list[list[int]]) -> Int32:
    width = max((len(row) for row in ragged), default=0) or 1
    table = np.full((len(ragged), width), -1, np.int32)
    for number, row in enumerate(ragged):
        table[number, : len(row)] = row
    return table
