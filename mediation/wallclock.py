"""Instants as the calendar of the operator's country shows them, for whole columns."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from mediation.records import Int64

ZONE = ZoneInfo("Europe/Oslo")
_DAY = 86_400
_NEVER = 253_402_214_400  # The last day of the year 9999, beyond which there are no dates.


def utc_day(instants: Int64) -> Int64:
    """Give UTC days since 1970 of instants. [UTC epoch seconds]"""
    day: Int64 = np.floor_divide(instants, _DAY)
    return day


def day_used(started_at: int) -> date | None:
    """Give the local date of an instant of use; None where it cannot be one. [UTC epoch seconds]

    Records that hold no time are decoded with zero, and what is broken may hold any number.
    """
    if not 0 < started_at < _NEVER:
        return None
    return datetime.fromtimestamp(started_at, ZONE).date()


def local_days(instants: Int64) -> NDArray[np.datetime64]:
    """Give the local dates of instants, as datetime64[D]."""
    import pandas as pd  # noqa: PLC0415 - a fifth of a second that few commands need

    local = pd.to_datetime(instants, unit="s", utc=True).tz_convert(ZONE).tz_localize(None)
    days: NDArray[np.datetime64] = local.to_numpy().astype("datetime64[D]")
    return days


def month_of(instants: Int64) -> NDArray[np.str_]:
    """Give the local month of instants, as 2026-03."""
    months: NDArray[np.str_] = local_days(instants).astype("datetime64[M]").astype("U7")
    return months
