"""Norwegian time for columns of instants, by the rule itself: summer time between two Sundays.

From 01:00 UTC on the last Sunday of March to 01:00 UTC on the last Sunday of October the offset is
+02:00, else +01:00. Source: Directive 2000/84/EC.
"""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np

from mediation.demo.ber import Int64, Octets

DAY = 86_400
_WINTER = 3_600
_SUMMER = 7_200


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=last.isoweekday() % 7)


def _switches() -> Int64:
    """List the instants at which the clock changes, spring and autumn by turns, 2000 to 2099."""
    days = [_last_sunday(year, month) for year in range(2000, 2100) for month in (3, 10)]
    epoch = date(1970, 1, 1)
    return np.array([(day - epoch).days * DAY + 3_600 for day in days], np.int64)


_SWITCHES = _switches()


def offset_seconds(instants: Int64) -> Int64:
    """Look up the offset from UTC at each instant: 3600 or 7200. [s]"""
    summer = np.searchsorted(_SWITCHES, instants, side="right") % 2
    return np.where(summer == 1, _SUMMER, _WINTER).astype(np.int64)


def from_wall(wall: Int64) -> Int64:
    """Turn wall-clock seconds (as if the wall were UTC) into instants.

    A time that the spring change skips becomes the same distance after it; of a doubled autumn hour
    the first is meant.
    """
    before = wall - _SUMMER
    return wall - offset_seconds(
        np.where(offset_seconds(before) == _SUMMER, before, wall - _WINTER)
    )


def midnight(day: date) -> int:
    """Find the instant at which a local day begins."""
    wall = (day - date(1970, 1, 1)).days * DAY
    return int(from_wall(np.array([wall], np.int64))[0])


def iso(instant: int) -> str:
    """Write an instant as local time with its offset, ISO 8601."""
    offset = int(offset_seconds(np.array([instant], np.int64))[0])
    zone = timezone(timedelta(seconds=offset))
    return datetime.fromtimestamp(instant, UTC).astimezone(zone).isoformat()


def local_date(instant: int) -> date:
    """Name the local date of an instant."""
    return datetime.fromisoformat(iso(instant)).date()


def _bcd(numbers: Int64) -> Octets:
    return (numbers // 10 * 16 + numbers % 10).astype(np.uint8)


def timestamps(instants: Int64) -> Octets:
    """Write TimeStamps of TS 32.298: YYMMDDhhmmss in BCD, '+', offset hhmm in BCD: (n, 9)."""
    offset = offset_seconds(instants)
    wall = instants + offset
    days = (wall // DAY).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    month_number = months.astype(np.int64)
    clock = wall % DAY
    columns = [
        _bcd((month_number // 12 + 1970) % 100),
        _bcd(month_number % 12 + 1),
        _bcd((days - months.astype("datetime64[D]")).astype(np.int64) + 1),
        _bcd(clock // 3600),
        _bcd(clock // 60 % 60),
        _bcd(clock % 60),
        np.full(len(instants), ord("+"), np.uint8),
        _bcd(offset // 3600),
        _bcd(offset // 60 % 60),
    ]
    return np.stack(columns, axis=1)
