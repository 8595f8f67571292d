"""Accounting periods: calendar months, named "2026-03", half-open from one first to the next."""

import re
from datetime import MAXYEAR, MINYEAR, date

from ledger.errors import Invalid

# The general ledger stands over all; VAT is touched by lines that a return is made of.
MODULES = ("GL", "AR", "BILLING", "VAT")

_CODE = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


def period_of(day: date) -> str:
    """Name the period that holds a day.

    >>> period_of(date(2026, 3, 31))
    '2026-03'
    """
    return f"{day.year:04d}-{day.month:02d}"


def period_bounds(code: str) -> tuple[date, date]:
    """Give the first day of a period and the first day after it.

    Raises
    ------
    Invalid : it is not written as 2026-03, or of a year that the calendar has not whole.

    >>> period_bounds("2026-12")
    (datetime.date(2026, 12, 1), datetime.date(2027, 1, 1))
    """
    match = _CODE.fullmatch(code)
    year, month = (int(match[1]), int(match[2])) if match else (0, 0)
    if not MINYEAR <= year < MAXYEAR:
        raise Invalid(f"{code!r} is not a period; write year and month as 2026-03.", period=code)
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def next_period(code: str) -> str:
    """Name the period after a period. Raises `Invalid`, as `period_bounds` does.

    >>> next_period("2026-12")
    '2027-01'
    """
    return period_of(period_bounds(code)[1])
