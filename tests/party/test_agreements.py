"""Who had what when: bisection against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from party.agreements import FOREVER, NO_INTERVALS, Agreements, Intervals

Row = tuple[int, int, int, int]  # key, from, to, value


@st.composite
def _rows(draw: st.DrawFn) -> list[Row]:
    """Intervals that do not overlap per key, some adjacent, some empty, some without an end."""
    rows: list[Row] = []
    for key in draw(st.lists(st.integers(-3, 2**62), unique=True, max_size=5)):
        cuts = sorted(draw(st.lists(st.integers(0, 40), min_size=2, max_size=8)))
        used = [draw(st.booleans()) for _ in cuts[1:]]
        rows += [
            (key, start, end, value)
            for value, (start, end, kept) in enumerate(zip(cuts, cuts[1:], used, strict=False))
            if kept
        ]
        if draw(st.booleans()):
            rows.append((key, cuts[-1], FOREVER, 99))
    return draw(st.permutations(rows))


def _intervals(rows: list[Row]) -> Intervals:
    return Intervals.of(*np.array(rows, np.int64).reshape(-1, 4).T)


@given(_rows(), st.lists(st.tuples(st.integers(-4, 2**62), st.integers(-5, 50)), max_size=20))
def test_bisection_agrees_with_a_loop(rows: list[Row], asked: list[tuple[int, int]]) -> None:
    """Whatever the order of the rows, each question has the answer of the interval around it."""
    asked += [(key, start + shift) for key, start, _, _ in rows for shift in (-1, 0, 1)]
    slow = [
        next((v for key, start, end, v in rows if key == k and start <= t < end), -1)
        for k, t in asked
    ]
    questions = np.array(asked, np.int64).reshape(-1, 2).T
    assert _intervals(rows).at(*questions).tolist() == slow


def test_a_reused_number_never_inherits() -> None:
    """Between two holders nobody has the number; each instant of change belongs to the next."""
    held = _intervals([(47, 100, 200, 1), (47, 300, FOREVER, 2)])
    instants = np.array([99, 100, 199, 200, 299, 300, 2**40], np.int64)
    assert held.at(np.full(7, 47, np.int64), instants).tolist() == [-1, 1, 1, -1, -1, 2, 2]


def test_overlapping_holders_are_refused() -> None:
    """Two holders at an instant would make the answer a matter of luck."""
    with pytest.raises(Invalid, match="overlap"):
        _intervals([(47, 100, 200, 1), (47, 199, 300, 2)])


def test_instants_out_of_range_are_refused() -> None:
    """An interval that starts before 1970 is a fault in what was read."""
    with pytest.raises(Invalid):
        _intervals([(47, -1, 200, 1)])


def test_nothing_known_finds_nobody() -> None:
    """An empty register, and a kind of number that nobody has, answer -1."""
    agreements = Agreements({}, NO_INTERVALS, NO_INTERVALS, ())
    asked = np.array([1, 2], np.int64)
    assert agreements.find("iccid", asked, asked).tolist() == [-1, -1]
    assert agreements.offerings_at(asked, asked).dtype == np.int32
    assert agreements.payers_at(asked, asked).tolist() == [-1, -1]
