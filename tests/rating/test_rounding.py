"""Rounding against Decimal and fractions, in every mode, at any scale, at the 64-bit border."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from rating.rounding import (
    FITS,
    Mode,
    Overflow,
    Rounding,
    by_magnitude,
    check_integers,
    divide,
    round_amounts,
    round_ratio,
)

DECIMAL_MODES = {
    Mode.UP: decimal.ROUND_UP,
    Mode.DOWN: decimal.ROUND_DOWN,
    Mode.HALF_UP: decimal.ROUND_HALF_UP,
    Mode.HALF_EVEN: decimal.ROUND_HALF_EVEN,
}


@given(st.lists(st.integers(-(2**61), 2**61)), st.integers(1, 1000), st.sampled_from(Mode))
def test_division_agrees_with_decimal(numerators: list[int], denominator: int, mode: Mode) -> None:
    """Whatever the sign, and at ties: multiples of half the denominator are among them."""
    numerators = [*numerators, *(k * denominator // 2 for k in range(-5, 6))]
    with decimal.localcontext(prec=60):
        slow = [
            int((Decimal(n) / denominator).to_integral_value(DECIMAL_MODES[mode]))
            for n in numerators
        ]
    fast = divide(np.array(numerators, np.int64), denominator, mode)
    assert fast.dtype == np.int64
    assert fast.tolist() == slow
    assert divide(np.array(numerators, object), denominator, mode).tolist() == slow


@given(st.lists(st.integers(-(10**15), 10**15)), st.sampled_from(Mode), st.integers(-8, 6))
def test_amounts_are_rounded_to_any_scale(amounts: list[int], mode: Mode, scale: int) -> None:
    """Millionths rounded to a scale are what Decimal quantises to."""
    with decimal.localcontext(prec=60):
        quantum = Decimal(1).scaleb(-scale)
        slow = [
            int((Decimal(a).scaleb(-6) / quantum).to_integral_value(DECIMAL_MODES[mode]) * quantum
                * 10**6)
            for a in amounts
        ]  # fmt: skip
    fast = round_amounts(np.array(amounts, np.int64), 10**6, Rounding(mode, scale))
    assert fast.tolist() == slow


@given(st.lists(st.integers(1 - 2**63, 2**63 - 1), min_size=1), st.integers(1, 2**62))
def test_no_numerator_wraps(numerators: list[int], denominator: int) -> None:
    """The whole range of int64 divides right, or is refused where the result is too large."""
    if max(map(abs, numerators)) * 2 >= (2 * FITS - 1) * denominator:
        with pytest.raises(Overflow):
            round_ratio(np.array(numerators, np.int64), denominator, 10**6)
        return
    fast = round_ratio(np.array(numerators, np.int64), denominator, 10**6)
    slow = [
        (1 if n > 0 else -1) * int(abs(Fraction(n, denominator)) + Fraction(1, 2))
        for n in numerators
    ]
    assert fast.tolist() == slow


@pytest.mark.parametrize("quantity", [FITS - 1, FITS, FITS + 1, 2**63 - 1, -(2**63)])
def test_rows_that_do_not_fit_are_computed_apart(quantity: int) -> None:
    """A row beyond the border goes through Python's integers and comes back exact."""
    rows = np.array([7, quantity], np.int64)
    halves = by_magnitude(lambda q: q * 4 // 16, rows, safe=FITS // 4)
    assert halves.tolist() == [1, quantity // 4]
    assert halves.dtype == np.int64


def test_a_result_that_does_not_fit_is_refused() -> None:
    """It is never wrapped, and the sentence says which figure."""
    with pytest.raises(Overflow, match="9223372036854775808"):
        by_magnitude(lambda q: q * 2, np.array([2**62], np.int64), safe=2**60)
    assert by_magnitude(lambda q: q * 2, np.array([2**62], object), safe=1)[0] == 2**63


def test_floats_and_small_integers_are_refused() -> None:
    """A float has lost money; int32 would wrap."""
    for dtype in (np.float64, np.int32, np.uint64):
        with pytest.raises(Invalid, match="int64"):
            check_integers(np.zeros(1, dtype), "Quantities")


def test_a_step_that_is_no_whole_number_of_units_is_refused() -> None:
    """Thirds of a krone cannot be rounded to øre in their own units."""
    with pytest.raises(Invalid, match="2 decimals"):
        round_amounts(np.array([1], np.int64), 3, Rounding(Mode.UP, 2))
