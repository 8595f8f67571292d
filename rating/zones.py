"""Where a call goes: numbers as base-11 codes, longest prefix by table, rating groups of data.

A number is 15 base-11 digits, digit + 1, padded with 0 on the right: leading zeros count, a short
number never matches a longer prefix, and all numbers under a prefix are one interval of int64.
Nested prefixes become disjoint intervals; a table on the first six digits answers nearly every
look-up without a search. Tests compare with a dictionary.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rating.prefixes import TextMap, compile_texts, flatten, intervals_of_texts
from rating.usage import Int16, Int32, Int64

DIGITS = 15
_HEAD, _NEXT = 6, 2
_POWERS = 11 ** np.arange(DIGITS - 1, -1, -1, dtype=np.int64)
_TAIL = 11 ** (DIGITS - _HEAD)
_REST = 11 ** (DIGITS - _HEAD - _NEXT)
_OPEN = 11**_NEXT  # places that a head leaves open
_SEARCH = -2  # no table settles it
_NARROW = 2**15 - 3  # Zones and blocks below it fit in int16, and half the table in the cache.
_OPENED = -3  # and below: the next digits settle it, in block _OPENED - head

Codes = Int16 | Int32


@dataclass(frozen=True, slots=True, eq=False)
class ZoneMap:
    """The zones of one tariff book, compiled for look-up; -1 is no zone."""

    head: Codes  # (11**6 + 1,) zone by the first six digits, or _OPENED; (1,) _SEARCH: always
    opened: Codes  # (blocks * 11**2,) zone by the next two digits of opened heads, or _SEARCH
    borders: Int64  # (k,) first code of each interval
    border_zones: Int32  # (k,)
    groups: Int64  # (g,) rating groups, increasing
    group_zones: Int32  # (g,)


def encode_numbers(numbers: NDArray[Any] | Sequence[str] | Sequence[bytes]) -> Int64:
    """Encode numbers written as digits.

    Parameters
    ----------
    numbers : (n,) array of S or U, or a sequence of str or bytes: digits only, no plus sign.
        Digits after the fifteenth are cut; the empty text is no number.

    Returns
    -------
    (n,) int64 codes: 0 for no number, -1 for a text that holds anything but digits.

    >>> encode_numbers(["4790000001", "", "+47"]).tolist()
    [2206628991817481, 0, -1]
    """
    texts = np.asarray(numbers)
    if texts.size == 0:
        return np.zeros(0, np.int64)
    units, zero = (np.uint32, ord("0")) if texts.dtype.kind == "U" else (np.uint8, ord("0"))
    width = texts.dtype.itemsize // np.dtype(units).itemsize
    grid = np.ascontiguousarray(texts).view(units).reshape(len(texts), width)
    digits = grid.astype(np.int64) - zero
    present = grid != 0
    digits[~present] = -1
    foreign = ((digits < 0) | (digits > 9)) & present
    kept = digits[:, :DIGITS] + 1
    codes: Int64 = kept @ _POWERS[: kept.shape[1]]
    codes[foreign.any(axis=1)] = -1
    return codes


def decode_number(code: int) -> str:
    """Write a code as digits again; empty for no number.

    >>> decode_number(2206628991817481)
    '4790000001'
    """
    digits = []
    while code > 0:
        code, digit = divmod(code, 11)
        digits.append("" if digit == 0 else str(digit - 1))
    return "".join(reversed(digits))


def compile_zones(prefixes: Mapping[str, int], groups: Mapping[int, int]) -> ZoneMap:
    """Compile prefixes and rating groups, each with its zone, for look-up."""
    borders, zones = _intervals(prefixes)
    head, opened = _tables(prefixes)
    ordered = sorted(groups)
    return ZoneMap(
        head=head,
        opened=opened,
        borders=borders,
        border_zones=zones,
        groups=np.array(ordered, np.int64),
        group_zones=np.array([groups[group] for group in ordered], np.int32),
    )


def compile_text_zones(prefixes: Mapping[str, int]) -> tuple[TextMap, ZoneMap]:
    """Compile prefixes of any texts, each with its zone.

    Texts are encoded by the interval they lie in (`encode_texts`), which keeps their order.
    """
    texts = compile_texts(prefixes)
    none = np.zeros(0, np.int64)
    zones = ZoneMap(
        head=np.array([_SEARCH], np.int32),
        opened=none.astype(np.int32),
        borders=np.arange(1, len(texts.borders) + 1),
        border_zones=texts.owners,
        groups=none,
        group_zones=none.astype(np.int32),
    )
    return texts, zones


def encode_texts(texts: TextMap, values: Sequence[str]) -> Int64:
    """Encode texts for the zone map that was compiled with `texts`; codes start at 1."""
    return intervals_of_texts(texts, values) + 1


def zones_of_numbers(zones: ZoneMap, codes: Int64) -> Int32:
    """Find the zone of the longest prefix of each code; -1 where none matches.

    Parameters
    ----------
    codes : (n,) int64 of `encode_numbers`; what is not a number (0, negative) only has a zone if
        one takes everything, by the empty prefix.
    """
    sound = np.maximum(codes, 0).view(np.uint64)
    at = np.minimum(sound // np.uint64(_TAIL), np.uint64(len(zones.head) - 1)).view(np.int64)
    found: Int32 = zones.head[at].astype(np.int32)
    longer = np.flatnonzero(found <= _OPENED)
    if len(longer):
        rest = (sound[longer] // np.uint64(_REST)).view(np.int64) - at[longer] * _OPEN
        found[longer] = zones.opened[(_OPENED - found[longer].astype(np.int64)) * _OPEN + rest]
    unsettled = np.flatnonzero(found == _SEARCH)
    if len(unsettled):
        codes = sound[unsettled].view(np.int64)
        interval = np.searchsorted(zones.borders, codes, side="right") - 1
        found[unsettled] = zones.border_zones[interval]
    return found


def zones_of_groups(zones: ZoneMap, rating_group: Int32) -> Int32:
    """Find the zone of each rating group; -1 where none is declared."""
    if not len(zones.groups):
        return np.full(len(rating_group), -1, np.int32)
    lowest, highest = int(zones.groups[0]), int(zones.groups[-1])
    if highest - lowest < len(rating_group):  # A table between two places for what is beyond it.
        table = np.full(highest - lowest + 3, -1, np.int32)
        table[zones.groups - (lowest - 1)] = zones.group_zones
        return table.take(rating_group.astype(np.int64) - (lowest - 1), mode="clip")
    at = np.searchsorted(zones.groups, rating_group)
    at = np.minimum(at, len(zones.groups) - 1)
    return np.where(zones.groups[at] == rating_group, zones.group_zones[at], np.int32(-1))


def longest_prefix(prefixes: Iterable[str], number: str) -> str | None:
    """Name the prefix that decides, for the explanation of one event."""
    return max((p for p in prefixes if number.startswith(p)), key=len, default=None)


def _span(prefix: str) -> tuple[int, int]:
    """Give the half-open interval of codes under a prefix."""
    if not prefix:  # It starts every number, and is no number's own.
        return 0, 11**DIGITS
    low = sum((int(digit) + 1) * int(_POWERS[i]) for i, digit in enumerate(prefix))
    return low, low + int(_POWERS[len(prefix) - 1])


def _tables(prefixes: Mapping[str, int]) -> tuple[Codes, Codes]:
    """Paint short prefixes over the heads, longer ones over blocks of the heads they open.

    A block takes half a kilobyte; there are at most as many as prefixes of more than six digits.
    """
    head = np.full(11**_HEAD + 1, -1, np.int32)  # the last is for what is no code at all
    blocks: list[Int32] = []
    for prefix in sorted(prefixes, key=len):
        low, high = _span(prefix)
        if not prefix:
            head[:] = prefixes[prefix]
            continue
        if len(prefix) <= _HEAD:
            head[low // _TAIL : high // _TAIL] = prefixes[prefix]
            continue
        at = low // _TAIL
        if head[at] > _OPENED:
            blocks.append(np.full(_OPEN, head[at], np.int32))
            head[at] = _OPENED - (len(blocks) - 1)
        block, first = blocks[_OPENED - head[at]], low // _REST - at * _OPEN
        if len(prefix) <= _HEAD + _NEXT:
            block[first : high // _REST - at * _OPEN] = prefixes[prefix]
        else:
            block[first] = _SEARCH
    opened = np.concatenate(blocks) if blocks else np.zeros(0, np.int32)
    if max(int(head.max()), int(opened.max(initial=0)), len(blocks)) < _NARROW:
        return head.astype(np.int16), opened.astype(np.int16)
    return head, opened


def _intervals(prefixes: Mapping[str, int]) -> tuple[Int64, Int32]:
    """Flatten nested prefixes into disjoint intervals, each with the zone of its longest prefix."""
    found = flatten(((*_span(prefix), zone) for prefix, zone in prefixes.items()), 0)
    return np.array([low for low, _ in found], np.int64), np.array([z for _, z in found], np.int32)
