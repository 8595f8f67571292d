"""The rounding policy, against what everybody trusts: Decimal and Fraction."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.money import (
    format_amount,
    largest_remainder,
    parse_amount,
    round_half_away,
)


@given(st.lists(st.integers(-(2**60), 2**60)), st.integers(1, 10**6))
def test_round_half_away_agrees_with_decimal(micro: list[int], unit: int) -> None:
    """The vectorised rule gives what Decimal gives, for any sign and any tie."""
    slow = [int((Decimal(a) / unit).quantize(Decimal(1), ROUND_HALF_UP)) for a in micro]
    assert round_half_away(np.array(micro, np.int64), unit).tolist() == slow


def test_floats_are_refused() -> None:
    """A float has already lost øre; it does not come in by the back door of an array."""
    with pytest.raises(Invalid, match="int64"):
        round_half_away(np.array([1.0]), 10_000)  # type: ignore[arg-type]


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_a_split_loses_nothing(total: int, weights: list[int]) -> None:
    """Parts sum to the total, and none is off its exact share by a whole unit."""
    if not any(weights):
        weights = [*weights, 1]
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(st.integers(-(10**15), 10**15))
def test_amounts_survive_writing_and_reading(minor: int) -> None:
    """What is written is read back."""
    assert parse_amount(format_amount(minor)) == minor


@pytest.mark.parametrize(
    "text", [1234.5, 12, None, "", "1,5", "1.234", "1e3", "+1", " 1", "٣", "1" * 16, "NaN"]
)
def test_what_is_no_amount_is_refused(text: object) -> None:
    """Numbers, exponents, other digits and more decimals than the currency has are refused."""
    with pytest.raises(Invalid):
        parse_amount(text)
