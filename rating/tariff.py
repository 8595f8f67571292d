"""A tariff book: the content of a tariff file, frozen, hashed and compiled into arrays.

The hash covers the canonical content, not the bytes: comments and layout do not change it, a price
does. The arrays are what the kernel gathers from:

    cell = cube[offering, usage, zone]       every price that one kind of usage to one zone can have
    row  = cell_rows[cell, slot]             slot by the cell's week plan; one slot where no bands
    row  -> price, increment, set-up fee, minimum, most; and its steps where it has several

All rows of a cell share one denominator, so that an event over several bands is still divided once.
"""

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from ledger.errors import NotFound
from ledger.money import MICRO_PER_UNIT
from rating.allowance_terms import Included, included_in
from rating.clock import Clock, DayPlan, clock_of, midnight
from rating.dated import Dated, exchange_rates
from rating.tariff_file import read_tariff
from rating.tariff_tables import Cells, RateRows, Steps, StepTables, TableCompiler
from rating.tariff_terms import FORMAT, USAGES, Rate, Tariff
from rating.usage import NO_SERVICE, UNKNOWN_SERVICE, Bool, Int32, Int64
from rating.zones import ZoneMap, compile_zones


class OfferingUnknown(NotFound):
    """Somebody is to be charged for an offering that the tariff book does not sell.

    Raise as: f"{offering} is not in tariff book {name}/{version}; it has ...".
    """

    title = "Offering is not in the tariff book"


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
    included: Included  # the terms of each of `allowances`
    clock: Clock
    zone_map: ZoneMap
    cube: Int32  # (offerings, 3, zones) cell, -1 where unpriced
    cells: Cells
    rows: RateRows
    steps: Steps
    plans: tuple[DayPlan, ...]
    units_per_currency: int  # amounts are in these: millionths
    units_per_quantity: int  # ticks of the usage and of its instants: 1, whole seconds

    @property
    def label(self) -> str:
        """Name the book as people do: NORDLYS/1."""
        return f"{self.tariff.name}/{self.tariff.version}"

    @property
    def step_tables(self) -> StepTables:
        """Give what a walk through events needs."""
        return StepTables(self.cells.rows, self.steps, self.tariff.band_split)

    @property
    def services(self) -> tuple[str, ...]:
        """Name the services whose price events bring, in order of the tariff."""
        return tuple(dict.fromkeys(each.service for each in self.tariff.carried))

    @property
    def currencies(self) -> tuple[str, ...]:
        """Name the currencies in which events may bring prices; the tariff's own is the first."""
        return (self.tariff.currency, *sorted(self.exchange))

    @property
    def exchange(self) -> dict[str, Dated]:
        """Give what one unit of each foreign currency is worth, by day. [millionths]"""
        return exchange_rates(self.tariff.exchange)

    def offering_index(self, offering: str) -> int:
        """Give the index of an offering; raises `OfferingUnknown`."""
        if offering not in self.offerings:
            raise OfferingUnknown(
                f"{offering} is not in tariff book {self.label}; "
                f"it has {', '.join(self.offerings)}.",
                offering=offering,
            )
        return self.offerings.index(offering)

    def offering_codes(self, offerings: Sequence[str]) -> Int32:
        """Give the index of each offering by name, -1 where the book does not sell it."""
        return _places(self.offerings, offerings)

    def service_codes(self, services: Sequence[str]) -> Int32:
        """Give the index of each service by name; "" is NO_SERVICE."""
        codes = _places(self.services, services, UNKNOWN_SERVICE)
        return np.where([name == "" for name in services], NO_SERVICE, codes).astype(np.int32)

    def currency_codes(self, currencies: Sequence[str]) -> Int32:
        """Give the index of each currency by name, -1 where the book states no rate of it."""
        return _places(self.currencies, currencies)

    def sold_gross(self, offering: Int32) -> Bool:
        """Say of offerings, by index, whether their prices include VAT; unknown ones do not."""
        known = [each.price_basis == "gross" for each in self.tariff.offerings]
        found: Bool = np.array([*known, False], np.bool_)[
            np.where((offering >= 0) & (offering < len(known)), offering, len(known))
        ]
        return found

    def rate_of_row(self, row: int) -> Rate:
        """Give the line of the tariff file behind a rate row."""
        offering = self.tariff.offerings[int(self.rows.offering[row])]
        return offering.rates[int(self.rows.rate[row])]


def parse_tariff(source: bytes) -> TariffBook:
    """Read and compile a tariff file; raises `TariffInvalid` with every fault."""
    return compile_tariff(read_tariff(source))


def canonical_content(tariff: Tariff) -> bytes:
    """Write the content in the one form that is hashed: JSON, keys sorted, prices in millionths.

    A key that came later than the format is left out where it has its default: what a file said
    before there was the key hashes as it did.
    """
    content = {"format": FORMAT, **_content(tariff)}
    return json.dumps(
        content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    ).encode()


def _content(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_content(item) for item in value]
    if not is_dataclass(value):
        return value
    return {
        field.name: _content(getattr(value, field.name))
        for field in fields(value)
        if field.default is MISSING or getattr(value, field.name) != field.default
    }


def compile_tariff(
    tariff: Tariff,
    *,
    units_per_currency: int = MICRO_PER_UNIT,
    units_per_quantity: int = 1,
    clock: Clock | None = None,
    zone_map: ZoneMap | None = None,
) -> TariffBook:
    """Compile a tariff that has been read; the same content gives the same arrays.

    Parameters
    ----------
    units_per_currency : units of the prices in `tariff`; production has millionths.
    units_per_quantity : ticks in a second (a message, an octet) of quantities, increments, steps
        and instants; production has one.
    clock, zone_map : to use instead of those of the tariff.
    """
    clock = clock or clock_of(tariff.time_zone)
    zones = tuple(zone.id for zone in tariff.zones)
    included = included_in(tariff, clock, units_per_quantity)
    cube = np.full((len(tariff.offerings), len(USAGES), max(len(zones), 1)), -1, np.int32)
    compiler = TableCompiler(tariff, included, units_per_currency)
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
        allowances=included.ids,
        included=included,
        clock=clock,
        zone_map=zone_map or compile_zones(
            {prefix: n for n, zone in enumerate(tariff.zones) for prefix in zone.prefixes},
            {group: n for n, zone in enumerate(tariff.zones) for group in zone.rating_groups},
        ),
        cube=cube,
        cells=compiler.cells(),
        rows=compiler.rate_rows(),
        steps=compiler.steps(),
        plans=tuple(compiler.plans),
        units_per_currency=units_per_currency,
        units_per_quantity=units_per_quantity,
    )  # fmt: skip


def _places(known: Sequence[str], names: Sequence[str], absent: int = -1) -> Int32:
    index = {name: number for number, name in enumerate(known)}
    return np.array([index.get(name, absent) for name in names], np.int32)


def in_force(valid_from: Int64, instants: Int64) -> Int64:
    """Find the version in force at each instant: the last that was valid by then.

    Parameters
    ----------
    valid_from : (versions,) int64 on the clock of `instants`, in any order.
    instants : (n,) int64.

    Returns
    -------
    (n,) index into `valid_from`, -1 before the first. Of versions valid from the same instant the
    later one in the list is in force.
    """
    order = np.argsort(valid_from, kind="stable")
    place = np.searchsorted(valid_from[order], instants, side="right") - 1
    found: Int64 = np.append(order, -1)[place]
    return found
