"""Frame agreements against a walk up the tree: the nearest statement wins, "none" among them."""

from __future__ import annotations

from datetime import date
from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from rating.frames import (
    NONE,
    NOT_STATED,
    Frame,
    FrameTerm,
    frame_discounts,
    frame_percents,
    inherit,
)
from rating.tariff import parse_tariff
from rating.tariff_terms import TariffInvalid
from tests.rating.oracle import round_half_away
from tests.rating.tariffs import SMALL


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Places, each below an earlier one or none, in any numbering; and what they state."""
    count = draw(st.integers(0, 30))
    parent = [draw(st.integers(-1, place - 1)) for place in range(count)]
    name = draw(st.permutations(range(count)))
    renamed = [0] * count
    for place, above in enumerate(parent):
        renamed[name[place]] = -1 if above < 0 else name[above]
    stated = draw(st.lists(st.integers(-1, 3), min_size=count, max_size=count))
    return renamed, stated


@settings(deadline=None)
@given(trees())
def test_the_nearest_statement_wins(tree: tuple[list[int], list[int]]) -> None:
    """Deep or flat, numbered anyhow."""
    parent, stated = tree
    want = []
    for place in range(len(parent)):
        at = place
        while at >= 0 and stated[at] == NOT_STATED:
            at = parent[at]
        want.append(NOT_STATED if at < 0 else stated[at])
    assert inherit(np.array(parent, np.int64), np.array(stated, np.int64)).tolist() == want


def test_a_chain_of_a_thousand_units_inherits_from_its_top() -> None:
    """By doubling, not by walking."""
    parent = np.arange(-1, 999)
    stated = np.full(1000, NOT_STATED)
    stated[0] = 7
    assert (inherit(parent, stated) == 7).all()


@pytest.mark.parametrize("parent", [[0], [1, 0], [1, 2, 0, -1]])
def test_a_circle_is_refused(parent: list[int]) -> None:
    """Nobody is above himself."""
    with pytest.raises(Invalid, match="circle"):
        inherit(np.array(parent), np.full(len(parent), NOT_STATED))


def test_a_place_above_must_exist() -> None:
    """Or its terms would be somebody else's."""
    with pytest.raises(Invalid, match="does not exist"):
        inherit(np.array([3]), np.array([1]))


FRAMES = (
    Frame("KOMMUNE", None, (
        FrameTerm("voice", 20_000_000, date(2026, 1, 1)),
        FrameTerm("voice", 25_000_000, date(2026, 7, 1)),
        FrameTerm("data", 10_000_000, date(2026, 1, 1)),
    )),
    Frame("SKOLE", "KOMMUNE", (FrameTerm("voice", NONE, date(2026, 1, 1)),)),
    Frame("KLASSE", "SKOLE", (FrameTerm("data", 15_000_000, date(2026, 4, 1)),)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("day", "percents"),
    [
        (date(2025, 12, 31), [[-1, -1], [-1, -1], [-1, -1]]),
        (date(2026, 3, 1), [[20, 10], [0, 10], [0, 10]]),
        (date(2026, 4, 1), [[20, 10], [0, 10], [0, 15]]),
        (date(2026, 7, 1), [[25, 10], [0, 10], [0, 15]]),
    ],
)
def test_terms_are_dated_and_none_is_a_term(day: date, percents: list[list[int]]) -> None:
    """A school at list price for calls, with the municipality's terms for data."""
    got = frame_percents(FRAMES, ("voice", "data"), day)
    assert got.tolist() == [[p if p < 0 else p * 1_000_000 for p in row] for row in percents]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(2**61), 2**61), st.integers(0, 1), st.integers(-1, 2),
                  st.integers(-1, 10**8)), max_size=20,
    )
)  # fmt: skip
def test_discounts_agree_with_fractions(rows: list[tuple[int, int, int, int]]) -> None:
    """Own terms before the unit's; a refund takes its discount back."""
    amount, component, frame, own = np.array(rows, np.int64).reshape(-1, 4).T.copy()
    percents = frame_percents(FRAMES, ("voice", "data"), date(2026, 4, 1))
    got = frame_discounts(amount, component, frame, percents, own)
    for off, (size, which, unit, stated) in zip(got.tolist(), rows, strict=True):
        listed = int(percents[unit, which]) if unit >= 0 else NOT_STATED
        percent = stated if stated != NOT_STATED else max(listed, 0)
        assert off == round_half_away(Q(size * percent, 10**8))


SECTIONS = """
[[frame]]
id = "BEDRIFT"
  [[frame.term]]
  component = "voice"
  percent = "20"
  valid_from = 2026-01-01
[[frame]]
id = "SALG"
parent = "BEDRIFT"
  [[frame.term]]
  component = "month"
  none = true
  valid_from = 2026-01-01
"""
BASIS = 'price_basis = "gross"\n'
TARIFF = SMALL.replace(BASIS, f'{BASIS}frame = "SALG"\n', 1) + SECTIONS


def test_a_tariff_file_states_frames() -> None:
    """Who has the offering has the frame's terms."""
    tariff = parse_tariff(TARIFF.encode()).tariff
    assert tariff.offerings[0].frame == "SALG"
    components = ("voice", "month")
    got = frame_percents(tariff.frames, components, date(2026, 3, 1))
    assert got.tolist() == [[20_000_000, NOT_STATED], [20_000_000, NONE]]


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ('frame = "SALG"', 'frame = "X"', "offering[1].frame: there is no frame 'X'"),
        ('parent = "BEDRIFT"', 'parent = "X"', "frame[2].parent: there is no frame 'X'"),
        ('parent = "BEDRIFT"', 'parent = "SALG"', "go in a circle"),
        ("none = true", 'none = true\n  percent = "1"', "needs a percentage off, or none = true"),
        ("none = true", "", "needs a percentage off, or none = true"),
        ('component = "voice"\n  percent', 'component = "x"\n  percent', "no component 'x'"),
        ('id = "SALG"', 'id = "BEDRIFT"', "frame[2].id: BEDRIFT is given twice"),
    ],
)
def test_a_frame_that_hangs_nowhere_is_a_fault(wrong: str, right: str, told: str) -> None:
    """With its key path."""
    assert wrong in TARIFF
    with pytest.raises(TariffInvalid) as refused:
        parse_tariff(TARIFF.replace(wrong, right, 1).encode())
    assert told in str(refused.value)
