"""Periods are calendar months."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.periods import next_period, period_bounds, period_of


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_a_day_lies_in_its_period(day: date) -> None:
    """The bounds of a day's period hold the day, and the next period starts where it ends."""
    start, end = period_bounds(period_of(day))
    assert start <= day < end
    assert period_of(end - timedelta(days=1)) == period_of(day)
    assert start.day == end.day == 1
    assert next_period(period_of(day)) == period_of(end)


@pytest.mark.parametrize(
    "code", ["2026-13", "2026-3", "202603", "2026-03 ", "x", "0000-01", "9999-12"]
)
def test_what_is_not_a_period_is_refused(code: str) -> None:
    """The problem says how a period is written."""
    with pytest.raises(Invalid, match="2026-03"):
        period_bounds(code)
