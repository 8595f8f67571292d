"""A chain is whole when its parts run from one to a last without a hole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediation.partials import NO_CHAIN, find_chains

parts = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(1, 4), st.booleans()),
    max_size=12,
    unique_by=lambda part: part[:3],
)


def _slow(rows: list[tuple[int, int, int, bool]]) -> list[int]:
    """Walk the parts of each chain in time and keep a list of the one that is growing."""
    first = [NO_CHAIN] * len(rows)
    for key in {row[0] for row in rows}:
        mine = sorted(
            (n for n, row in enumerate(rows) if row[0] == key), key=lambda n: rows[n][1:3]
        )
        growing: list[int] = []
        for n in [*mine, None]:
            if n is None or rows[n][2] == 1:
                sequence = [rows[m][2] for m in growing]
                lasts = [rows[m][3] for m in growing]
                if (
                    growing
                    and sequence == list(range(1, len(growing) + 1))
                    and lasts == [False] * (len(growing) - 1) + [True]
                ):
                    for m in growing:
                        first[m] = growing[0]
                growing = []
            if n is not None:
                growing.append(n)
    return first


@given(parts)
def test_whole_chains_are_found_as_by_hand(rows: list[tuple[int, int, int, bool]]) -> None:
    """The columns give what walking the parts one by one gives."""
    columns = [np.array([row[n] for row in rows], np.int64) for n in range(3)]
    last = np.array([row[3] for row in rows], np.bool_)
    assert find_chains(*columns, last).first.tolist() == _slow(rows)
