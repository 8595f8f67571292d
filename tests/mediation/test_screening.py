"""Copies are told from conflicts, and the first of equal keys is the one that is believed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediation.screening import CONFLICT, COPY, FRESH, KeyBlock, meets, mix, screen

records = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=20)


def _block(rows: list[tuple[int, int]], file_id: int) -> KeyBlock:
    keys = np.array([(key, -key) for key, _ in rows], np.int64).reshape(-1, 2)
    digests = np.array([(d, d) for _, d in rows], np.int64).reshape(-1, 2)
    count = len(rows)
    return KeyBlock(keys, digests, np.full(count, file_id, np.int64), np.arange(1, count + 1))


@given(records, records)
def test_screening_agrees_with_a_dictionary(
    before: list[tuple[int, int]], now: list[tuple[int, int]]
) -> None:
    """The first record under a key is fresh; later ones are copies or conflicts of that one."""
    unique = list({key: (key, digest) for key, digest in reversed(before)}.values())
    earlier, mine = _block(unique, 1), _block(now, 2)
    found = screen(mine.keys, mine.digests, earlier, 2, mine.record_no)
    seen = {key: (1, n, digest) for n, (key, digest) in enumerate(unique, 1)}
    for n, (key, digest) in enumerate(now, 1):
        place = (int(found.of_file[n - 1]), int(found.of_record[n - 1]))
        if key not in seen:
            seen[key] = (2, n, digest)
            assert found.verdict[n - 1] == FRESH
            assert place == (0, 0)
        else:
            assert place == seen[key][:2]
            assert found.verdict[n - 1] == (COPY if seen[key][2] == digest else CONFLICT)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=50, unique=True))
def test_mixing_keeps_different_values_apart(values: list[int]) -> None:
    """The mixer is a bijection of one column: no two inputs meet."""
    column = np.array(values, np.int64)
    assert len(set(mix(7, column).tolist())) == len(values)


@given(st.lists(st.integers(-9, 9)), st.lists(st.integers(-9, 9)))
def test_columns_meet_where_sets_do(left: list[int], right: list[int]) -> None:
    """The bisection says what the intersection of sets says."""
    columns = [np.unique(np.array(values, np.int64)) for values in (left, right)]
    assert meets(*columns) == bool(set(left) & set(right))
