"""Rating as one would do it by hand: one event at a time, exact fractions, nothing clever.

Shares no code with the kernel but the values of a tariff file. The wall clock is read with
`zoneinfo`, minute by minute; prefixes are tried one by one; allowances are taken in a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from fractions import Fraction
from zoneinfo import ZoneInfo

from rating.tariff_terms import Rate, Tariff

USAGES = {1: "voice", 2: "sms", 3: "data"}
YEAR = 366 * 86_400


@dataclass(frozen=True)
class Event:
    """One usage event, with its number written as digits."""

    key: int
    start: int
    quantity: int
    usage: int
    number: str
    group: int
    subscription: int
    offering: int


@dataclass(frozen=True)
class Outcome:
    """What rating says about an event."""

    reason: str
    amount_micro: int = 0
    zone: str | None = None
    component: str | None = None
    billed: int = 0
    free: int = 0


def local(tariff: Tariff, instant: int) -> datetime:
    """Read the wall clock of the tariff."""
    return datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(tariff.time_zone))


def zone_of(tariff: Tariff, event: Event) -> str | None:
    """Find the zone by rating group or by the longest prefix."""
    if event.usage == 3:
        return next((z.id for z in tariff.zones if event.group in z.rating_groups), None)
    for length in range(len(event.number), 0, -1):
        for zone in tariff.zones:
            if event.number[:length] in zone.prefixes:
                return zone.id
    return None


def rows_of(tariff: Tariff, event: Event, zone: str) -> list[Rate]:
    """List the prices of an offering for this usage and zone."""
    offering = tariff.offerings[event.offering]
    return [r for r in offering.rates if r.usage == USAGES[event.usage] and r.zone == zone]


def row_at(tariff: Tariff, rows: list[Rate], instant: int) -> Rate | None:
    """Find the price that holds at an instant."""
    by_band = {row.band: row for row in rows}
    wall = local(tariff, instant)
    second = (wall.hour * 60 + wall.minute) * 60 + wall.second
    begun = [
        band
        for band in tariff.bands
        if wall.isoweekday() in band.weekdays
        and band.from_second <= second
        and (None in by_band or band.id in by_band)
    ]
    if not begun:
        return by_band.get(None)
    holds = max(begun, key=lambda band: (band.priority, band.from_second))
    return by_band.get(holds.id, by_band.get(None))


def portions_of(
    tariff: Tariff, rows: list[Rate], event: Event, quantity: int
) -> list[tuple[Rate | None, int]]:
    """Cut an event at every minute (borders lie on minutes) and join what has the same price."""
    if event.usage != 1:
        return [(row_at(tariff, rows, event.start), quantity)]
    found: list[tuple[Rate | None, int]] = []
    at, end = event.start, event.start + quantity
    while at < end:
        stop = min(end, at - at % 60 + 60)
        row = row_at(tariff, rows, at)
        if found and found[-1][0] is row:
            found[-1] = (row, found[-1][1] + stop - at)
        else:
            found.append((row, stop - at))
        at = stop
    return found or [(row_at(tariff, rows, event.start), 0)]


def round_half_away(exact: Fraction) -> int:
    """Round to an integer, ties away from zero."""
    sign = -1 if exact < 0 else 1
    return sign * int(abs(exact) + Fraction(1, 2))


def price_of(tariff: Tariff, rows: list[Rate], event: Event, quantity: int) -> tuple[int, int]:
    """Price a quantity: (amount in millionths, units paid for)."""
    if quantity == 0:
        return 0, 0
    parts = portions_of(tariff, rows, event, quantity)
    exact, units, carry = Fraction(0), 0, 0
    for row, length in parts:
        assert row is not None
        unpaid = max(0, length - carry)
        billed = -(-unpaid // row.increment) * row.increment if row.increment else unpaid
        carry = carry + billed - length
        units += billed
        exact += Fraction(billed * row.price_micro, row.per)
    first = parts[0][0]
    assert first is not None
    return max(round_half_away(exact) + first.setup_micro, first.minimum_micro), units


def fault_of(tariff: Tariff, event: Event) -> str | None:
    """Find what is wrong with an event by itself."""
    if event.usage not in USAGES:
        return "UNKNOWN_USAGE"
    if not 0 <= event.offering < len(tariff.offerings):
        return "UNKNOWN_OFFERING"
    wall = datetime.fromtimestamp(event.start, UTC) if abs(event.start) < 2**36 else None
    last = datetime(2100, 1, 1, tzinfo=UTC).timestamp() - YEAR
    if wall is None or wall.year < 2000 or event.start >= last:
        return "OUT_OF_RANGE"
    if abs(event.quantity) > 2**60 or (event.usage == 1 and abs(event.quantity) > YEAR):
        return "OUT_OF_RANGE"
    if event.quantity < 0:
        return "NEGATIVE"
    first = datetime.combine(tariff.valid_from, time(0), ZoneInfo(tariff.time_zone))
    return "NOT_YET_VALID" if wall < first else None


def rate_by_hand(tariff: Tariff, events: list[Event]) -> dict[int, Outcome]:
    """Rate events in the order of their starts and keys; outcomes by event key."""
    left: dict[tuple[int, str, int, int], int] = {}
    outcomes = {}
    for event in sorted(events, key=lambda e: (e.start, e.key)):
        outcomes[event.key] = _rate_one(tariff, event, left)
    return outcomes


def _rate_one(tariff: Tariff, event: Event, left: dict[tuple[int, str, int, int], int]) -> Outcome:
    fault = fault_of(tariff, event)
    if fault:
        return Outcome(fault)
    zone = zone_of(tariff, event)
    if zone is None:
        return Outcome("NO_ZONE")
    rows = rows_of(tariff, event, zone)
    if not rows or any(r is None for r, _ in portions_of(tariff, rows, event, event.quantity)):
        return Outcome("NO_RATE", zone=zone)
    if price_of(tariff, rows, event, event.quantity)[0] >= 2**62:
        return Outcome("OVERFLOW", zone=zone)
    component, payable = rows[0].component, event.quantity
    eligible = [
        allowance
        for allowance in tariff.offerings[event.offering].allowances
        if component in allowance.components
    ]
    if event.quantity and any(allowance.prorate for allowance in eligible):
        return Outcome("NO_GRANT", zone=zone)
    wall = local(tariff, event.start)
    for allowance in eligible:
        pool = (event.subscription, allowance.id, wall.year, wall.month)
        free = min(payable, left.setdefault(pool, allowance.quantity))
        left[pool] -= free
        payable -= free
    amount, billed = price_of(tariff, rows, event, payable)
    return Outcome("OK", amount, zone, component, billed, event.quantity - payable)
