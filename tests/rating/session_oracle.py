"""The session cases as one would work them out by hand: exact fractions, one event at a time.

Reads the JSON of a case and nothing of the library. The wall clock goes forward second by second
of the case's own resolution: a band, a day and a step end where the next tick belongs to another.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

EVERY_DAY = list(range(1, 8))


def charges_by_hand(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Charge the events of a session case; amounts are fractions."""
    return [_charge(given, event) for event in given["events"]]


def _charge(given: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    amount = _amount(given, event, abs(Fraction(event["quantity"])))
    if amount is None:
        return {"event": event["id"], "rejected": "no_rate"}
    sign = -1 if Fraction(event["quantity"]) < 0 else 1
    return {"event": event["id"], "amount": sign * amount}


def _amount(given: dict[str, Any], event: dict[str, Any], quantity: Fraction) -> Fraction | None:
    version = _version(given["tariff"]["versions"], event["start"])
    zone = version and _zone(version["zones"], event["destination"])
    rows = [r for r in version["rates"] if r["zone"] == zone] if version and zone else []
    portions = _portions(version, rows, event, quantity, given["policy"]) if rows else [(None, 0)]
    if any(row is None for row, _ in portions):
        return None
    carries = given["policy"]["band_split"] == "split_carry"
    before = Fraction(event.get("elapsed_before") or 0)
    total, used, paid_until = Fraction(0), Fraction(0), Fraction(0)
    for row, length in portions:
        for step, part in _steps(row, before + used, length, before + quantity):
            if step is None:
                return None
            begin = max(used, paid_until) if carries else used
            unpaid = max(used + part - begin, Fraction(0))
            increment = Fraction(step.get("increment") or 0)
            billed = math.ceil(unpaid / increment) * increment if increment else unpaid
            total += billed * Fraction(step["price"]) / Fraction(step["per"])
            paid_until, used = begin + billed, used + part
    if not quantity:
        return Fraction(0)
    first = portions[0][0]
    if not event.get("continuation"):
        total += Fraction(first.get("setup_fee") or 0)
    if first.get("max_charge") is not None:
        total = min(total, Fraction(first["max_charge"]))
    rounding = given["policy"]["event_rounding"]
    return rounded(total, rounding) if rounding else total


def _version(versions: list[dict[str, Any]], start: str) -> dict[str, Any] | None:
    found = None
    for version in versions:
        since = version["valid_from"]
        if since is not None and datetime.fromisoformat(since) > datetime.fromisoformat(start):
            continue
        if found is None or (since or "") >= (found["valid_from"] or ""):
            found = version
    return found


def _zone(zones: dict[str, list[str]], destination: str) -> str | None:
    fitting = [(len(p), z) for z, prefixes in zones.items() for p in prefixes
               if destination.startswith(p)]  # fmt: skip
    return max(fitting, default=(0, None), key=lambda found: found[0])[1]


def _row_at(version: dict[str, Any], rows: list[dict[str, Any]], at: datetime) -> Any:
    """Find the name of the band and the row that hold at an instant."""
    by_band = {row.get("band"): row for row in rows}
    applying = [
        band
        for band in version["bands"]
        if (None in by_band or band["id"] in by_band)
        and at.isoweekday() in (band.get("weekdays") or EVERY_DAY)
        and at.month in (band.get("months") or range(1, 13))
        and at.day in (band.get("month_days") or range(1, 32))
        and band["from"] <= at.strftime("%H:%M:%S")
    ]
    if not applying:
        return by_band.get(None)
    best = max(applying, key=lambda band: (band.get("priority") or 0, band["from"]))
    return by_band.get(best["id"], by_band.get(None))


def _portions(
    version: dict[str, Any],
    rows: list[dict[str, Any]],
    event: dict[str, Any],
    quantity: Fraction,
    policy: dict[str, Any],
) -> list[tuple[Any, Fraction]]:
    """Cut an event at every whole minute, and join what one band and one day prices."""
    start = datetime.fromisoformat(event["start"])
    bandless = all(row.get("band") is None for row in rows)
    if policy["band_split"] == "start_band" or bandless:
        return [(_row_at(version, rows, start), quantity)]
    found: list[tuple[Any, Fraction]] = [(_row_at(version, rows, start), Fraction(0))]
    at, left = start, quantity
    while left > 0:
        row = _row_at(version, rows, at)
        ahead = (at + timedelta(minutes=1)).replace(second=0, microsecond=0) - at
        length = min(left, Fraction(ahead // timedelta(microseconds=1), 10**6))
        midnight = at.hour == at.minute == at.second == at.microsecond == 0 and at != start
        if row is found[-1][0] and not midnight:
            found[-1] = (row, found[-1][1] + length)
        else:
            found.append((row, length))
        at, left = at + ahead, left - length
    return found


def _steps(
    row: dict[str, Any], begin: Fraction, length: Fraction, end: Fraction
) -> list[tuple[Any, Fraction]]:
    """Cut usage from `begin` on into the steps it falls into; None is before the first."""
    steps = sorted(row["steps"], key=lambda step: Fraction(step["from"]))
    if row.get("step_mode") == "whole":
        holding = [step for step in steps if Fraction(step["from"]) < end]
        return [(holding[-1] if holding else None, length)] if length else []
    edges = [Fraction(step["from"]) for step in steps]
    found = [(None, max(min(begin + length, edges[0]) - begin, Fraction(0)))]
    for number, step in enumerate(steps):
        low = max(begin, edges[number])
        high = min(begin + length, *edges[number + 1 : number + 2], begin + length)
        found.append((step, max(high - low, Fraction(0))))
    return [part for part in found if part[1]]


def rounded(exact: Fraction, rounding: dict[str, Any]) -> Fraction:
    """Round a fraction that is not negative."""
    unit = Fraction(10) ** -int(rounding["scale"])
    count = exact / unit
    down = Fraction(math.floor(count))
    rest = count - down
    if rounding["mode"] == "up":
        down += rest > 0
    elif rounding["mode"] == "half_up":
        down += rest >= Fraction(1, 2)
    elif rounding["mode"] == "half_even":
        down += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2 == 1)
    return down * unit
