"""Records of one BER family, block by block, into the columns of a whole file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mediation.formats.fields import Block
from mediation.formats.lockstep import BLOCK_RECORDS, Grammar, padded, scan
from mediation.formats.problems import BrokenFile
from mediation.records import (
    COLUMNS,
    DETAILS,
    UNDECODABLE,
    UNSUPPORTED_RECORD,
    Bool,
    Columns,
    Decoded,
    Fault,
    FileHeader,
    Int64,
    Octets,
    fill_columns,
    join_columns,
)

_NODES_MAX = 2**15 - 1  # The column `node` has 16 bits; no operator has so many.


@dataclass
class Parts:
    """The rows that a family makes of a block: `record` is the index in the block, ascending."""

    record: Int64
    values: Mapping[str, Any]  # columns of records.COLUMNS
    details: Mapping[str, Any]  # columns of records.DETAILS
    nodes: list[bytes]  # what the column `node` points into
    apns: list[bytes] = field(default_factory=lambda: [b""])  # what the detail `apn` points into


@dataclass(frozen=True)
class Family:
    """A family of records that share a file: their grammar, and how a block becomes rows."""

    name: str
    grammar: Grammar
    details: tuple[str, ...]
    wanted: Callable[[Octets, Int64, Int64], Bool]  # octets, start, end -> is of a kind we read
    kind_name: Callable[[bytes, int, int], str]  # raw, start, end -> what an unread record is
    parts: Callable[[Block], Parts]
    node_name: Callable[[bytes], str]


@dataclass(frozen=True)
class Frames:
    """Where the records of a file lie, and what is wrong with frames that hold none we may read."""

    start: Int64  # (n,) offset of the record, behind any header of its own
    end: Int64  # (n,)
    refused: Mapping[int, Fault] = field(default_factory=dict)  # index -> fault


def decode_frames(raw: bytes, frames: Frames, family: Family, header: FileHeader) -> Decoded:
    """Decode the framed records of a file; a record that cannot be read becomes a fault."""
    octets = padded(raw)
    faults = dict(frames.refused)
    wanted = family.wanted(octets, frames.start, frames.end)
    wanted[np.fromiter(faults, np.int64, len(faults))] = False
    for index in np.flatnonzero(~wanted).tolist():
        if index not in faults:
            faults[index] = _unread(raw, frames, index, family)
    reader = _Reader(family)
    todo = np.flatnonzero(wanted)
    for first in range(0, len(todo), BLOCK_RECORDS):
        rows = todo[first : first + BLOCK_RECORDS]
        start, end = frames.start[rows], frames.end[rows]
        block = Block(octets, start, scan(raw, octets, start, end, family.grammar))
        reader.add(block, rows, start, end)
        for row, (at, sentence) in block.wrong.items():
            faults[int(rows[row])] = _undecodable(frames, int(rows[row]), at, sentence)
    return reader.finish(header, [faults[i] for i in sorted(faults)], len(frames.start))


class _Reader:
    """Collects the rows of blocks and numbers the names that occur across them."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._blocks: list[Columns] = []
        self._details: list[Columns] = []
        self._nodes: dict[str, int] = {}
        self._apns: dict[str, int] = {}

    def add(self, block: Block, index: Int64, start: Int64, end: Int64) -> None:
        """Add the rows of a block, leaving out its wrong records."""
        parts = self._family.parts(block)
        good = np.ones(len(start), np.bool_)
        good[np.fromiter(block.wrong, np.int64, len(block.wrong))] = False
        keep = good[parts.record]
        record = parts.record[keep]
        values = {name: column[keep] for name, column in parts.values.items()}
        values |= {
            "record_no": index[record] + 1,
            "part_no": _count_within(record) + 1,
            "offset": start[record],
            "length": (end - start)[record],
        }
        nodes = [self._family.node_name(name) for name in parts.nodes]
        values["node"] = _renumber(self._nodes, nodes, values["node"])
        if len(self._nodes) > _NODES_MAX:
            raise BrokenFile(
                f"More than {_NODES_MAX} nodes are named, the last at offset {int(start[-1])}. "
                "Ask the file's source what it is.",
                offset=int(start[-1]),
            )
        details = {name: parts.details[name][keep] for name in self._family.details}
        if "apn" in details:
            apns = [as_text(name) for name in parts.apns]
            details["apn"] = _renumber(self._apns, apns, details["apn"])
        self._blocks.append(fill_columns(len(record), values))
        self._details.append({n: c.astype(DETAILS[n]) for n, c in details.items()})

    def finish(self, header: FileHeader, faults: list[Fault], count: int) -> Decoded:
        """Join the blocks to a whole file."""
        return Decoded(
            header=header,
            columns=join_columns(self._blocks, COLUMNS),
            nodes=tuple(self._nodes),
            faults=tuple(faults),
            record_count=count,
            details=join_columns(self._details, {n: DETAILS[n] for n in self._family.details}),
            apns=tuple(self._apns) or ("",),
        )


def _renumber(known: dict[str, int], names: list[str], index: Int64) -> Int64:
    """Turn indices into the names of a block into indices into the names of the file."""
    used = np.flatnonzero(np.bincount(index, minlength=len(names))).tolist()
    numbers = np.zeros(len(names), np.int64)
    for place in used:
        numbers[place] = known.setdefault(names[place], len(known))
    return numbers[index]


def _count_within(record: Int64) -> Int64:
    """Count 0, 1, 2 ... within each run of equal record indices."""
    places = np.arange(len(record))
    first = np.ones(len(record), np.bool_)
    first[1:] = record[1:] != record[:-1]
    return places - np.maximum.accumulate(np.where(first, places, 0))


def _undecodable(frames: Frames, index: int, at: int, sentence: str) -> Fault:
    start, end = int(frames.start[index]), int(frames.end[index])
    return Fault(index + 1, start, end - start, UNDECODABLE, sentence, at)


def _unread(raw: bytes, frames: Frames, index: int, family: Family) -> Fault:
    start, end = int(frames.start[index]), int(frames.end[index])
    if start >= end:
        return Fault(index + 1, start, 0, UNDECODABLE, "The record is empty.", start)
    kind = family.kind_name(raw, start, end)
    sentence = f"{kind} is not read yet; the record is kept as it is."
    return Fault(index + 1, start, end - start, UNSUPPORTED_RECORD, sentence, start)


def as_text(name: bytes) -> str:
    """Read a name as ASCII; what is not ASCII is shown as escapes."""
    return name.decode("ascii", "backslashreplace")
