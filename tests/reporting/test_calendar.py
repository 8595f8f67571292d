"""Bank days in Norway, checked against the published holidays of two years."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporting.calendar import due_date, is_bank_day, next_bank_day

CLOSED = {
    2026: ["01-01", "04-02", "04-03", "04-06", "05-01", "05-14", "05-25", "12-25"],
    2027: ["01-01", "03-25", "03-26", "03-29", "05-06", "05-17"],
}


@pytest.mark.parametrize("year", CLOSED)
def test_weekdays_without_banking_are_the_public_holidays(year: int) -> None:
    """Of all weekdays of a year exactly the public holidays are closed."""
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    closed = [day for day in days if day.isoweekday() <= 5 and not is_bank_day(day)]
    assert [day.strftime("%m-%d") for day in closed] == CLOSED[year]
    assert not any(is_bank_day(day) for day in days if day.isoweekday() > 5)


@given(st.dates(date(2000, 1, 1), date(2100, 12, 1)))
def test_the_next_bank_day_skips_only_closed_days(day: date) -> None:
    """The result is open, not earlier, and every day passed over is closed."""
    found = next_bank_day(day)
    assert is_bank_day(found)
    assert not any(is_bank_day(day + timedelta(days=n)) for n in range((found - day).days))


@pytest.mark.parametrize(
    ("invoiced", "days", "due"),
    [
        (date(2026, 3, 31), 14, date(2026, 4, 14)),
        (date(2026, 3, 19), 14, date(2026, 4, 7)),  # Maundy Thursday: on over Easter.
        (date(2026, 12, 11), 14, date(2026, 12, 28)),  # Christmas Day is a Friday.
        (date(2026, 3, 28), 0, date(2026, 3, 30)),  # A Saturday.
    ],
)
def test_a_claim_falls_due_on_a_bank_day(invoiced: date, days: int, due: date) -> None:
    """The due date moves forward to the next bank day, never back."""
    assert due_date(invoiced, days) == due
