"""Longest prefix by table and search, against a dictionary tried from the longest length down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.zones import (
    compile_zones,
    decode_number,
    encode_numbers,
    zones_of_groups,
    zones_of_numbers,
)

DIGITS = st.text("0129", min_size=1, max_size=15)
NUMBERS = st.text("0129", max_size=18)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(DIGITS, st.integers(0, 5), max_size=25), st.lists(NUMBERS, max_size=40))
def test_look_up_agrees_with_trying_every_length(
    prefixes: dict[str, int], numbers: list[str]
) -> None:
    """Nested, adjacent, very long and very short prefixes all give the zone of the longest."""
    # The prefixes themselves, and their neighbours, are the numbers most likely to go wrong.
    numbers += [prefix + "1" for prefix in prefixes] + list(prefixes)
    found = zones_of_numbers(compile_zones(prefixes, {}), encode_numbers(numbers))
    slow = [
        next((prefixes[n[:k]] for k in range(15, 0, -1) if k <= len(n) and n[:k] in prefixes), -1)
        for n in numbers
    ]
    assert found.tolist() == slow


@given(st.lists(st.text("0123456789", max_size=15)))
def test_a_code_reads_back_as_its_number(numbers: list[str]) -> None:
    """Leading zeros and length survive; the empty number is 0."""
    assert [decode_number(code) for code in encode_numbers(numbers).tolist()] == numbers


@given(st.lists(st.text("0123456789", min_size=1, max_size=15), min_size=2))
def test_codes_sort_as_the_numbers_do(numbers: list[str]) -> None:
    """All numbers under a prefix are one interval because codes keep the order of texts."""
    codes = encode_numbers(numbers)
    assert [numbers[n] for n in np.argsort(codes, kind="stable")] == sorted(numbers)


@pytest.mark.parametrize("kind", [list, np.array, lambda n: np.array(n, "S20")])
def test_texts_arrays_and_bytes_give_the_same_codes(kind: object) -> None:
    """What is not digits is -1, no number is 0, and the sixteenth digit does not count."""
    numbers = ["4790000001", "", "+47900", "47 9", "1234567890123456", "123456789012345", "A"]
    codes = encode_numbers(kind(numbers)).tolist()  # type: ignore[operator]
    assert [code < 0 for code in codes] == [False, False, True, True, False, False, True]
    assert codes[1] == 0
    assert codes[4] == codes[5]


def test_what_is_no_code_has_no_zone() -> None:
    """Garbage in the column is no zone, also where a zone covers the highest prefix."""
    zones = compile_zones({"9": 1}, {})
    garbage = np.array([-1, 0, 11**15, 2**62, -(2**63)], np.int64)
    assert zones_of_numbers(zones, garbage).tolist() == [-1] * 5


@pytest.mark.parametrize("times", [1, 100])  # Searched for, and looked up in a table.
def test_rating_groups_are_looked_up_exactly(times: int) -> None:
    """A group between two declared ones, or beyond them, belongs to neither."""
    groups = np.tile(np.array([0, 99, 100, 150, 200, 201, 2**31 - 1, -(2**31)], np.int32), times)
    zones = compile_zones({}, {100: 0, 200: 1})
    expected = [-1, -1, 0, -1, 1, -1, -1, -1] * times
    assert zones_of_groups(zones, groups).tolist() == expected
    assert zones_of_groups(compile_zones({}, {}), groups).tolist() == [-1] * len(groups)
