"""Charges: exact sums, and øre that tie however the events are split over batches."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.charges import Booked, ChargeOverflow, deltas, rounded, sum_by_key

LARGE = st.integers(-(2**62), 2**62)


@given(st.lists(st.tuples(st.integers(0, 3), LARGE), max_size=30))
def test_sums_are_exact_or_refused(pairs: list[tuple[int, int]]) -> None:
    """A sum that does not fit in 64 bits is an error, never another number."""
    exact = [sum(amount for key, amount in pairs if key == k) for k in range(4)]
    key = np.array([key for key, _ in pairs], np.int64)
    amounts = np.array([amount for _, amount in pairs], np.int64)
    if all(-(2**63) <= total < 2**63 for total in exact):
        assert sum_by_key(key, amounts, 4).tolist() == exact
    else:
        with pytest.raises(ChargeOverflow):
            sum_by_key(key, amounts, 4)


@given(
    st.lists(st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=3), max_size=8),
    st.sampled_from([0, 1500, 2500]),
)
def test_batches_add_up_to_one_rounding(batches: list[list[int]], rate: int) -> None:
    """Whatever the split, each key stands at the rounding of its exact sum."""
    gross = np.array([True, False, True])
    rates = np.array([rate, 2500, 2500])
    booked = Booked.nothing(3)
    for added in batches:
        step = deltas(booked, booked.micro + np.array(added, np.int64), gross, rates)
        booked = Booked(*(getattr(booked, n) + getattr(step, n) for n in Booked.__slots__))
    total = np.array([sum(b[k] for b in batches) for k in range(3)], np.int64)
    for name in Booked.__slots__:
        assert (
            getattr(booked, name).tolist() == getattr(rounded(total, gross, rates), name).tolist()
        )


@given(st.integers(-(10**14), 10**14), st.sampled_from([0, 1200, 1500, 2500]))
def test_a_gross_key_is_rounded_in_gross_and_split_once(micro: int, rate: int) -> None:
    """Gross is what the customer was promised; the net share follows from it."""
    found = rounded(np.array([micro]), np.array([True]), np.array([rate]))
    gross = (Decimal(micro) / 10_000).quantize(Decimal(1), ROUND_HALF_UP)
    net = (gross * 10_000 / (10_000 + rate)).quantize(Decimal(1), ROUND_HALF_UP)
    assert (found.minor_gross.tolist(), found.minor_net.tolist()) == ([gross], [net])


def test_twenty_items_at_one_twentynine_are_twentyfive_eighty() -> None:
    """299.00 stays 299.00 as well: consumer prices are not rebuilt from nets."""
    micro = np.array([20 * 1_290_000, 299_000_000])
    found = rounded(micro, np.array([True, True]), np.array([2500, 2500]))
    assert found.minor_gross.tolist() == [25_80, 299_00]
    assert found.minor_net.tolist() == [20_64, 239_20]


def test_the_same_total_again_books_nothing() -> None:
    """A second rating of the same events has nothing to post."""
    state = rounded(np.array([1_234_567]), np.array([True]), np.array([2500]))
    again = deltas(state, np.array([1_234_567]), np.array([True]), np.array([2500]))
    assert [getattr(again, name).tolist() for name in Booked.__slots__] == [[0], [0], [0]]
