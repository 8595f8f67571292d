"""Rating as one would do it by hand: one event at a time, exact fractions, nothing clever.

Shares no code with the kernel but the values of a tariff file. The wall clock is read with
`zoneinfo`, minute by minute; prefixes are tried one by one; allowances are taken in a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from fractions import Fraction
from zoneinfo import ZoneInfo

from rating.tariff_terms import Allowance, Band, Rate, Step, Tariff

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
    elapsed: int = 0
    continues: bool = False
    pool: int = 0


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
    for length in range(len(event.number), -1, -1):
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
        if _applies(tariff, band, wall)
        and band.from_second <= second
        and (None in by_band or band.id in by_band)
    ]
    if not begun:
        return by_band.get(None)
    holds = max(begun, key=lambda band: (band.priority, band.from_second))
    return by_band.get(holds.id, by_band.get(None))


def _applies(tariff: Tariff, band: Band, wall: datetime) -> bool:
    """Say whether a band holds on the date; a public holiday is weekday 8."""
    holiday = wall.date() in tariff.holidays
    every_day = band.weekdays == (1, 2, 3, 4, 5, 6, 7)
    return (
        (every_day or (8 if holiday else wall.isoweekday()) in band.weekdays)
        and (not band.months or wall.month in band.months)
        and (not band.month_days or wall.day in band.month_days)
    )


def portions_of(
    tariff: Tariff, rows: list[Rate], event: Event, quantity: int
) -> list[tuple[Rate | None, int]]:
    """Cut an event at every minute (borders lie on minutes) and join what has the same price."""
    bandless = all(row.band is None for row in rows)
    if event.usage != 1 or tariff.band_split == "start_band" or bandless:
        return [(row_at(tariff, rows, event.start), quantity)]
    found: list[tuple[Rate | None, int]] = []
    at, end = event.start, event.start + quantity
    while at < end:
        stop = min(end, at - at % 60 + 60)
        row = row_at(tariff, rows, at)
        wall = local(tariff, at)
        new_day = tariff.band_split == "split" and wall.hour == wall.minute == wall.second == 0
        if found and found[-1][0] is row and not new_day:
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
    exact, units, used, paid_until = Fraction(0), 0, 0, 0
    parts = portions_of(tariff, rows, event, quantity)
    first = parts[0][0]
    assert first is not None
    for row, length in parts:
        assert row is not None
        for step, part in steps_of(row, event.elapsed + used, length, event.elapsed + quantity):
            assert step is not None
            begin = max(used, paid_until) if tariff.band_split == "split_carry" else used
            unpaid = max(0, used + part - begin)
            billed = -(-unpaid // step.increment) * step.increment if step.increment else unpaid
            paid_until, used = begin + billed, used + part
            units += billed
            exact += Fraction(billed * step.price_micro, step.per)
    if not event.continues:
        exact = max(exact + first.setup_micro, Fraction(first.minimum_micro))
    if first.max_charge_micro is not None:
        exact = min(exact, Fraction(first.max_charge_micro))
    unit = Fraction(first.round_to_micro)
    return int(rounded(exact / unit, first.rounding) * unit), units


def steps_of(row: Rate, begin: int, length: int, end: int) -> list[tuple[Step | None, int]]:
    """Cut usage from `begin` on into the steps it falls into; None is beyond the last."""
    steps: list[Step | None] = [Step(0, row.price_micro, row.per, row.increment), *row.steps]
    edges = [0, *(step.start for step in row.steps), *([row.until] if row.until else [])]
    steps += [None] if row.until else []
    if row.whole_step:
        return [(steps[max(n for n, at in enumerate(edges) if at < end)], length)]
    edges.append(begin + length + 1)
    cut = [
        (step, min(begin + length, edges[n + 1]) - max(begin, edges[n]))
        for n, step in enumerate(steps)
    ]
    return [part for part in cut if part[1] > 0]


def rounded(exact: Fraction, mode: str) -> int:
    """Round a fraction that is not negative to a whole number."""
    down = exact.numerator // exact.denominator
    rest = exact - down
    if mode == "down":
        return down
    if mode == "up":
        return down + (rest > 0)
    tie = mode == "half_up" or down % 2 == 1
    return down + (rest > Fraction(1, 2) or (tie and rest == Fraction(1, 2)))


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
    if event.elapsed < 0 or event.elapsed > 2**60:
        return "OUT_OF_RANGE"
    if abs(event.quantity) > 2**60 or (event.usage == 1 and abs(event.quantity) > YEAR):
        return "OUT_OF_RANGE"
    if event.quantity < 0 and not tariff.refunds:
        return "NEGATIVE"
    first = datetime.combine(tariff.valid_from, time(0), ZoneInfo(tariff.time_zone))
    return "NOT_YET_VALID" if wall < first else None


def rate_by_hand(tariff: Tariff, events: list[Event]) -> dict[int, Outcome]:
    """Rate events in the order of their starts and keys; outcomes by event key."""
    left: dict[tuple[object, ...], int] = {}
    outcomes = {}
    for event in sorted(events, key=lambda e: (e.start, e.key)):
        outcomes[event.key] = _rate_one(tariff, event, left)
    return outcomes


def _sold(tariff: Tariff, rows: list[Rate], event: Event, quantity: int) -> bool:
    """Say whether all of an event has a price: its time, and its steps."""
    used = event.elapsed
    for row, length in portions_of(tariff, rows, event, quantity):
        if row is None:
            return False
        parts = steps_of(row, used, length, event.elapsed + quantity) if length else []
        if any(step is None for step, _ in parts):
            return False
        used += length
    return True


def _rate_one(tariff: Tariff, event: Event, left: dict[tuple[object, ...], int]) -> Outcome:
    fault = fault_of(tariff, event)
    if fault:
        return Outcome(fault)
    zone = zone_of(tariff, event)
    if zone is None:
        return Outcome("NO_ZONE")
    rows = rows_of(tariff, event, zone)
    size, sign = abs(event.quantity), -1 if event.quantity < 0 else 1
    if not rows or not _sold(tariff, rows, event, size):
        return Outcome("NO_RATE", zone=zone)
    if price_of(tariff, rows, event, size)[0] >= 2**62:
        return Outcome("OVERFLOW", zone=zone)
    component, payable = rows[0].component, size
    eligible = [
        allowance
        for allowance in tariff.offerings[event.offering].allowances
        if component in allowance.components and _is_valid(tariff, allowance, event)
    ]
    if event.quantity < 0:  # A refund: the price of the use with the other sign, no allowance.
        amount, billed = price_of(tariff, rows, event, size)
        return Outcome("OK", sign * amount, zone, component, sign * billed)
    if event.quantity and any(allowance.prorate for allowance in eligible):
        return Outcome("NO_GRANT", zone=zone)
    for allowance in sorted(eligible, key=lambda a: a.priority):
        payable -= _draw(tariff, rows, event, allowance, payable, left)
    amount, billed = price_of(tariff, rows, event, payable)
    return Outcome("OK", amount, zone, component, billed, event.quantity - payable)


def _is_valid(tariff: Tariff, allowance: Allowance, event: Event) -> bool:
    day = local(tariff, event.start).date()
    begun = allowance.valid_from is None or allowance.valid_from <= day
    return begun and (allowance.valid_to is None or day < allowance.valid_to)


def _draw(
    tariff: Tariff, rows: list[Rate], event: Event, allowance: Allowance, payable: int,
    left: dict[tuple[object, ...], int],
) -> int:  # fmt: skip
    """Draw on one allowance. What is shared is granted twice what the tariff states."""
    wall = local(tariff, event.start)
    owner = ("pool", event.pool) if allowance.shared else ("own", event.subscription)
    pool = (owner, allowance.id, wall.year, wall.month)
    # A cap is per subscription and allowance, whichever pool it is used from.
    member = ("member", event.subscription, *pool[1:])
    balance = left.setdefault(pool, allowance.quantity * (1 + allowance.shared))
    if allowance.money:
        free, drawn = _paid(tariff, rows, event, payable, balance)
    else:
        if allowance.member_cap is not None:
            balance = min(balance, left.setdefault(member, allowance.member_cap))
        step = allowance.increment or 1
        drawn = min(-(-payable // step), balance // step) * step
        free = min(payable, drawn)
        if allowance.member_cap is not None:
            left[member] -= drawn
    left[pool] -= drawn
    return free


def _paid(
    tariff: Tariff, rows: list[Rate], event: Event, payable: int, balance: int
) -> tuple[int, int]:
    """Find what money pays for, by halving: prices never fall as quantities grow."""
    bare = [replace(row, setup_micro=0, minimum_micro=0) for row in rows]

    def cost(quantity: int) -> int:
        return price_of(tariff, bare, event, quantity)[0]

    low, high = 0, payable + 1
    while balance and high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) <= balance else (low, middle)
    return low, cost(low)
