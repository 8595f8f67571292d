"""Monthly prices by days and prices of orders."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.recurring import (
    NOT_AGREED,
    month_span,
    one_off_charges,
    recurring_charges,
)
from rating.rounding import Overflow, share_of
from rating.tariff import TariffBook, compile_tariff, parse_tariff
from rating.tariff_terms import OneOff, Recurring
from tests.rating.oracle import round_half_away
from tests.rating.tariffs import SMALL, with_terms

FOREVER = 2**40


@pytest.fixture(scope="module")
def book() -> TariffBook:
    """Two monthly prices, one by days and one flat, and prices on three occasions."""
    terms = (Recurring("month", 299_000_000, "days"), Recurring("start", 10_000_000, "none"))
    orders = (
        OneOff("add", "start", 99_000_000),
        OneOff("addon", "start", 79_000_000),
        OneOff("addon", "month", 1_000_000),
    )
    return compile_tariff(with_terms(parse_tariff(SMALL.encode()).tariff, terms, orders))


@given(st.integers(-(2**56), 2**56), st.integers(1, 31), st.integers(0, 31))
def test_a_share_of_a_month_is_exact_and_rounded_once(full: int, of_days: int, days: int) -> None:
    """Half away from zero, for credits as for charges."""
    days = min(days, of_days)
    share = share_of(np.array([full]), np.array([days]), of_days)
    assert share.tolist() == [round_half_away(Fraction(full * days, of_days))]


def test_a_whole_month_is_the_price_and_a_part_is_its_days(book: TariffBook) -> None:
    """1 to 31 March is all of it; from the 15th it is 17 of 31 days; a flat price is flat."""
    first, after = month_span("2026-03")
    charges = recurring_charges(
        book, "2026-03", np.zeros(4, np.int32),
        np.array([0, first + 14, after, first]), np.array([FOREVER, FOREVER, FOREVER, first]),
    )  # fmt: skip
    assert charges.source.tolist() == [0, 0, 1, 1]
    assert [book.components[c] for c in charges.component] == ["month", "start"] * 2
    by_days = round_half_away(Fraction(299_000_000 * 17, 31))
    assert charges.amount_micro.tolist() == [299_000_000, 10_000_000, by_days, 10_000_000]
    assert charges.days.tolist() == [31, 1, 17, 1]
    assert charges.of_days.tolist() == [31, 1, 31, 1]


def test_stretches_of_a_month_cost_what_the_month_costs(book: TariffBook) -> None:
    """Changing offering and back on the same day leaves no gap and no overlap of days."""
    first, after = month_span("2026-02")
    edges = np.array([first, first + 3, first + 20, after])
    charges = recurring_charges(book, "2026-02", np.zeros(3, np.int32), edges[:-1], edges[1:])
    assert charges.days[::2].sum() == 28


def test_an_agreed_price_takes_the_place_of_the_first_monthly_price(book: TariffBook) -> None:
    """Also when it is zero; the list price where none was agreed."""
    first, after = month_span("2026-03")
    charges = recurring_charges(
        book, "2026-03", np.zeros(3, np.int32), np.full(3, first), np.full(3, after),
        np.array([199_000_000, 0, NOT_AGREED]),
    )  # fmt: skip
    assert charges.amount_micro[::2].tolist() == [199_000_000, 0, 299_000_000]


def test_orders_cost_what_their_occasion_costs(book: TariffBook) -> None:
    """A change has no price here, an add-on two, of which one can be agreed."""
    occasions = ["add", "change", "addon", "addon"]
    agreed = np.array([1_000, NOT_AGREED, 50_000_000, NOT_AGREED])
    charges = one_off_charges(book, np.zeros(4, np.int32), occasions, agreed)
    assert charges.source.tolist() == [0, 2, 2, 3, 3]
    assert charges.amount_micro.tolist() == [
        99_000_000, 50_000_000, 1_000_000, 79_000_000, 1_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize("period", ["2024-02", "2026-12", "2026-02"])
def test_a_month_is_half_open(period: str) -> None:
    """Leap years and December included."""
    first, after = month_span(period)
    days = [
        date.fromordinal(date(1970, 1, 1).toordinal() + day) for day in (first, after - 1, after)
    ]
    assert [day.strftime("%Y-%m") for day in days[:2]] == [period] * 2
    assert days[2].day == 1


def test_a_price_beyond_reason_is_refused() -> None:
    """A price whose part does not fit is refused; a product with the days that does not, is not."""
    assert share_of(np.array([2**61]), np.array([31]), 31).tolist() == [2**61]
    with pytest.raises(Overflow):
        share_of(np.array([2**61]), np.array([62]), 31)


def test_a_flat_price_is_charged_once_however_often_the_payer_changed(book: TariffBook) -> None:
    """By days each stretch pays its own; a flat price goes with the subscription's first one."""
    first, after = month_span("2026-03")
    half = first + 15
    charges = recurring_charges(
        book, "2026-03", np.zeros(3, np.int32),
        np.array([half, first, half]), np.array([after, half, after]),
        subscription=np.array([7, 7, 8]),
    )  # fmt: skip
    flat = charges.of_days == 1
    assert charges.source[flat].tolist() == [1, 2]
    assert charges.amount_micro[flat].tolist() == [10_000_000, 10_000_000]
    assert charges.days[~flat].tolist() == [16, 15, 16]
