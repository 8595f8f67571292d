"""Longest prefix of texts in columns: destinations of any alphabet, rows that match several keys.

The texts under a prefix are one interval of their byte order. Nested prefixes are flattened into
disjoint intervals; the longest prefix of a text is that of the interval it lies in, one binary
search away. `rating.zones` does the same with numbers, faster. Several keys are compared in their
order of importance, the longest match first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid
from rating.usage import Bool, Int32, Int64

Bound = TypeVar("Bound", int, bytes)
_LAST = b"\xff"  # no byte of UTF-8, and after all of them


@dataclass(frozen=True, slots=True, eq=False)
class TextMap:
    """Prefixes of texts compiled for look-up."""

    borders: NDArray[np.bytes_]  # (k,) first text of each interval, increasing; the first is empty
    owners: Int32  # (k,) which prefix decides there, -1 for none


@dataclass(frozen=True, slots=True, eq=False)
class MatchTable:
    """Rows that match records by prefixes of several keys, while they are valid."""

    maps: tuple[TextMap, ...]  # one per key, in order of importance
    lengths: tuple[Int32, ...]  # per key (intervals, rows): the longest match, -1 for none
    valid_from: Int64  # (rows,)
    valid_to: Int64


def compile_texts(prefixes: Mapping[str, int]) -> TextMap:
    """Compile prefixes of texts, each with the number of its owner, for look-up."""
    spans = ((_encoded(p), _encoded(p) + _LAST, owner) for p, owner in prefixes.items())
    found = flatten(spans, b"")
    return TextMap(
        np.array([border for border, _ in found], np.bytes_),
        np.array([owner for _, owner in found], np.int32),
    )


def intervals_of_texts(texts: TextMap, values: Sequence[str]) -> Int64:
    """Find the interval of each text: (n,) index into `texts.borders`."""
    encoded = np.array([_encoded(value) for value in values], np.bytes_)
    at: Int64 = np.searchsorted(texts.borders, encoded, side="right") - 1
    return at


def compile_matches(
    rows: Sequence[Mapping[str, Sequence[str]]],
    keys: Sequence[str],
    valid_from: Int64,
    valid_to: Int64,
) -> MatchTable:
    """Compile rows that match by prefixes.

    Parameters
    ----------
    rows : per row the prefixes of each key; a row without prefixes for a key never matches.
    keys : in order of importance.
    valid_from, valid_to : (rows,) half-open, of any clock.

    Memory is the sum over keys of intervals × rows: made for the thousands, not the millions.
    """
    maps, lengths = [], []
    for key in keys:
        own = [row.get(key, ()) for row in rows]
        distinct = sorted({prefix for prefixes in own for prefix in prefixes})
        texts = compile_texts({prefix: n for n, prefix in enumerate(distinct)})
        table = np.full((len(distinct) + 1, len(rows)), -1, np.int32)
        # A prefix inherits what shorter ones match; their order puts the shorter ones first.
        for n, prefix in enumerate(distinct):
            parent = max((m for m in range(n) if prefix.startswith(distinct[m])), default=-1)
            table[n] = table[parent]
            table[n, [prefix in prefixes for prefixes in own]] = len(prefix)
        maps.append(texts)
        lengths.append(table[texts.owners])
    return MatchTable(tuple(maps), tuple(lengths), valid_from, valid_to)


def best_rows(
    table: MatchTable, records: Sequence[Sequence[str]], at: Int64 | None = None
) -> Int64:
    """Find the row that matches each record best; -1 where none does.

    Parameters
    ----------
    records : one column of n texts per key, in the order of the keys.
    at : (n,) when, on the clock of the validity; None ignores validity.

    Among the rows that are valid and match in every key, the longest match in the first key wins,
    then in the second, and so on; then the row that became valid last, then the first of the table.
    """
    nodes = np.stack(
        [intervals_of_texts(m, column) for m, column in zip(table.maps, records, strict=True)]
    )
    found = np.empty(nodes.shape[1], np.int64)
    for n in range(nodes.shape[1]):
        matched = [lengths[node] for lengths, node in zip(table.lengths, nodes[:, n], strict=True)]
        alive = np.all([length >= 0 for length in matched], axis=0)
        if at is not None:
            alive &= (table.valid_from <= at[n]) & (at[n] < table.valid_to)
        found[n] = _best(alive, [*matched, table.valid_from])
    return found


def _best(alive: Bool, ranks: Sequence[NDArray[Any]]) -> int:
    """Narrow the rows down rank by rank; the first of those that are left, -1 for none."""
    if not alive.any():
        return -1
    for rank in ranks:
        alive = alive & (rank == rank[alive].max())
    return int(np.argmax(alive))


def flatten(spans: Iterable[tuple[Bound, Bound, int]], lowest: Bound) -> list[tuple[Bound, int]]:
    """Flatten nested half-open spans into (first of an interval, owner of the innermost span).

    Spans are nested or disjoint, never crossing; outside of all, the owner is -1.
    """
    owner_from: dict[Bound, int] = {lowest: -1}
    open_spans: list[tuple[Bound, int]] = []
    by_start = sorted(spans, key=lambda span: span[1], reverse=True)
    for low, high, owner in sorted(by_start, key=lambda span: span[0]):
        while open_spans and open_spans[-1][0] <= low:
            _close(open_spans, owner_from)
        owner_from[low] = owner
        open_spans.append((high, owner))
    while open_spans:
        _close(open_spans, owner_from)
    return sorted(owner_from.items())


def _close(open_spans: list[tuple[Bound, int]], owner_from: dict[Bound, int]) -> None:
    """End the innermost span: its parent's owner goes on, unless something starts right there."""
    end, _ = open_spans.pop()
    owner_from[end] = open_spans[-1][1] if open_spans else -1


def _encoded(text: str) -> bytes:
    if "\0" in text:
        raise Invalid("A text to match holds a NUL character.")
    # Half of a surrogate pair, which JSON can hold, is a text too; it matches itself.
    return text.encode("utf-8", "surrogatepass")
