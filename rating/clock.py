"""Local time in columns: when the clock changes, what it shows, where bands begin in UTC.

Prices follow the clock on the wall, durations are measured in UTC. A border of a band is therefore
computed in local time and converted: an event on a clock-change night is cut where its caller would
have seen the hand pass the border, and the repeated hour of autumn has its borders twice.
Source: docs/pricing.md, "Bands, dates and holidays"; the zone's rules come from the tz database by
`zoneinfo`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rating.rounding import Integers
from rating.usage import Bool, Int32, Int64

DAY = 86_400
WEEK = 7 * DAY
NEVER = 2**62  # later than any instant
_EPOCH = date(1970, 1, 1)

# Instants outside these years are refused: a garbled clock must not ask for endless calendars.
EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_WORTH_A_TABLE = 4  # Instants a place: from there on a table is made sooner than searched.
_PROBE = 5 * DAY  # no zone changes its clock twice within five days


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """The transitions of one zone: offset[i] holds from transition[i-1] to transition[i]."""

    time_zone: str
    transitions: Int64  # (k,) UTC epoch seconds, increasing
    offsets: Int64  # (k + 1,) seconds east of UTC
    month_starts: Int64  # UTC instants at which local months begin, January 2000 to January 2100
    first: int  # the instants from `first` up to `last` are known [UTC epoch seconds]
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class DayPlan:
    """What holds when on which local days: bands in rising order of rank, so the last wins.

    The default slot holds where no band does; slot -1 is nothing.
    """

    seconds: Int64  # (k,) of the day, from which a band holds
    slots: Int32  # (k,)
    weekdays: Bool  # (k, 9) by ISO number, 8 is a public holiday
    months: Bool  # (k, 13)
    month_days: Bool  # (k, 32)
    holidays: Int64  # local day numbers since 1970, increasing
    default: int


@dataclass(frozen=True, eq=False)  # Without slots: what is derived is kept.
class Timeline:
    """A plan laid out in UTC: slot[i] from border[i] to border[i+1]."""

    borders: Int64  # (k,) instants, increasing [ticks since 1970, UTC; a tick is a second]
    slots: Int32  # (k,)
    gaps_before: Int64  # (k + 1,) how many of the first i stretches have no slot

    @cached_property
    def ends(self) -> Int64:
        """The instant at which each stretch ends; the last never does."""
        return np.append(self.borders[1:], NEVER)

    def at(self, instants: Integers) -> Int64:
        """Find the stretch that each instant lies in; none may be before the first border.

        Borders mostly lie on whole hours: where there are few of these, as against instants, the
        hour says the stretch, at a twentieth of what a search costs.
        """
        if len(self.borders) > 1 and instants.dtype == np.int64:
            origin, step, cells = self._hours
            if cells * _WORTH_A_TABLE <= len(instants):
                hour = instants - origin
                hour //= step
                return self._stretch_of_hour.take(hour, mode="clip")
        return np.searchsorted(self.borders, instants, side="right") - 1

    @cached_property
    def _hours(self) -> tuple[int, int, int]:
        """The largest step on which all borders after the first lie: origin, step, how many."""
        second = int(self.borders[1])
        step = int(np.gcd.reduce(np.diff(self.borders[1:]))) or second - int(self.borders[0])
        origin = second - -(-(second - int(self.borders[0])) // step) * step
        return origin, step, (int(self.borders[-1]) - origin) // step + 1

    @cached_property
    def _stretch_of_hour(self) -> Int64:
        origin, step, hours = self._hours
        begins = (self.borders - origin) // step
        return np.repeat(np.arange(len(begins)), np.diff(begins, append=hours))


@lru_cache(maxsize=16)
def clock_of(time_zone: str, first: int = EARLIEST, last: int = LATEST) -> Clock:
    """Compile a zone's rules into arrays, by default those of 2000 to 2099."""
    zone = ZoneInfo(time_zone)
    transitions, offsets = [], [_offset(zone, first - WEEK)]
    for before in range(first - WEEK, last + WEEK, _PROBE):
        if _offset(zone, before + _PROBE) != offsets[-1]:
            at = _bisect(zone, before, before + _PROBE)
            transitions.append(at)
            offsets.append(_offset(zone, at))
    clock = Clock(
        time_zone,
        np.array(transitions, np.int64),
        np.array(offsets, np.int64),
        np.zeros(0, np.int64),
        first,
        last,
    )
    firsts = [date(2000 + n // 12, n % 12 + 1, 1) for n in range(100 * 12 + 1)]
    starts = np.array([midnight(clock, first) for first in firsts], np.int64)
    return replace(clock, month_starts=starts)


def even_clock() -> Clock:
    """Make a clock that shows UTC and never changes, of any year a calendar can hold."""
    none = np.zeros(0, np.int64)
    first, last = ((date(year, 1, 1) - _EPOCH).days * DAY for year in (1, 9999))
    return Clock("UTC", none, np.zeros(1, np.int64), none, first, last)


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


def local_days(clock: Clock, instants: Int64) -> Int64:
    """Give the local dates of instants, as day numbers since 1970-01-01."""
    return local_seconds(clock, instants) // DAY


def anchor_days(anchor_day: int, first: np.datetime64, count: int) -> NDArray[np.datetime64]:
    """List the monthly days of an anchor, from the first that is not before `first`.

    A month that lacks the day has its last day instead; the anchor is kept: 31 January,
    28 February, 31 March.

    Parameters
    ----------
    anchor_day : from 1 to 31.
    first : a day.
    count : how many.

    Returns
    -------
    (count,) datetime64[D].
    """
    months = first.astype("datetime64[M]") + np.arange(count + 1)
    begins = months.astype("datetime64[D]")
    lengths = ((months + 1).astype("datetime64[D]") - begins).astype(np.int64)
    days = begins + (np.minimum(anchor_day, lengths) - 1)
    found: NDArray[np.datetime64] = days[days >= first][:count]
    return found


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
    if not len(instants):
        return np.zeros(0, np.int32)
    ends = [instants.min(), instants.max()]
    first, last = np.searchsorted(clock.month_starts, ends, side="right").tolist()
    if first == last:  # What is rated together is mostly of one month.
        return np.broadcast_to(np.int32(first - 1 + 2000 * 12), len(instants))
    number = np.searchsorted(clock.month_starts[first:last], instants, side="right")
    found: Int32 = (number + (first - 1 + 2000 * 12)).astype(np.int32)
    return found


def month_number(period: str) -> int:
    """Number a month written as 2026-03, as `months` does."""
    first = date.fromisoformat(f"{period}-01")
    return first.year * 12 + first.month - 1


def timeline(
    plan: DayPlan, clock: Clock, first: int, last: int, *, by_day: bool = False, ticks: int = 1
) -> Timeline:
    """Lay a plan out from `first` up to and including `last`. [UTC epoch seconds]

    Equal neighbours are one stretch, so a border is always a change; the first border is `first`.

    Parameters
    ----------
    by_day : local midnight is a border as well.
    ticks : of the borders in a second.
    """
    borders, slots, midnights = [], [], []
    edges = clock.transitions[(clock.transitions > first) & (clock.transitions <= last)]
    starts = [first, *edges.tolist()]
    for start, end in zip(starts, [*starts[1:], last + 1], strict=True):
        regime = int(np.searchsorted(clock.transitions, start, side="right"))
        offset = int(clock.offsets[regime])
        local, slot = _local_borders(plan, start + offset, end + offset)
        borders.append(local - offset)
        slots.append(slot)
        midnights.append(local % DAY == 0)
    border, slot = np.concatenate(borders), np.concatenate(slots)
    change = np.ones(len(slot), np.bool_)
    change[1:] = slot[1:] != slot[:-1]
    if by_day:
        change |= np.concatenate(midnights)
    border, slot = border[change], slot[change]
    gaps = np.zeros(len(slot) + 1, np.int64)
    np.cumsum(slot < 0, out=gaps[1:])
    return Timeline(border * ticks, slot, gaps)


def stretches(line: Timeline, start: int, end: int) -> tuple[Int32, Int64]:
    """Cut what lasts from `start` to `end` at the borders of a timeline.

    Returns
    -------
    slots : (k,) in order of time.
    lengths : (k,) they sum to end - start. [ticks]
    """
    within = (line.borders > start) & (line.borders < end)
    begins = np.concatenate(
        [np.array([start] if end > start else [], np.int64), line.borders[within]]
    )
    slots = line.slots[np.searchsorted(line.borders, begins, side="right") - 1]
    return slots, np.diff(begins, append=end)


def _local_borders(plan: DayPlan, first: int, end: int) -> tuple[Int64, Int32]:
    """List the borders of a plan in local seconds from `first`, itself a border, to `end`."""
    days = np.arange(first // DAY, end // DAY + 1)
    kinds, kind = np.unique(_applies(plan, days), axis=0, return_inverse=True)
    patterns = [_day_pattern(plan, applies) for applies in kinds]
    lengths = np.array([len(seconds) for seconds, _ in patterns])[kind]
    offsets = np.cumsum([0, *(len(seconds) for seconds, _ in patterns)])[kind]
    place = np.arange(lengths.sum()) + np.repeat(offsets - np.cumsum(lengths) + lengths, lengths)
    borders = np.concatenate([seconds for seconds, _ in patterns])[place]
    borders += np.repeat(days * DAY, lengths)
    slots = np.concatenate([slots for _, slots in patterns])[place]
    begin = int(np.searchsorted(borders, first, side="right")) - 1
    stop = int(np.searchsorted(borders, end, side="left"))
    borders, slots = borders[begin:stop], slots[begin:stop]
    borders[0] = first
    return borders, slots


def _applies(plan: DayPlan, days: Int64) -> Bool:
    """Say which bands apply on which local days: (days, bands)."""
    calendar = days.astype("datetime64[D]")
    first = calendar.astype("datetime64[M]")
    weekday = np.where(np.isin(days, plan.holidays), 8, (days + 3) % 7 + 1)
    month = first.astype(np.int64) % 12 + 1
    month_day = (calendar - first).astype(np.int64) + 1
    applies: Bool = (
        plan.weekdays[:, weekday] & plan.months[:, month] & plan.month_days[:, month_day]
    ).T
    return applies


def _day_pattern(plan: DayPlan, applies: Bool) -> tuple[Int64, Int32]:
    """List from which second of such a day which slot holds; a day starts with none of the last."""
    today = np.flatnonzero(applies)
    seconds = np.unique(np.append(plan.seconds[today], 0))
    slots = np.full(len(seconds), plan.default, np.int32)
    for band in today.tolist():
        slots[seconds >= plan.seconds[band]] = plan.slots[band]
    return seconds, slots


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
