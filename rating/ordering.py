"""Rows put together by integer codes: sorted, counted off, cut into runs; always stable."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rating.usage import Int64

STRETCH = 16_384  # rows whose columns stay in the cache
_FITS_BITS = 62


def in_stable_order(code: Int64, bits: int) -> tuple[Int64, Int64]:
    """Sort codes of so many bits; gives them and where each was. Equal ones keep their order."""
    place_bits = len(code).bit_length()
    if bits + place_bits > _FITS_BITS:
        order = np.argsort(code, kind="stable")
        return code[order], order
    # Sorting integers is several times faster than sorting the places of integers.
    packed = code << place_bits
    packed |= np.arange(len(code))
    packed.sort()
    return packed >> place_bits, packed & ((1 << place_bits) - 1)


def distinct(codes: NDArray[np.integer[Any]]) -> tuple[Int64, Int64]:
    """Give the different codes in rising order, and the place of each row's among them.

    As `np.unique` with its inverse. Codes mostly lie close together; then they are ticked off in a
    table instead of being sorted.
    """
    lowest, highest = (int(codes.min()), int(codes.max())) if len(codes) else (0, 0)
    span = highest - lowest + 1
    if span > 4 * len(codes):
        found, place = np.unique(codes, return_inverse=True)
        return found.astype(np.int64), place
    at = codes.astype(np.int64)
    if lowest:
        at -= lowest
    seen = np.zeros(span, np.bool_)
    seen[at] = True
    if seen.all():
        return np.arange(lowest, highest + 1), at
    ranks = np.cumsum(seen) - 1
    for begin in range(0, len(at), STRETCH):  # In place: no second column of this length.
        rows = slice(begin, begin + STRETCH)
        at[rows] = ranks[at[rows]]
    return np.flatnonzero(seen) + lowest, at


def rising(codes: Int64) -> Int64 | slice:
    """Give the places of codes in rising order; a slice where they rise as they stand."""
    if (codes[1:] > codes[:-1]).all():
        return slice(None)
    return np.argsort(codes, kind="stable")


def matched(one: Int64, other: Int64) -> tuple[Int64 | slice, Int64 | slice]:
    """Find the codes that two columns share, each of which has every code once.

    Returns
    -------
    Where the shared codes stand in the one and in the other column, pair by pair; slices where the
    columns are equal.
    """
    if np.array_equal(one, other):
        return slice(None), slice(None)
    first, second = rising(one), rising(other)
    codes = np.concatenate([one[first], other[second]])
    order = np.argsort(codes, kind="stable")  # Two rising runs are merged, not sorted.
    codes = codes[order]
    pair = np.flatnonzero(codes[1:] == codes[:-1])
    here, there = order[pair], order[pair + 1] - len(one)
    return (
        here if isinstance(first, slice) else first[here],
        there if isinstance(second, slice) else second[there],
    )


def heads_of(bucket: Int64) -> Int64:
    """Give the first row of each run of equal buckets."""
    first = np.ones(len(bucket), np.bool_)
    first[1:] = bucket[1:] != bucket[:-1]
    return np.flatnonzero(first)


def runs(code: Int64) -> tuple[Int64, Int64]:
    """Give the first place of each run of equal codes, and the number of each place's run."""
    heads = heads_of(code)
    return heads, np.repeat(np.arange(len(heads)), np.diff(heads, append=len(code)))
