"""Local time in columns: when the clock changes, what it shows, where bands begin in UTC.

Prices follow the clock on the wall, durations are measured in UTC. A border of a band is therefore
computed in local time and converted: an event on a clock-change night is cut where its caller would
have seen the hand pass the border, and the repeated hour of autumn has its borders twice.
Source: reference design, rating 4.4; the zone's rules come from the tz database by `zoneinfo`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from rating.usage import Int32, Int64

DAY = 86_400
WEEK = 7 * DAY
_EPOCH = date(1970, 1, 1)
_FIRST_MONDAY = 4 * DAY  # 1970-01-05, in seconds

# Instants outside these years are refused: a garbled clock must not ask for endless calendars.
EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_PROBE = 5 * DAY  # no zone changes its clock twice within five days


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """The transitions of one zone: offset[i] holds from transition[i-1] to transition[i]."""

    time_zone: str
    transitions: Int64  # (k,) UTC epoch seconds, increasing
    offsets: Int64  # (k + 1,) seconds east of UTC
    month_starts: Int64  # UTC instants at which local months begin, January 2000 to January 2100


@dataclass(frozen=True, slots=True, eq=False)
class WeekPlan:
    """What holds when in a local week: slot[i] from second[i] on; slot -1 is nothing."""

    seconds: Int64  # of the week from Monday 00:00, increasing, the first is 0
    slots: Int32
    has_gap: bool


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """A week plan laid out in UTC: slot[i] from border[i] to border[i+1]."""

    borders: Int64  # (k,) UTC epoch seconds, increasing
    slots: Int32  # (k,)
    gaps_before: Int64  # (k + 1,) how many of the first i stretches have no slot


@lru_cache(maxsize=8)
def clock_of(time_zone: str) -> Clock:
    """Compile a zone's rules of 2000 to 2099 into arrays."""
    zone = ZoneInfo(time_zone)
    transitions, offsets = [], [_offset(zone, EARLIEST - WEEK)]
    for before in range(EARLIEST - WEEK, LATEST + WEEK, _PROBE):
        if _offset(zone, before + _PROBE) != offsets[-1]:
            at = _bisect(zone, before, before + _PROBE)
            transitions.append(at)
            offsets.append(_offset(zone, at))
    clock = Clock(
        time_zone,
        np.array(transitions, np.int64),
        np.array(offsets, np.int64),
        np.zeros(0, np.int64),
    )
    firsts = [date(2000 + n // 12, n % 12 + 1, 1) for n in range(100 * 12 + 1)]
    starts = np.array([midnight(clock, first) for first in firsts], np.int64)
    return Clock(time_zone, clock.transitions, clock.offsets, starts)


def local_seconds(clock: Clock, instants: Int64) -> Int64:
    """Read the wall clock at instants, as seconds since 1970-01-01 00:00 local time.

    Parameters
    ----------
    instants : (n,) int64. [UTC epoch seconds]

    Returns
    -------
    (n,) int64; // 86400 is the local day number, % 86400 the time of day. [s]
    """
    regime = np.searchsorted(clock.transitions, instants, side="right")
    local: Int64 = instants + clock.offsets[regime]
    return local


def midnight(clock: Clock, day: date) -> int:
    """Find the first instant of a local day. [UTC epoch seconds]"""
    wall = (day - _EPOCH).days * DAY
    # The earliest candidate that is not before midnight; zones that change at midnight included.
    for regime in np.searchsorted(clock.transitions, [wall - DAY, wall, wall + DAY], side="right"):
        starts = int(clock.transitions[regime - 1]) if regime else -(2**62)
        ends = int(clock.transitions[regime]) if regime < len(clock.transitions) else 2**62
        instant = max(wall - int(clock.offsets[regime]), starts)
        if instant < ends:
            return instant
    raise AssertionError("a day begins in one of three offsets around it")


def months(clock: Clock, instants: Int64) -> Int32:
    """Number the local months of instants: year * 12 + month - 1, so January 2026 is 24312.

    Instants must lie in 2000 to 2099.
    """
    number = np.searchsorted(clock.month_starts, instants, side="right") - 1 + 2000 * 12
    return number.astype(np.int32)


def month_number(period: str) -> int:
    """Number a month written as 2026-03, as `months` does."""
    first = date.fromisoformat(f"{period}-01")
    return first.year * 12 + first.month - 1


def timeline(plan: WeekPlan, clock: Clock, first: int, last: int) -> Timeline:
    """Lay a week plan out from `first` up to and including `last`. [UTC epoch seconds]

    Equal neighbours are one stretch, so a border is always a change; the first border is `first`.
    """
    borders, slots = [], []
    edges = clock.transitions[(clock.transitions > first) & (clock.transitions <= last)]
    starts = [first, *edges.tolist()]
    for start, end in zip(starts, [*starts[1:], last + 1], strict=True):
        regime = int(np.searchsorted(clock.transitions, start, side="right"))
        offset = int(clock.offsets[regime])
        local, slot = _local_borders(plan, start + offset, end + offset)
        borders.append(local - offset)
        slots.append(slot)
    border, slot = np.concatenate(borders), np.concatenate(slots)
    change = np.ones(len(slot), np.bool_)
    change[1:] = slot[1:] != slot[:-1]
    border, slot = border[change], slot[change]
    gaps = np.zeros(len(slot) + 1, np.int64)
    np.cumsum(slot < 0, out=gaps[1:])
    return Timeline(border, slot, gaps)


def _local_borders(plan: WeekPlan, first: int, end: int) -> tuple[Int64, Int32]:
    """List the borders of a plan in local seconds from `first`, itself a border, to `end`."""
    weeks = np.arange((first - _FIRST_MONDAY) // WEEK, (end - _FIRST_MONDAY) // WEEK + 1)
    borders = (weeks[:, None] * WEEK + _FIRST_MONDAY + plan.seconds).ravel()
    slots = np.tile(plan.slots, len(weeks))
    begin = int(np.searchsorted(borders, first, side="right")) - 1
    stop = int(np.searchsorted(borders, end, side="left"))
    borders, slots = borders[begin:stop].copy(), slots[begin:stop]
    borders[0] = first
    return borders, slots


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _bisect(zone: ZoneInfo, before: int, after: int) -> int:
    """Find the first instant in (before, after] with the later offset."""
    early = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == early:
            before = middle
        else:
            after = middle
    return after
