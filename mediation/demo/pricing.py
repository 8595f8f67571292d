"""What each event costs, one at a time in plain Python: the slow reading of the tariff.

Semantics: kind "session" of the pricing case format with split_carry; amounts are exact fractions,
divided once per event, half away from zero, in millionths of the currency.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from mediation.demo import wallclock
from mediation.demo.population import Subscription
from mediation.demo.tariff import Offering, Rate, Tariff

# Subscription, start [s, UTC], wall-clock offset [s], usage, zone (None: no zone), quantity.
Event = tuple[int, int, int, str, str | None, int]


@dataclass
class Priced:
    """Sums of the rated month."""

    charges: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    unpriced: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    quantities: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    events: int = 0


def price_month(
    tariff: Tariff, subscriptions: list[Subscription], events: Iterable[Event]
) -> Priced:
    """Price events that come ordered by subscription and start.

    Returns
    -------
    Priced : micro per (subscription, component); events and quantity without a price, per usage.
    """
    priced = Priced()
    left: dict[tuple[int, str], int] = {}
    for subscription, start, offset, usage, zone, quantity in events:
        offering = _offering_at(tariff, subscriptions[subscription], start)
        rates = offering.rates.get((usage, zone)) if zone is not None else None
        if rates is None:
            missed = priced.unpriced[usage]
            missed[0] += 1
            missed[1] += quantity
            continue
        component = next(iter(rates.values())).component
        charged = quantity
        allowance = offering.allowances.get(component)
        if allowance is not None:
            key = (subscription, allowance.id)
            remaining = left.get(key, allowance.quantity)
            covered = min(remaining, quantity)
            left[key] = remaining - covered
            charged -= covered
        amount = _amount(tariff, rates, start + offset, charged) if charged else 0
        priced.charges[subscription, component] += amount
        priced.quantities[usage, component] += quantity
        priced.events += 1
    return priced


def _offering_at(tariff: Tariff, subscription: Subscription, instant: int) -> Offering:
    for interval in subscription.intervals:
        if interval.start <= instant and (interval.end is None or instant < interval.end):
            return tariff.offerings[interval.offering]
    raise AssertionError(f"{subscription.id} has usage at {instant} without an offering")


def _amount(tariff: Tariff, rates: dict[str, Rate], wall: int, quantity: int) -> int:
    """Price a quantity above zero that begins at a wall-clock second."""
    single = rates.get("")
    if single is not None:
        paid = _whole(quantity, single.increment)
        exact = single.setup_micro * single.per + paid * single.price_micro
        return max(half_away(exact, single.per), single.minimum_micro)
    first: Rate | None = None
    numerator, denominator, carried = 0, 1, 0
    for band, seconds in _portions(tariff, wall, quantity):
        rate = rates[band]
        if first is None:
            first = rate
            numerator = rate.setup_micro
        fresh = max(seconds - carried, 0)
        paid = _whole(fresh, rate.increment)
        carried += paid - seconds
        numerator = numerator * rate.per + paid * rate.price_micro * denominator
        denominator *= rate.per
    assert first is not None
    return max(half_away(numerator, denominator), first.minimum_micro)


def _whole(quantity: int, increment: int) -> int:
    """Round up to whole increments; 0 keeps the quantity."""
    return -(-quantity // increment) * increment if increment else quantity


def _portions(tariff: Tariff, wall: int, seconds: int) -> Iterator[tuple[str, int]]:
    """Cut a duration at band changes and midnights of the wall clock.

    The clock changes at night on a Sunday, when no band begins: so wall time may run on evenly.
    """
    while seconds > 0:
        day, second = divmod(wall, wallclock.DAY)
        bands = tariff.weekdays[(day + 3) % 7]  # 1 January 1970 was a Thursday
        place = max(i for i, (begins, _) in enumerate(bands) if begins <= second)
        ends = bands[place + 1][0] if place + 1 < len(bands) else wallclock.DAY
        portion = min(seconds, ends - second)
        yield bands[place][1], portion
        wall += portion
        seconds -= portion


def half_away(numerator: int, denominator: int) -> int:
    """Divide, ties away from zero; the numerator is never negative here.

    >>> half_away(5, 2)
    3
    """
    return (2 * numerator + denominator) // (2 * denominator)


def in_order(columns: list[tuple[np.ndarray, ...]]) -> Iterator[Event]:
    """Merge columns of subscription, start, usage, zone and quantity; order by the first two."""
    subscription = np.concatenate([part[0] for part in columns])
    start = np.concatenate([part[1] for part in columns])
    usage = np.concatenate([part[2] for part in columns])
    zone = np.concatenate([part[3] for part in columns])
    quantity = np.concatenate([part[4] for part in columns])
    order = np.lexsort((start, subscription))
    offset = wallclock.offset_seconds(start)
    for rows in np.array_split(order, max(1, len(order) // 100_000)):
        yield from zip(
            subscription[rows].tolist(),
            start[rows].tolist(),
            offset[rows].tolist(),
            usage[rows].tolist(),
            zone[rows].tolist(),
            quantity[rows].tolist(),
            strict=True,
        )
