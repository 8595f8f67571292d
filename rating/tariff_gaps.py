"""What a sound tariff file leaves without a price or without use: worth a look before it is loaded.

None of it is a fault. A tariff may leave the night unsold; then usage by night is suspended.
"""

from collections.abc import Iterator, Sequence

from rating.faults import Fault
from rating.tariff_terms import Band, Component, Offering, Rate, Tariff, Zone, band_weekdays

_DAY_SECONDS = 86_400


def tariff_gaps(tariff: Tariff) -> list[Fault]:
    """List times without a price, allowances that nothing draws on, and names nobody uses."""
    found: list[Fault] = []
    for number, offering in enumerate(tariff.offerings, 1):
        found += _unpriced_times(f"offering[{number}]", offering, tariff.bands)
        found += _idle_allowances(f"offering[{number}]", offering)
    return found + list(_unused(tariff))


def _unpriced_times(path: str, offering: Offering, bands: Sequence[Band]) -> Iterator[Fault]:
    cells: dict[tuple[str, str], list[tuple[int, Rate]]] = {}
    for number, rate in enumerate(offering.rates, 1):
        cells.setdefault((rate.usage, rate.zone), []).append((number, rate))
    for (usage, zone), rows in cells.items():
        priced = {rate.band for _, rate in rows}
        if None in priced:
            continue
        holding = [band for band in bands if band.id in priced]
        by_end: dict[int, list[int]] = {}
        for day in range(1, 9):
            end = min((b.from_second for b in holding if _always(b, day)), default=_DAY_SECONDS)
            by_end.setdefault(end, []).append(day)
        for end, days in sorted(by_end.items()):
            if end:
                yield Fault(
                    f"{path}.rate[{rows[0][0]}]",
                    f"{usage} to {zone} may have no price on weekday {', '.join(map(str, days))} "
                    f"before {end // 3600:02}:{end // 60 % 60:02}; usage then is suspended. "
                    "A rate without a band holds where no other does",
                )


def _always(band: Band, weekday: int) -> bool:
    """Say whether the band begins on this weekday in every week of the year."""
    return weekday in band_weekdays(band) and not band.months and not band.month_days


def _idle_allowances(path: str, offering: Offering) -> Iterator[Fault]:
    rated = {rate.component for rate in offering.rates}
    for number, allowance in enumerate(offering.allowances, 1):
        idle = [name for name in allowance.components if name not in rated]
        if idle:
            yield Fault(
                f"{path}.allowance[{number}].component",
                f"{offering.id} has no rate for {', '.join(idle)}, so nothing draws on it",
            )


def _unused(tariff: Tariff) -> Iterator[Fault]:
    rates = [rate for offering in tariff.offerings for rate in offering.rates]
    priced = {rate.component for rate in rates}
    for offering in tariff.offerings:
        priced |= {month.component for month in offering.recurring}
        priced |= {once.component for once in offering.one_off}
        priced |= {bound.component for bound in offering.bindings}
        priced |= {use.surcharge for use in offering.fair_use}
        priced |= {pool.overage for pool in offering.pools}
    priced |= {each.component for each in tariff.carried}
    uses: list[tuple[str, Sequence[Zone | Band | Component], set[str]]] = [
        ("zone", tariff.zones, {rate.zone for rate in rates}),
        ("band", tariff.bands, {rate.band for rate in rates if rate.band}),
        ("component", tariff.components, priced),
    ]
    for what, named, used in uses:
        for number, one in enumerate(named, 1):
            if one.id not in used:
                yield Fault(f"{what}[{number}].id", f"no price names {what} {one.id}")
