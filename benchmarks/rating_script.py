"""What a billing script does first: an object an event, datetimes in the zone, decimals throughout.

It finds zone, band and rate, takes what the allowances cover, prices the rest and notes the outcome
of each event, in the order in which the library promises it: what has no price draws on nothing. It
knows the tariff from the facts of the workload and is written as such scripts are, neither tuned
nor slowed down. The events are objects before the clock starts, as ours are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.rating_workloads import (
    BANDS,
    BUNDLE,
    KILOBYTE,
    MEGABYTE,
    OCTET_PRICE_MICRO,
    PER,
    SETUP_MICRO,
    WORKDAY,
    Workload,
)

ZONE = ZoneInfo("Europe/Oslo")
MILLION, MILLIONTH = Decimal(1_000_000), Decimal("0.000001")
MINUTE = Decimal(PER)
NOTHING = Decimal(0)


@dataclass
class Event:
    """One call or session."""

    started_at: datetime  # UTC
    quantity: Decimal  # seconds or octets
    number: str
    subscription: int
    pool: int
    member: bool


@dataclass
class Band:
    """When a price holds: on some weekdays, from a time of day until another; None is midnight."""

    name: str
    weekdays: tuple[int, ...]
    begins: time
    ends: time | None


@dataclass
class Rate:
    """What usage costs in one zone and band."""

    setup: Decimal
    price: Decimal  # of a minute or a megabyte


@dataclass
class Outcome:
    """What became of an event."""

    event: Event
    zone: int
    free: Decimal
    billed: Decimal
    amount: Decimal


def events_of(rows: Sequence[tuple[Any, ...]]) -> list[Event]:
    """Make the objects of rows laid out by `rating_peers.rows_of`."""
    return [
        Event(datetime.fromtimestamp(start, UTC), Decimal(quantity), number, subscription, pool,
              bool(member))
        for start, quantity, number, subscription, pool, member in rows
    ]  # fmt: skip


class Script:
    """The tariff and the events of a workload, ready to be rated."""

    def __init__(self, work: Workload, rows: Sequence[tuple[Any, ...]]) -> None:
        self.name, self.events = work.name, events_of(rows)
        self.prefixes = dict(work.prefixes)
        self.longest = max((len(prefix) for prefix in self.prefixes), default=0)
        self.bands = _bands()
        self.rates = {
            (zone, name): Rate(Decimal(SETUP_MICRO) / MILLION, Decimal(int(micro)) / MILLION)
            for zone, prices in enumerate(work.prices)
            for name, micro in zip(BANDS, prices, strict=True)
        }
        self.session_rate = Rate(NOTHING, Decimal(OCTET_PRICE_MICRO) / MILLION)
        self.granted = {
            int(pool): Decimal(int(granted))
            for pool, granted in zip(work.counters.subscription, work.counters.granted, strict=True)
        }
        self.left: dict[tuple[str, int, int, int], Decimal] = {}

    def __call__(self) -> int:
        """Rate all events and sum them by subscription; gives the sum in millionths."""
        self.left.clear()
        totals: dict[int, Decimal] = {}
        outcomes = []
        for event in self.events:
            outcome = self.session(event) if self.name == "C" else self.call(event)
            outcomes.append(outcome)
            account = event.subscription
            totals[account] = totals.get(account, NOTHING) + outcome.amount
        return int(sum(totals.values(), NOTHING) * MILLION)

    def call(self, event: Event) -> Outcome:
        """Price a call: begun minutes first, then seconds; it may cross one border of bands."""
        local = event.started_at.astimezone(ZONE)
        zone, band = self.zone_of(event.number), self.band_at(local)
        rate = self.rates[zone, band.name]
        free = NOTHING
        if self.name == "B":
            free = self.draw("own", event.subscription, local, Decimal(BUNDLE), event.quantity)
            if event.member:
                granted, left = self.granted[event.pool], event.quantity - free
                free += self.draw("pool", event.pool, local, granted, left)
        seconds = event.quantity - free
        if seconds == 0:
            return Outcome(event, zone, free, NOTHING, NOTHING)
        ends = self.end_of(band, local)
        before = min(seconds, Decimal(int((ends - local).total_seconds())))
        first = max(before, MINUTE)
        cost, billed = first * rate.price, first
        if seconds > first:
            later = self.rates[zone, self.band_at(ends).name]
            cost += (seconds - first) * later.price
            billed = seconds
        amount = rate.setup + (cost / MINUTE).quantize(MILLIONTH, ROUND_HALF_UP)
        return Outcome(event, zone, free, billed, amount)

    def session(self, event: Event) -> Outcome:
        """Price what the pool leaves of a session, begun kilobytes."""
        local = event.started_at.astimezone(ZONE)
        granted = self.granted[event.pool]
        free = self.draw("octets", event.pool, local, granted, event.quantity)
        octets = event.quantity - free
        if octets == 0:
            return Outcome(event, 0, free, NOTHING, NOTHING)
        billed = (octets / KILOBYTE).to_integral_value(ROUND_CEILING) * KILOBYTE
        amount = (billed * self.session_rate.price / MEGABYTE).quantize(MILLIONTH, ROUND_HALF_UP)
        return Outcome(event, 0, free, billed, amount)

    def draw(
        self, name: str, owner: int, local: datetime, granted: Decimal, wanted: Decimal
    ) -> Decimal:
        """Take what is wanted of an allowance, as far as it goes in its month."""
        pool = (name, owner, local.year, local.month)
        left = self.left.get(pool, granted)
        given = min(left, wanted)
        self.left[pool] = left - given
        return given

    def zone_of(self, number: str) -> int:
        """Find the zone of the longest prefix."""
        for length in range(self.longest, 0, -1):
            zone = self.prefixes.get(number[:length])
            if zone is not None:
                return zone
        raise SystemExit(f"No prefix of {number} has a zone.")

    def band_at(self, local: datetime) -> Band:
        """Find the band that holds at a local time."""
        weekday, clock = local.isoweekday(), local.time()
        for band in self.bands:
            begun = weekday in band.weekdays and band.begins <= clock
            if begun and (band.ends is None or clock < band.ends):
                return band
        raise SystemExit(f"No band holds at {local}.")

    def end_of(self, band: Band, local: datetime) -> datetime:
        """Give the local time at which a band ends that day."""
        if band.ends is None:
            return datetime.combine(local.date() + timedelta(days=1), time(), ZONE)
        return datetime.combine(local.date(), band.ends, ZONE)


def _bands() -> list[Band]:
    workdays, weekend = (1, 2, 3, 4, 5), (6, 7)
    borders = [(time(second // 3600), BANDS[band]) for second, band in WORKDAY]
    ends = [*(begins for begins, _ in borders[1:]), None]
    return [
        *(Band(name, workdays, begins, until)
          for (begins, name), until in zip(borders, ends, strict=True)),
        Band("weekend", weekend, time(), None),
    ]  # fmt: skip
