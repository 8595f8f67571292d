"""Binding periods against fractions and calendars: linear, capped by law, anchored at the 31st."""

from __future__ import annotations

import calendar
from datetime import date
from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.binding import NO_START, binding_charges, remaining_charges, term_end
from rating.dated import day_number
from rating.tariff import parse_tariff
from rating.tariff_terms import TariffInvalid
from tests.rating.oracle import round_half_away
from tests.rating.tariffs import SMALL

BINDING = """
  [[offering.binding]]
  component = "start"
  months = 12
  charge = "2400.00"
[[binding_limit]]
valid_from = 2005-01-01
months = 12
"""
TARIFF = SMALL + BINDING
days = st.dates(date(2000, 1, 1), date(2040, 1, 1))


def slow_end(begun: date, months: int) -> date:
    """Count months on the calendar; a month without the day has its last instead."""
    year, month = divmod(begun.year * 12 + begun.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(begun.day, last))


@settings(deadline=None)
@given(st.lists(st.tuples(days, st.integers(0, 120)), max_size=20))
def test_terms_end_on_the_day_they_began(terms: list[tuple[date, int]]) -> None:
    """Or on the last of a shorter month; the anchor is kept over longer ones."""
    begun = np.array([day_number(day) for day, _ in terms], np.int64)
    ends = term_end(begun, np.array([months for _, months in terms], np.int64))
    assert ends.tolist() == [day_number(slow_end(*each)) for each in terms]


@pytest.mark.parametrize(
    ("months", "ends"),
    [(1, date(2026, 2, 28)), (2, date(2026, 3, 31)), (3, date(2026, 4, 30)),
     (25, date(2028, 2, 29))],
)  # fmt: skip
def test_a_term_that_begins_on_the_31st(months: int, ends: date) -> None:
    """31 January, 28 February, 31 March, 30 April, 29 February."""
    begun = np.array([day_number(date(2026, 1, 31))])
    assert term_end(begun, np.array([months])).tolist() == [day_number(ends)]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**10), days, st.integers(1, 800), st.integers(-5, 900)),
        max_size=20,
    )
)
def test_what_is_left_falls_in_a_straight_line(rows: list[tuple[int, date, int, int]]) -> None:
    """Whole on the first day, nothing from the end on, one rounding between."""
    charge, begun, length, after = (
        np.array([each if isinstance(each, int) else day_number(each) for each in column], np.int64)
        for column in (zip(*rows, strict=True) if rows else ([], [], [], []))
    )
    got = remaining_charges(charge, begun, begun + length, begun + after)
    for amount, (whole, _, term, passed) in zip(got.tolist(), rows, strict=True):
        left = term - min(max(passed, 0), term)
        assert amount == round_half_away(Q(whole * left, term))


def charged(tariff: str, begun: date | None, ceased: date, on: str = "cease") -> list[int]:
    """Charge one subscription; gives amount, days left and days of the term."""
    book = parse_tariff(tariff.encode())
    since = NO_START if begun is None else day_number(begun)
    found = binding_charges(
        book, np.array([len(book.offerings) - 1], np.int32), [on], np.array([since]),
        np.array([day_number(ceased)]),
    )  # fmt: skip
    return [
        int(n) for row in zip(found.amount_micro, found.days, found.of_days, strict=True)
        for n in row
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("begun", "ceased", "told"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), [2_400_000_000, 365, 365]),
        (date(2026, 1, 1), date(2026, 7, 2), [1_203_287_671, 183, 365]),
        (date(2026, 1, 1), date(2026, 12, 31), [6_575_342, 1, 365]),
        (date(2026, 1, 1), date(2027, 1, 1), []),
        (date(2024, 2, 29), date(2025, 2, 27), [6_575_342, 1, 365]),
        (None, date(2026, 7, 2), []),
    ],
)
def test_a_year_at_2400(begun: date | None, ceased: date, told: list[int]) -> None:
    """Day by day, to the last; nobody pays who is not known to be bound."""
    assert charged(TARIFF, begun, ceased) == told


def test_only_an_end_is_charged() -> None:
    """A change of offering within the term is not an end."""
    assert charged(TARIFF, date(2026, 1, 1), date(2026, 2, 1), on="change") == []


def test_the_law_of_the_first_day_shortens_a_consumer_term() -> None:
    """Terms from before a shorter limit keep theirs; businesses are bound as they agreed."""
    later = TARIFF + "[[binding_limit]]\nvalid_from = 2026-06-01\nmonths = 6\n"
    assert charged(later, date(2026, 5, 31), date(2026, 12, 31))[1:] == [151, 365]
    assert charged(later, date(2026, 6, 1), date(2026, 12, 1)) == []
    assert charged(later, date(2026, 6, 1), date(2026, 11, 30))[1:] == [1, 183]
    business = later.replace('price_basis = "gross"', 'price_basis = "net"')
    assert charged(business, date(2026, 6, 1), date(2026, 12, 1))[2] == 365


def test_a_consumer_term_longer_than_the_law_allows_is_a_fault() -> None:
    """In the file, before anybody signs."""
    with pytest.raises(TariffInvalid, match="consumers may be bound to 12 months at most"):
        parse_tariff(TARIFF.replace("months = 12\n  charge", "months = 24\n  charge").encode())
    parse_tariff(
        TARIFF.replace("months = 12\n  charge", "months = 24\n  charge")
        .replace('price_basis = "gross"', 'price_basis = "net"').encode()
    )  # fmt: skip


def test_days_are_counted_half_open() -> None:
    """The last day of the term is the day before its end."""
    begun = day_number(date(2026, 1, 1))
    last = day_number(date(2026, 12, 31))
    ends = term_end(np.array([begun]), np.array([12]))
    assert int(ends[0]) == last + 1
