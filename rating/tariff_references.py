"""What a tariff file may get wrong although each key is right.

Names that point nowhere, things said twice, prices that contradict themselves.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

from rating.allowance_terms import wrong_allowances
from rating.faults import did_you_mean
from rating.tariff_terms import (
    UNIT_OF_USAGE,
    Band,
    Component,
    Offering,
    Rate,
    Tariff,
    Zone,
    band_weekdays,
)


def wrong_references(tariff: Tariff) -> list[str]:
    """Find names that point nowhere, and things said twice."""
    zones = list(enumerate(tariff.zones, 1))
    faults = [
        *_doubles("zone", _places("zone", tariff.zones)),
        *_doubles("component", _places("component", tariff.components)),
        *_doubles("offering", _places("offering", tariff.offerings)),
        *_doubles("prefix", ((f"zone[{n}].prefixes", p) for n, z in zones for p in z.prefixes)),
        *_doubles(
            "rating group",
            ((f"zone[{n}].rating_groups", str(g)) for n, z in zones for g in z.rating_groups),
        ),
        *wrong_allowances(tariff),
        *_doubles("band start", _band_starts(tariff)),
    ]
    for number, offering in enumerate(tariff.offerings, 1):
        faults += _offering_references(f"offering[{number}]", offering, tariff)
    return faults


def _offering_references(path: str, offering: Offering, tariff: Tariff) -> list[str]:
    units = {component.id: component.unit for component in tariff.components}
    zones = {zone.id for zone in tariff.zones}
    bands = {band.id for band in tariff.bands}
    faults = []
    named = [
        *((f"recurring[{n}]", part.component) for n, part in enumerate(offering.recurring, 1)),
        *((f"one_off[{n}]", part.component) for n, part in enumerate(offering.one_off, 1)),
        *((f"rate[{n}]", part.component) for n, part in enumerate(offering.rates, 1)),
        *(
            (f"allowance[{n}]", component)
            for n, part in enumerate(offering.allowances, 1)
            for component in part.components
        ),
    ]
    for where, component in named:
        if component not in units:
            near = did_you_mean(component, units)
            faults.append(f"{path}.{where}.component: there is no component {component!r}{near}")
    seen: dict[tuple[str, str], tuple[str, set[str | None]]] = {}
    for number, rate in enumerate(offering.rates, 1):
        where = f"{path}.rate[{number}]"
        if rate.zone not in zones:
            near = did_you_mean(rate.zone, zones)
            faults.append(f"{where}.zone: there is no zone {rate.zone!r}{near}")
        if rate.band is not None and rate.band not in bands:
            near = did_you_mean(rate.band, bands)
            faults.append(f"{where}.band: there is no band {rate.band!r}{near}")
        faults += _shape(where, rate)
        unit = UNIT_OF_USAGE[rate.usage]
        if units.get(rate.component, unit) != unit:
            faults.append(f"{where}.component: {rate.usage} needs a component of unit {unit!r}")
        component, rows = seen.setdefault((rate.usage, rate.zone), (rate.component, set()))
        if rate.band in rows:
            band = "every band" if rate.band is None else f"band {rate.band}"
            faults.append(f"{where}: {rate.usage} to {rate.zone} in {band} is priced twice")
        if component != rate.component:
            faults.append(
                f"{where}.component: {rate.usage} to {rate.zone} is {component!r} in another row;"
                " one event has one component"
            )
        rows.add(rate.band)
    return faults


def _places(what: str, named: Sequence[Zone | Component | Offering]) -> list[tuple[str, str]]:
    return [(f"{what}[{number}].id", one.id) for number, one in enumerate(named, 1)]


def _band_starts(tariff: Tariff) -> Iterator[tuple[str, str]]:
    """Name each instant of the week at which a band begins."""
    for number, band in enumerate(tariff.bands, 1):
        clock = f"{band.from_second // 3600:02}:{band.from_second // 60 % 60:02}"
        for day in band_weekdays(band):
            start = f"{clock} on weekday {day}{_dates(band)} at priority {band.priority}"
            yield f"band[{number}].from", start


def _doubles(what: str, places: Iterable[tuple[str, str]]) -> list[str]:
    """Name each thing that is said again, where it is said again."""
    seen: set[str] = set()
    twice: dict[str, str] = {}
    for place, name in places:
        if name in seen:
            twice.setdefault(name, place)
        seen.add(name)
    return [f"{place}: {what} {name} is defined twice" for name, place in twice.items()]


def _shape(where: str, rate: Rate) -> list[str]:
    """Find what contradicts itself inside one price."""
    faults = []
    starts = [step.start for step in rate.steps]
    if any(after <= before for before, after in itertools.pairwise(starts)):
        faults.append(f"{where}.step: steps must be in order of `from`, each later than the last")
    if rate.until and starts and starts[-1] >= rate.until:
        faults.append(
            f"{where}.until: the last step starts at {starts[-1]}, which is not before it"
        )
    if rate.max_charge_micro is not None and rate.max_charge_micro < rate.minimum_micro:
        faults.append(f"{where}.max_charge: is below the minimum")
    return faults


def _dates(band: Band) -> str:
    """Say on which dates a band holds, where it is not all of them."""
    months = f" of months {', '.join(map(str, band.months))}" if band.months else ""
    days = f" on days {', '.join(map(str, band.month_days))}" if band.month_days else ""
    return months + days
