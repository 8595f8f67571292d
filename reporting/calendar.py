"""The Norwegian banking calendar: which days money moves, and when a claim falls due.

Bank days are Monday to Friday less public holidays. Christmas Eve and New Year's Eve count as bank
days: most banks keep half hours, and the clearing runs.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import holidays

_ONE_DAY = timedelta(days=1)


def is_bank_day(day: date) -> bool:
    """Say whether banks in Norway clear payments on the day.

    >>> is_bank_day(date(2026, 4, 2))  # Maundy Thursday.
    False
    """
    return day.isoweekday() <= 5 and day not in _public_holidays(day.year)


def next_bank_day(day: date) -> date:
    """Return the day itself when it is a bank day, else the first bank day after it.

    >>> next_bank_day(date(2026, 4, 2))  # Easter 2026: banks open again on Tuesday the 7th.
    datetime.date(2026, 4, 7)
    """
    while not is_bank_day(day):
        day += _ONE_DAY
    return day


def due_date(invoice_date: date, terms_days: int) -> date:
    """Date a claim: so many days after the invoice date, moved to the next bank day.

    Interest counts from the moved date too, so the moved date is the one that is printed, posted
    and aged.
    """
    return next_bank_day(invoice_date + timedelta(days=terms_days))


@lru_cache(maxsize=64)
def _public_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("NO", years=year))
