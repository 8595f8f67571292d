"""Longest prefixes of texts against trying them one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from rating.prefixes import best_rows, compile_matches, compile_texts, intervals_of_texts
from rating.zones import compile_text_zones, encode_texts, zones_of_numbers

TEXTS = st.text("aæ1+", max_size=5)
MATCH = st.fixed_dictionaries({}, optional={k: st.lists(TEXTS, max_size=3) for k in ("x", "y")})


@given(st.dictionaries(TEXTS, st.integers(0, 9), max_size=8), st.lists(TEXTS, min_size=1))
def test_the_longest_prefix_owns_a_text(prefixes: dict[str, int], texts: list[str]) -> None:
    """Any alphabet, nested prefixes, the empty prefix and the empty text."""
    slow = [
        max(((len(p), o) for p, o in prefixes.items() if text.startswith(p)), default=(0, -1))[1]
        for text in texts
    ]
    compiled = compile_texts(prefixes)
    assert compiled.owners[intervals_of_texts(compiled, texts)].tolist() == slow
    codes, zones = compile_text_zones(prefixes)
    assert zones_of_numbers(zones, encode_texts(codes, texts)).tolist() == slow


@given(
    st.lists(st.tuples(MATCH, st.integers(0, 3), st.integers(0, 4)), max_size=6),
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6),
    st.integers(0, 4),
)
def test_keys_are_compared_in_their_order(
    rows: list[tuple[dict[str, list[str]], int, int]], records: list[tuple[str, str]], at: int
) -> None:
    """The longest first key wins, then the second; then the newest row, then the first."""
    valid_from = np.array([low for _, low, _ in rows], np.int64)
    valid_to = np.array([high for _, _, high in rows], np.int64)
    table = compile_matches([match for match, _, _ in rows], ["x", "y"], valid_from, valid_to)
    columns = [[record[0] for record in records], [record[1] for record in records]]
    found = best_rows(table, columns, np.full(len(records), at))
    assert found.tolist() == [_slow(rows, record, at) for record in records]


def _slow(
    rows: list[tuple[dict[str, list[str]], int, int]], record: tuple[str, str], at: int
) -> int:
    best: tuple[tuple[int, ...], int] | None = None
    for number, (match, low, high) in enumerate(rows):
        lengths = [
            max((len(p) for p in match.get(key, []) if text.startswith(p)), default=-1)
            for key, text in zip(("x", "y"), record, strict=True)
        ]
        rank = (*lengths, low)
        if min(lengths) >= 0 and low <= at < high and (best is None or rank > best[0]):
            best = (rank, number)
    return best[1] if best else -1


def test_a_text_with_a_nul_is_refused() -> None:
    """Columns of bytes would drop it at the end."""
    with pytest.raises(Invalid, match="NUL"):
        compile_texts({"a\0": 1})
