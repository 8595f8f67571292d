"""The tariff of a session case, read with its decimals and scaled to the terms of a tariff book."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from ledger.errors import Invalid
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, units_for
from rating.rounding import Mode, Rounding
from rating.tariff_terms import (
    EVERY_DAY,
    NO_PRICE,
    Band,
    Component,
    Offering,
    Rate,
    Step,
    Tariff,
    Zone,
)

_FROM_THE_START = date(1, 1, 1)
_COMPONENT = Component("session", "session", "session", "session", "s")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local tariff time has no zone
_FREE = Figure(0)


@dataclass(frozen=True, slots=True)
class CaseStep:
    """A step of a price, in decimals."""

    start: Figure
    price: Figure
    per: Figure
    increment: Figure  # zero is proportional


@dataclass(frozen=True, slots=True)
class CaseRate:
    """A rate row, in decimals."""

    zone: str
    band: str | None
    setup: Figure
    most: Figure | None
    whole: bool
    steps: tuple[CaseStep, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the tariff of a case."""

    valid_from: Figure | None  # seconds since 1970, local time; None is always
    zones: Mapping[str, tuple[str, ...]]
    bands: tuple[Band, ...]
    rates: tuple[CaseRate, ...]

    @property
    def prefixes(self) -> dict[str, int]:
        """Give each prefix with the number of its zone."""
        return {p: n for n, zone in enumerate(self.zones.values()) for p in zone}


@dataclass(frozen=True, slots=True)
class Scale:
    """The units of a case: of the currency, and of the quantity (ticks of a second)."""

    currency: int
    quantity: int
    rounding: Rounding | None


def read_version(fields: Fields) -> Version:
    """Read one version of a tariff.

    Raises
    ------
    Invalid : a field is missing or wrong, a name points nowhere, a thing is said twice.
    """
    bands = bands_of(fields)
    zones = prefixes_of(fields.object("zones"))
    rates = tuple(_rate(row, zones, bands) for row in fields.objects("rates"))
    cells = [(rate.zone, rate.band) for rate in rates]
    if twice := {cell for cell in cells if cells.count(cell) > 1}:
        zone, band = min(twice, key=str)
        raise fields.fault("rates", f"price {zone} in band {band} twice")
    seen: dict[str, str] = {}
    for zone, prefixes in zones.items():
        for prefix in prefixes:
            if seen.setdefault(prefix, zone) != zone:
                raise fields.fault("zones", f"have {prefix!r} in {seen[prefix]} and in {zone}")
    moment = fields.moment("valid_from", None)
    valid_from = shortest(instant_of(moment)) if moment else None
    return Version(valid_from, zones, bands, rates)


def prefixes_of(fields: Fields) -> dict[str, tuple[str, ...]]:
    """Read an object of lists of prefixes; the empty prefix matches everything."""
    return {name: names_of(fields, name) for name in fields.value}


def names_of(fields: Fields, name: str) -> tuple[str, ...]:
    """Read a list of texts."""
    found = []
    for place, value in fields.items(name):
        if not isinstance(value, str):
            raise Invalid(f"{place} needs a text; got {value!r:.40}.", pointer=place)
        found.append(value)
    return tuple(found)


def bands_of(fields: Fields) -> tuple[Band, ...]:
    """Read the bands of a tariff; none are none."""
    return tuple(
        Band(
            id=band.text("id"),
            from_second=_second(band),
            weekdays=_numbers(band, "weekdays", 7) or EVERY_DAY,
            priority=band.whole("priority", 0),
            months=_numbers(band, "months", 12),
            month_days=_numbers(band, "month_days", 31),
        )
        for band in fields.objects("bands", needed=False)
    )


def _second(band: Fields) -> int:
    written = band.text("from", "00:00")
    try:
        at = time.fromisoformat(written)
    except ValueError:
        raise band.fault("from", f"needs a time such as 08:00; got {written!r:.40}") from None
    if at.microsecond or at.tzinfo is not None:
        raise band.fault("from", f"needs a whole second of local time; got {written!r:.40}")
    return (at.hour * 60 + at.minute) * 60 + at.second


def _numbers(band: Fields, name: str, highest: int) -> tuple[int, ...]:
    """Read a list of whole numbers from 1; absent or empty is all of them."""
    found = {figure.scaled(1) if not figure.decimals else 0 for figure in
             band.numbers(name, needed=False)}  # fmt: skip
    if any(not 1 <= number <= highest for number in found):
        raise band.fault(name, f"needs whole numbers from 1 to {highest}")
    return tuple(sorted(found))


def _rate(row: Fields, zones: Mapping[str, Any], bands: Sequence[Band]) -> CaseRate:
    zone = row.text("zone")
    if zone not in zones:
        raise row.fault("zone", f"is {zone!r}, which is no zone of this version")
    band = row.text("band") if row.has("band") else None
    if band is not None and band not in {one.id for one in bands}:
        raise row.fault("band", f"is {band!r}, which is no band of this version")
    return CaseRate(
        zone=zone,
        band=band,
        setup=row.not_negative("setup_fee", _FREE),
        most=row.not_negative("max_charge") if row.has("max_charge") else None,
        whole=row.choice("step_mode", ("part", "whole"), "part") == "whole",
        steps=steps_of(row),
    )


def steps_of(row: Fields) -> tuple[CaseStep, ...]:
    """Read the steps of a price, in order of their starts."""
    steps = [
        CaseStep(
            start=step.not_negative("from", _FREE),
            price=step.not_negative("price"),
            per=step.positive("per", Figure(1)),
            increment=step.not_negative("increment", _FREE),
        )
        for step in row.objects("steps")
    ]
    ticks = units_for(step.start for step in steps)
    steps.sort(key=lambda step: step.start.scaled(ticks))
    starts = [step.start.scaled(ticks) for step in steps]
    if not steps:
        raise row.fault("steps", "is empty: nothing has a price")
    if len(set(starts)) != len(starts):
        raise row.fault("steps", "holds two steps from the same usage on")
    return tuple(steps)


def scale_for(
    versions: Sequence[Version], quantities: Iterable[Figure], rounding: Rounding | None
) -> Scale:
    """Choose units in which all figures are whole and every amount can be written exactly.

    Where the case rounds, the kernel divides once with the rounding, and whole figures are enough.
    """
    rates = [rate for version in versions for rate in version.rates]
    steps = [step for rate in rates for step in rate.steps]
    used = [f for step in steps for f in (step.start, step.per, step.increment)]
    begins = [version.valid_from for version in versions if version.valid_from is not None]
    ticks = units_for([*used, *begins, *quantities])
    money = [f for rate in rates for f in (rate.setup, rate.most) if f is not None]
    units = units_for([*money, *(step.price for step in steps)], rounding)
    if rounding is None:
        units = math.lcm(units, *(_denominator(step, ticks) for step in steps))
    return Scale(units, ticks, rounding)


def _denominator(step: CaseStep, ticks: int) -> int:
    """Give the denominator of the price of one tick, in lowest terms."""
    whole: int = step.per.scaled(ticks) * 10**step.price.decimals
    return whole // math.gcd(step.price.digits, whole)


def tariff_of(version: Version, scale: Scale, band_split: str, usage: str) -> Tariff:
    """Make the terms of a book of one version, in the units of the scale."""
    zones = tuple(Zone(name, (), ()) for name in version.zones)
    rates = tuple(_terms(rate, scale, usage) for rate in version.rates)
    return Tariff(
        name="CASE",
        version=1,
        valid_from=_FROM_THE_START,
        currency="",
        time_zone="UTC",
        zones=zones,
        bands=version.bands,
        components=(_COMPONENT,),
        offerings=(Offering("CASE", "case", "net", (), (), (), rates),),
        band_split=band_split,
        refunds=True,
    )


def _terms(rate: CaseRate, scale: Scale, usage: str) -> Rate:
    steps = [_step(step, scale) for step in rate.steps]
    if steps[0].start:  # What comes before the first step has no price.
        steps.insert(0, Step(0, NO_PRICE, 1, 0))
    unit, mode = 1, Mode.HALF_UP
    if scale.rounding is not None:
        mode, unit = scale.rounding.mode, _rounding_unit(scale.rounding.scale, scale.currency)
    return Rate(
        usage=usage,
        zone=rate.zone,
        band=rate.band,
        component=_COMPONENT.id,
        setup_micro=rate.setup.scaled(scale.currency),
        price_micro=steps[0].price_micro,
        per=steps[0].per,
        increment=steps[0].increment,
        minimum_micro=0,
        steps=tuple(steps[1:]),
        whole_step=rate.whole,
        max_charge_micro=None if rate.most is None else rate.most.scaled(scale.currency),
        rounding=mode,
        round_to_micro=unit,
    )


def _rounding_unit(decimals: int, units: int) -> int:
    """Give the step of a rounding in units; a negative scale rounds to tens, hundreds."""
    if decimals < 0:
        return Figure(10**-decimals).scaled(units)
    return Figure(1, decimals).scaled(units)


def _step(step: CaseStep, scale: Scale) -> Step:
    price, per = step.price.scaled(scale.currency), step.per.scaled(scale.quantity)
    common = math.gcd(price, per)
    return Step(
        start=step.start.scaled(scale.quantity),
        price_micro=price // common,
        per=per // common,
        increment=step.increment.scaled(scale.quantity),
    )


def instant_of(moment: datetime) -> Figure:
    """Give a local time as seconds since 1970."""
    since = moment - _EPOCH
    return Figure((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds, 6)


def shortest(figure: Figure) -> Figure:
    """Drop the zeros at the end of a figure, so that it asks for no finer units than it needs."""
    digits, decimals = figure.digits, figure.decimals
    while decimals and digits % 10 == 0:
        digits, decimals = digits // 10, decimals - 1
    return Figure(digits, decimals)
