"""Parts of a full amount by days: every usual way to count them, exact until one rounding.

A share is a fraction of integers, numerator over denominator; `rating.rounding.share_of` takes it
of amounts. Days are local dates, half-open:
[from, to).

Source: docs/pricing.md; kind proration of the pricing case format.
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import lcm

from ledger.errors import Invalid


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a full amount: numerator / denominator, the latter above zero."""

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if self.denominator <= 0:
            raise Invalid("A share needs a denominator above zero: a period has at least a day.")


def actual_share(service: tuple[date, date], period: tuple[date, date]) -> Share:
    """Days of service over days of the period."""
    return Share(_days(service), _days(period))


def actual_over_fixed_share(service: tuple[date, date], fixed_days: int) -> Share:
    """Days of service over a fixed number of days."""
    return Share(_days(service), fixed_days)


def fixed_month_share(service: tuple[date, date], fixed_days: int) -> Share:
    """Days over a month in which every month has `fixed_days`.

    Within one calendar month the days are counted; over a border each month counts as
    `fixed_days`: fixed_days - from.day + to.day + fixed_days × full months between.
    """
    _days(service)
    start, end = service
    months = (end.year - start.year) * 12 + end.month - start.month
    if months == 0:
        return Share(end.day - start.day, fixed_days)
    return Share(fixed_days - start.day + end.day + fixed_days * (months - 1), fixed_days)


def calendar_months_share(service: tuple[date, date]) -> Share:
    """Days of service in each calendar month over the days of that month, summed."""
    _days(service)
    at, end = service
    parts: list[Share] = []
    while at < end:
        length = monthrange(at.year, at.month)[1]
        left = timedelta(days=length - at.day + 1)
        # Not `at + left`: behind the last month of the calendar there is no day.
        until = at + left if left < end - at else end
        parts.append(Share((until - at).days, length))
        at = until
    return sum_shares(parts)


def sum_shares(parts: Sequence[Share]) -> Share:
    """Add shares of different denominators exactly."""
    denominator = lcm(*(part.denominator for part in parts)) if parts else 1
    return Share(
        sum(part.numerator * (denominator // part.denominator) for part in parts), denominator
    )


def _days(span: tuple[date, date]) -> int:
    start, end = span
    if end < start:
        raise Invalid(f"The span from {start} to {end} ends before it begins.")
    return (end - start).days
