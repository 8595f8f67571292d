"""What a tariff file may get wrong although each key is right.

Names that point nowhere, things said twice, prices that contradict themselves.
"""

import itertools
from collections.abc import Iterable

from rating.allowance_terms import wrong_allowances
from rating.tariff_terms import UNIT_OF_USAGE, Band, Offering, Rate, Tariff, band_weekdays


def wrong_references(tariff: Tariff) -> list[str]:
    """Find names that point nowhere, and things said twice."""
    faults = [
        *_doubles("zone", (zone.id for zone in tariff.zones)),
        *_doubles("component", (component.id for component in tariff.components)),
        *_doubles("offering", (offering.id for offering in tariff.offerings)),
        *_doubles("prefix", (prefix for zone in tariff.zones for prefix in zone.prefixes)),
        *_doubles("rating group", (str(g) for zone in tariff.zones for g in zone.rating_groups)),
        *wrong_allowances(tariff),
        *_doubles(
            "band start",
            (
                f"{band.from_second // 3600:02}:{band.from_second // 60 % 60:02}"
                f" on weekday {day}{_dates(band)} at priority {band.priority}"
                for band in tariff.bands
                for day in band_weekdays(band)
            ),
        ),
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
            faults.append(f"{path}.{where}.component: there is no component {component!r}")
    seen: dict[tuple[str, str], tuple[str, set[str | None]]] = {}
    for number, rate in enumerate(offering.rates, 1):
        where = f"{path}.rate[{number}]"
        if rate.zone not in zones:
            faults.append(f"{where}.zone: there is no zone {rate.zone!r}")
        if rate.band is not None and rate.band not in bands:
            faults.append(f"{where}.band: there is no band {rate.band!r}")
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


def _doubles(what: str, names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return [f"{what} {name} is defined twice" for name in twice]


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
