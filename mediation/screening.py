"""Screening: is this record new, an exact copy, or another record under the same key?

A record's key is what its network promises to be unique: for a packet session the node, charging
id, sequence and opening time; for a call the recording entity, call reference, sequence and answer
time; for a message the served number, reference and time. Keys are kept as 128 bits. If two keys
ever met by chance, the payloads would differ and the record would be suspended, not lost.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediation.records import DATA, SMS_MO, SMS_MT, Columns, Int64

FRESH, COPY, CONFLICT = 0, 1, 2

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SEEDS = (0x243F6A8885A308D3, 0x13198A2E03707344)


@dataclass(frozen=True, slots=True, eq=False)
class KeyBlock:
    """Keys and payload digests of records seen before, and where each was seen first."""

    keys: Int64  # (n, 2)
    digests: Int64  # (n, 2)
    file_id: Int64  # (n,)
    record_no: Int64  # (n,)

    @classmethod
    def none(cls) -> "KeyBlock":
        """Make a block of nothing."""
        pairs, singles = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
        return cls(pairs, pairs, singles, singles)

    @classmethod
    def join(cls, blocks: "list[KeyBlock]") -> "KeyBlock":
        """Lay blocks end to end."""
        if not blocks:
            return cls.none()
        return cls(*(np.concatenate([getattr(b, name) for b in blocks]) for name in cls.__slots__))

    def only(self, mask: NDArray[np.bool_]) -> "KeyBlock":
        """Give the records for which the mask is true."""
        return KeyBlock(*(getattr(self, name)[mask] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """The verdict per record, and for copies and conflicts the file and record of the first."""

    verdict: NDArray[np.int8]  # FRESH, COPY or CONFLICT
    of_file: Int64  # 0 where fresh
    of_record: Int64


def mix(seed: int, *columns: NDArray[Any]) -> Int64:
    """Mix integer columns into one 64-bit column (the finaliser of splitmix64, chained).

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    state = np.full(len(columns[0]), np.uint64(seed))
    for column in columns:
        state = state ^ column.astype(np.int64).view(np.uint64)
        state = state + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
        state = state ^ (state >> np.uint64(31))
    return state.view(np.int64)


def name_code(name: str) -> int:
    """Give a text as 64 bits, the same in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def record_keys(
    columns: Columns, nodes: tuple[str, ...], subject: str | None, digests: Int64
) -> Int64:
    """Build the keys of records.

    Parameters
    ----------
    columns : one row per record (first parts only).
    nodes, subject : of the decoded file.
    digests : (n, 2) payload digests; the key of a record whose format numbers nothing.

    Returns
    -------
    (n, 2) int64.
    """
    kind = columns["kind"]
    message = (kind == SMS_MO) | (kind == SMS_MT)
    numbered = np.where(message, columns["message_ref"], columns["chain_id"]) >= 0
    node_codes = np.array([name_code(node) for node in nodes], np.int64)
    whose = np.where(message, columns["msisdn"], node_codes[columns["node"]])
    number = np.where(message, columns["message_ref"], columns["chain_id"])
    family = np.where(message, 2, np.where(kind == DATA, 3, 1))
    subject_code = np.full(len(kind), name_code(subject or ""), np.int64)
    fields = (
        np.where(numbered, whose, digests[:, 0]),
        np.where(numbered, number, digests[:, 1]),
        np.where(numbered & ~message, columns["chain_seq"], -1),
        columns["started_at"],
        family,
        kind,
        subject_code,
    )
    return np.stack([mix(seed, *fields) for seed in _SEEDS], axis=1)


def meets(left: Int64, right: Int64) -> bool:
    """Tell whether two ascending columns have a value in common."""
    if not len(left) or not len(right):
        return False
    place = np.minimum(np.searchsorted(left, right), len(left) - 1)
    return bool((left[place] == right).any())


def screen(keys: Int64, digests: Int64, earlier: KeyBlock, file_id: int, first: Int64) -> Screened:
    """Tell fresh records from copies and conflicts, within the file and against earlier ones.

    Parameters
    ----------
    keys, digests : (n, 2) int64, in file order.
    earlier : records of other files; the caller gives at least those of the same days.
    file_id : of this file.
    first : (n,) record numbers.
    """
    count = len(keys)
    seen = KeyBlock.join(
        [earlier, KeyBlock(keys, digests, np.full(count, file_id, np.int64), first)]
    )
    # Stable: of equal keys the earlier file's record comes first, then file order.
    order = np.lexsort((seen.keys[:, 1], seen.keys[:, 0]))
    ordered = seen.keys[order]
    heads = np.ones(len(order), np.bool_)
    heads[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    origin = np.empty(len(order), np.int64)
    origin[order] = order[np.maximum.accumulate(np.where(heads, np.arange(len(order)), 0))]
    mine = np.arange(len(seen.keys) - count, len(seen.keys))
    original = origin[mine]
    fresh = original == mine
    same = (seen.digests[mine] == seen.digests[original]).all(axis=1)
    verdict = np.where(fresh, FRESH, np.where(same, COPY, CONFLICT)).astype(np.int8)
    return Screened(
        verdict,
        np.where(fresh, 0, seen.file_id[original]),
        np.where(fresh, 0, seen.record_no[original]),
    )
