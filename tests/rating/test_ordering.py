"""Codes put in order: every fast way against Python's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.ordering import distinct, in_stable_order, matched, rising, runs


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


CODES = st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 20), max_size=20, unique=True)


@given(CODES, CODES, st.booleans(), st.booleans())
def test_shared_codes_are_matched_as_by_a_dictionary(
    one: list[int], other: list[int], ordered: bool, equal: bool
) -> None:
    """Columns that rise or do not, that are equal, that share some codes or none."""
    if equal:
        other = list(one)
    if ordered:
        one, other = sorted(one), sorted(other)
    left, right = np.array(one, np.int64), np.array(other, np.int64)
    here, there = matched(left, right)
    place = {code: number for number, code in enumerate(other)}
    slow = {(n, place[code]) for n, code in enumerate(one) if code in place}
    pairs = zip(np.arange(len(one))[here], np.arange(len(other))[there], strict=True)
    assert {(int(a), int(b)) for a, b in pairs} == slow
    assert len(left[here]) == len(slow)
    assert left[rising(left)].tolist() == sorted(one)
