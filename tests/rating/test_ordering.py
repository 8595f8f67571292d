"""Codes put in order: every fast way against Python's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.ordering import distinct, in_stable_order, runs


@pytest.mark.parametrize("bits", [3, 61, 62])
def test_a_stable_order_keeps_equal_codes_in_place(bits: int) -> None:
    """Codes that leave no room for their places are ordered all the same."""
    codes = np.array([3, 1, (1 << bits) - 1, 1, 0, 3, (1 << bits) - 1, 0], np.int64)
    slow = sorted(range(len(codes)), key=lambda row: codes[row])
    ordered, order = in_stable_order(codes, bits)
    assert order.tolist() == slow
    assert ordered.tolist() == sorted(codes.tolist())


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@given(st.lists(st.one_of(st.integers(-9, 9), st.integers(-(2**31), 2**31 - 1)), max_size=30))
def test_codes_are_told_apart_as_by_sorting(kind: type, codes: list[int]) -> None:
    """Codes close together, far apart and negative ones, all of a span, and none at all."""
    for column in (
        np.array(codes, kind), np.array([c % 7 for c in codes], kind),
        np.array([c % 2 for c in codes], kind),
    ):  # fmt: skip
        found, place = distinct(column)
        assert found.tolist() == sorted(set(column.tolist()))
        assert found[place].tolist() == column.tolist()


def test_runs_are_numbered_from_their_heads() -> None:
    """Equal neighbours are one run; the same code further on is another."""
    heads, number = runs(np.array([5, 5, 2, 5], np.int64))
    assert heads.tolist() == [0, 2, 3]
    assert number.tolist() == [0, 0, 1, 2]
    assert [len(column) for column in runs(np.zeros(0, np.int64))] == [0, 0]
