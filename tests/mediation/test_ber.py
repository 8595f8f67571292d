"""BER: the fast reader against the slow one, and both against octets that mean harm."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediation.formats import ber
from mediation.formats.ber import RECORD, Cells, Group, Malformed
from mediation.formats.lockstep import Grammar, padded, scan
from tests.mediation.octets import endless, tlv

_FILE = Group(
    groups={
        0xBF4F: Group(
            values={0x80: "type", 0x85: "id", 0x9F20: "reference"},
            groups={
                0xAA: Group(values={0x81: "reason"}),
                0xBF22: Group(
                    groups={0x30: Group(values={0x81: "group", 0x8C: "up"}, table="service")}
                ),
            },
        ),
        0xA0: Group(values={0x80: "type"}),
    }
)
_GRAMMAR = Grammar(_FILE)
_RECORD = tlv(
    0xBF4F,
    tlv(0x80, b"\x55"),
    tlv(0xA4, tlv(0x80, b"\x0a\x14\0\1")),
    tlv(0x85, b"\x1b\x59"),
    tlv(0xAA, tlv(0x81, b"\2")),
    tlv(0xBF22, tlv(0x30, tlv(0x81, b"\x64")), tlv(0x30, tlv(0x8C, b"\7"), tlv(0x81, b"\x65"))),
    tlv(0x9F20, b"\0\1"),
)

Read = tuple[Cells, list[tuple[str, Cells]]] | str


def _fast(records: list[bytes]) -> list[Read]:
    """Read records side by side, into the same shape as the slow reader gives."""
    raw = b"".join(records)
    end = np.cumsum([len(r) for r in records], dtype=np.int64)
    start = end - np.array([len(r) for r in records], np.int64)
    found = scan(raw, padded(raw), start, end, _GRAMMAR)
    readings: list[Read] = [({}, []) for _ in records]
    for name, table in found.tables.items():
        for row, owner in enumerate(table.owner.tolist()):
            cells = {
                value: (int(table.at[line, row]), int(table.size[line, row]))
                for line, value in enumerate(table.names)
                if table.size[line, row] >= 0
            }
            kept = readings[owner]
            assert not isinstance(kept, str)
            if name == RECORD:
                kept[0].update(cells)
            else:
                kept[1].append((name, cells))
    for index, why in found.broken.items():
        readings[index] = f"{why.offset}: {why}"
    return readings


def _slow(records: list[bytes]) -> list[Read]:
    """Read records one by one."""
    raw, at, readings = b"".join(records), 0, list[Read]()
    for record in records:
        try:
            reading = ber.read_record(raw, at, at + len(record), _FILE)
            readings.append((reading.cells, reading.rows))
        except Malformed as why:
            readings.append(f"{why.offset}: {why}")
        at += len(record)
    return readings


def test_a_record_is_read_to_where_its_values_lie() -> None:
    """Values are found at every level; repeated groups have a row each; others are stepped over."""
    [reading] = _fast([_RECORD])
    assert reading == _slow([_RECORD])[0]
    assert isinstance(reading, tuple)
    cells, rows = reading
    assert {name: _RECORD[at : at + size] for name, (at, size) in cells.items()} == {
        "type": b"\x55",
        "id": b"\x1b\x59",
        "reason": b"\2",
        "reference": b"\0\1",
    }
    assert [sorted(cells) for _, cells in rows] == [["group"], ["group", "up"]]


def test_indefinite_lengths_are_read() -> None:
    """A record of indefinite lengths holds the same values as one of definite lengths."""
    record = endless(
        0xBF4F, tlv(0x80, b"\x55"), endless(0xBF22, endless(0x30, tlv(0x81, b"\x64")), tlv(0x30))
    )
    [reading] = _fast([record])
    assert reading == ({"type": (5, 1)}, [("service", {"group": (13, 1)}), ("service", {})])
    assert list(ber.frames(record + _RECORD)) == [
        (0, len(record)),
        (len(record), len(record) + len(_RECORD)),
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "is empty"),
        (_RECORD + tlv(0x80, b"\1"), "left over"),
        (_RECORD[:-1], "are left"),
        (tlv(0xBF4F, tlv(0x80, b"\1"), tlv(0x80, b"\2")), "comes twice"),
        (tlv(0xBF4F, tlv(0xA0, tlv(0x80, b"\1"))), "constructed where a single value"),
        (tlv(0xBF4F, tlv(0x9F22, b"\1")), "single value where a group"),
        (tlv(0xBF4F, b"\0\0"), "End-of-contents"),
        (tlv(0xBF4F, b"\x80\x80\1\0\0"), "single value has indefinite length"),
        (tlv(0xBF4F, b"\x85\x84\xff\xff\xff\xff\1"), "are left"),
        (tlv(0xBF4F, b"\x85\x89" + bytes(12)), "too long"),
        (tlv(0xBF4F, b"\x9f\xff\xff\xff\xff\xff\1\0"), "tag does not end"),
        (tlv(0xBF4F, b"\x85"), "length is due"),
        (endless(0xBF4F, tlv(0x80, b"\1"))[:-2], "tag is due"),
        (tlv(0xBF4F, tlv(0xA4, tlv(0x80, b"\1")[:-1])), "are left"),
    ],
)
def test_a_malformed_record_is_refused_with_its_offset(record: bytes, reason: str) -> None:
    """Both readers say the same about a bad record, and the good one beside it survives."""
    good, bad = _fast([_RECORD, record])
    assert [good, bad] == _slow([_RECORD, record])
    assert isinstance(good, tuple)
    assert isinstance(bad, str)
    assert reason in bad


def test_deep_nesting_ends() -> None:
    """A bomb of nested elements is refused, definite or not, and costs no recursion."""
    bomb = b""
    while len(bomb) < 60_000:
        bomb = tlv(0xA4, bomb)
    for record in (tlv(0xBF4F, bomb), b"\xbf\x4f\x80" + b"\xa4\x80" * 30_000):
        assert _fast([record]) == _slow([record])
        assert "nest deeper" in str(_fast([record])[0])
    with pytest.raises(Malformed, match="nest deeper"):
        list(ber.frames(b"\xa0\x80" * 30_000))


def test_records_of_very_many_elements_are_read() -> None:
    """A long record among short ones neither holds them up nor loses its last value."""
    long = tlv(0xBF4F, tlv(0x86, b"") * 20_000, tlv(0x85, b"\1"))
    records = [_RECORD, long, _RECORD]
    assert _fast(records) == _slow(records)
    assert "id" in _fast(records)[1][0]


_TAGS = st.sampled_from([0x80, 0x81, 0x85, 0x8C, 0x9F20, 0x9F7F, 0x5F8144, 0x04, 0x9F05])
_GROUPS = st.sampled_from([0xA0, 0xA4, 0xAA, 0xBF22, 0x30, 0xBF4F, 0x7F8144])


def _built(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Elements around elements, of definite and of indefinite length."""
    around = st.sampled_from([tlv, tlv, tlv, endless])
    return st.builds(
        lambda make, tag, contents: make(tag, *contents), around, _GROUPS, st.lists(inner)
    )


_ELEMENTS = st.recursive(st.builds(tlv, _TAGS, st.binary(max_size=200)), _built, max_leaves=12)
_RECORDS = st.builds(lambda elements: tlv(0xBF4F, *elements), st.lists(_ELEMENTS)) | _ELEMENTS


@given(st.lists(_RECORDS, max_size=6))
def test_the_fast_reader_agrees_with_the_slow_one(records: list[bytes]) -> None:
    """Whatever elements a block holds, both readers find the same values and the same faults."""
    assert _rows_sorted(_fast(records)) == _rows_sorted(_slow(records))


@settings(max_examples=200)
@given(st.lists(_RECORDS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_both_readers_agree_about_damage(records: list[bytes], chance: random.Random) -> None:
    """Flipped bits, cut ends and added octets change the answer of both readers alike."""
    damaged = [_damage(record, chance) for record in [_RECORD, *records]]
    assert _rows_sorted(_fast(damaged)) == _rows_sorted(_slow(damaged))


@given(st.binary(max_size=60))
def test_framing_never_leaves_the_file(raw: bytes) -> None:
    """Frames lie back to back and cover the file, or the file is refused at an octet of it."""
    at, refused_at = 0, None
    try:
        for start, end in ber.frames(raw):
            assert start == at < end <= len(raw)
            at = end
    except Malformed as why:
        refused_at = why.offset
    assert at == len(raw) if refused_at is None else at <= refused_at <= len(raw)


def _damage(record: bytes, chance: random.Random) -> bytes:
    """Flip bits, cut the end off or add octets."""
    octets = bytearray(record)
    for _ in range(chance.randint(0, 3)):
        if octets:
            octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    cut = chance.choice([len(octets), len(octets), chance.randint(0, len(octets))])
    return bytes(octets[:cut]) + chance.randbytes(chance.choice([0, 0, 1, 5]))


def _rows_sorted(readings: list[Read]) -> list[object]:
    """Order the rows of each record by where their values lie, not by when a reader met them."""
    return [
        reading
        if isinstance(reading, str)
        else (reading[0], sorted((sorted(cells.items()) for _, cells in reading[1]), key=str))
        for reading in readings
    ]
