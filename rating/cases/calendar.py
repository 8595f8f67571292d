"""Cases about the calendar: day_count, billing_anchor."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from rating.cases.fields import Fields
from rating.clock import DAY, anchor_days, clock_of, local_days

_EPOCH = date(1970, 1, 1)
_LAST_CENTURY = 99


def day_count(given: Mapping[str, Any]) -> dict[str, Any]:
    """Count the local days between two instants given in UTC."""
    fields = Fields(given)
    zone = fields.text("time_zone")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise fields.fault("time_zone", f"is {zone!r}; needs a zone such as Europe/Oslo") from None
    instants = [_instant(fields, name) for name in ("start", "end")]
    # A clock of the years concerned, in whole centuries: compiled once for most cases.
    first, last = (datetime.fromtimestamp(at, UTC).year // 100 for at in sorted(instants))
    if last >= _LAST_CENTURY:
        raise fields.fault("end", "lies behind the year 9899, further than clocks are made")
    clock = clock_of(zone, _century(max(first, 1)), _century(last + 1))
    begin, end = local_days(clock, np.array(instants, np.int64)).tolist()
    return {"days": end - begin}


def _instant(fields: Fields, name: str) -> int:
    """Read an instant in UTC, with or without its Z."""
    written = fields.text(name)
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise fields.fault(
            name, f"needs a time such as 2026-03-01T12:00:00Z; got {written!r:.40}"
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _century(number: int) -> int:
    return (date(number * 100, 1, 1) - _EPOCH).days * DAY


def billing_anchor(given: Mapping[str, Any]) -> dict[str, Any]:
    """List monthly dates from the first anchor on or after a day."""
    fields = Fields(given)
    anchor, count = fields.whole("anchor_day"), fields.whole("count")
    if not 1 <= anchor <= 31:
        raise fields.fault("anchor_day", "must be a day of a month, from 1 to 31")
    if not 0 <= count <= 12_000:
        raise fields.fault("count", "must be between 0 and 12000")
    first = np.datetime64(fields.day("first"), "D")
    return {"dates": anchor_days(anchor, first, count).astype(str).tolist()}


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "day_count": day_count,
    "billing_anchor": billing_anchor,
}
