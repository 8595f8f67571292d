"""Switch records: CallEventRecord of TS 32.298 (circuit-switched calls and short messages).

A switch writes them back to back; some fill blocks of 512 octets with 0xFF instead of letting a
record cross a block.
"""

import re
from collections.abc import Iterator

import numpy as np

from mediation.formats import numbers
from mediation.formats.ber import Group, Malformed, element_end
from mediation.formats.blocks import Family, Frames, Parts, decode_frames
from mediation.formats.fields import Block
from mediation.formats.lockstep import Grammar
from mediation.records import (
    SMS_MO,
    SMS_MT,
    VOICE_MO,
    VOICE_MT,
    Bool,
    Decoded,
    FileHeader,
    Int64,
    Octets,
)

BLOCK_OCTETS = 512
FILL = 0xFF

_MO_CALL = Group(
    values={
        0x80: "recordType",
        0x81: "servedIMSI",
        0x83: "servedMSISDN",
        0x85: "other",  # calledNumber
        0x89: "recordingEntity",
        0x96: "seizureTime",
        0x97: "time",  # answerTime
        0x99: "duration",
        0x9E: "cause",
        0x9F20: "callReference",
        0x9F21: "sequenceNumber",
    }
)
_MT_CALL = Group(
    values={
        0x80: "recordType",
        0x81: "servedIMSI",
        0x83: "servedMSISDN",
        0x84: "other",  # callingNumber
        0x86: "recordingEntity",
        0x93: "seizureTime",
        0x94: "time",  # answerTime
        0x96: "duration",
        0x9B: "cause",
        0x9D: "callReference",
        0x9E: "sequenceNumber",
    }
)
# smsResult is there only when the message failed: its number is why.
_SMS_RESULT = Group(values={0x80: "cause", 0x81: "cause"})
_MO_SMS = Group(
    values={
        0x80: "recordType",
        0x81: "servedIMSI",
        0x83: "servedMSISDN",
        0x86: "recordingEntity",
        0x88: "messageReference",
        0x89: "time",  # originationTime
        0x8C: "other",  # destinationNumber
    },
    groups={0xAA: _SMS_RESULT},
)
_MT_SMS = Group(
    values={
        0x80: "recordType",
        0x82: "servedIMSI",
        0x84: "servedMSISDN",
        0x86: "recordingEntity",
        0x88: "time",  # deliveryTime
    },
    groups={0xA9: _SMS_RESULT},
)
_READ = {0xA0: _MO_CALL, 0xA1: _MT_CALL, 0xA6: _MO_SMS, 0xA7: _MT_SMS}
_KINDS = {0xA0: VOICE_MO, 0xA1: VOICE_MT, 0xA6: SMS_MO, 0xA7: SMS_MT}
_UNREAD = {
    0xA2: "roamingRecord",
    0xA3: "incGatewayRecord",
    0xA4: "outGatewayRecord",
    0xA5: "transitCallRecord",
    0xA8: "moSMSIWRecord",
    0xA9: "mtSMSGWRecord",
    0xAA: "ssActionRecord",
    0xAB: "hlrIntRecord",
    0xAC: "locUpdateHLRRecord",
    0xAD: "locUpdateVLRRecord",
    0xAE: "commonEquipRecord",
    0xAF: "moTraceRecord",
    0xB0: "mtTraceRecord",
    0xB1: "termCAMELRecord",
}
RECORD_TAGS = frozenset({*_READ, *_UNREAD})

_KIND_OF_TAG: Int64 = np.zeros(256, np.int64)
_KIND_OF_TAG[list(_KINDS)] = list(_KINDS.values())
_NO_FILL = re.compile(b"[^\xff]")


def decode_plain(raw: bytes, header: FileHeader) -> Decoded:
    """Decode a file of CallEventRecords, back to back or in blocks filled with 0xFF.

    Raises
    ------
    Malformed : a record does not end within the file, fill does not reach the end of its block, or
    an element is no CallEventRecord; what follows cannot be framed, so nothing of the file is used.
    """
    spans = np.array(list(_frames(raw)), np.int64).reshape(-1, 2)
    return decode_frames(raw, Frames(spans[:, 0], spans[:, 1]), MSC, header)


def _frames(raw: bytes) -> Iterator[tuple[int, int]]:
    """Walk the records of a file."""
    at, size = 0, len(raw)
    while at < size:
        first = raw[at]
        if first == FILL:
            at = _after_fill(raw, at)
            continue
        if first & 0xE0 != 0xA0:
            raise Malformed(f"Octet {first:#04x} begins no CallEventRecord.", at)
        # The two common forms of length are read here: calling the general reader costs more.
        length = raw[at + 1] if at + 1 < size else 0x80
        if length < 0x80 and first & 0x1F != 0x1F and at + 2 + length <= size:
            end = at + 2 + length
        elif length == 0x81 and first & 0x1F != 0x1F and at + 3 + raw[at + 2] <= size:
            end = at + 3 + raw[at + 2]
        else:
            end = element_end(raw, at, size)
        yield at, end
        at = end


def _after_fill(raw: bytes, at: int) -> int:
    """Return where the fill that begins at `at` ends: at a block's end or the file's."""
    found = _NO_FILL.search(raw, at)
    end = found.start() if found else len(raw)
    if found and end % BLOCK_OCTETS:
        raise Malformed(f"Fill ends inside a block of {BLOCK_OCTETS} octets.", end)
    return end


def _parts(block: Block) -> Parts:
    """Make the rows of a block of CallEventRecords."""
    tag = block.octets[block.start]
    kind = _KIND_OF_TAG[tag]
    _check_type(block, tag)
    is_call = kind <= VOICE_MT
    table = block.table()
    at, size = table.cell("duration")
    block.refuse(table, is_call & (size < 0), at, "The mandatory value duration is missing.")
    started_at, utc_offset_min = block.time("time", "seizureTime")
    other, other_text, number_type = block.party("other")
    node, nodes = block.names("recordingEntity")
    values = {
        "kind": kind,
        "imsi": block.imsi("servedIMSI"),
        "msisdn": block.msisdn("servedMSISDN"),
        "other": other,
        "other_text": other_text,
        "started_at": started_at,
        "utc_offset_min": utc_offset_min,
        "duration_s": np.maximum(block.number("duration", 2**31), 0),
        "chain_id": block.opaque("callReference"),
        "chain_seq": block.number("sequenceNumber", 2**31),
        "cause": block.number("cause", 2**15),
        "message_ref": block.opaque("messageReference"),
        "node": node,
    }
    return Parts(np.arange(len(kind)), values, {"number_type": number_type}, nodes)


def _check_type(block: Block, tag: Octets) -> None:
    """Refuse records whose type says something else than their tag."""
    table = block.table()
    at, size = table.cell("recordType")
    other = (size >= 0) & (block.number("recordType", 2**15) != (tag & 0x1F))
    block.refuse(table, other, at, "The record type is another than the tag says.")


def _wanted(octets: Octets, start: Int64, end: Int64) -> Bool:
    """Tell which records are of the kinds read here, by their tag."""
    return (_KIND_OF_TAG[octets[start]] > 0) & (start < end)


def _kind_name(raw: bytes, start: int, _end: int) -> str:
    """Name a record of another kind."""
    return _UNREAD.get(raw[start], f"A record of tag {raw[start]:#x}")


def _node_name(name: bytes) -> str:
    """Read the number of a switch (AddressString): "4790005001"."""
    try:
        return numbers.read_tbcd(np.frombuffer(name[1:], np.uint8))
    except ValueError:
        return name.hex()


MSC = Family(
    name="msc",
    grammar=Grammar(Group(groups=_READ)),
    details=("number_type",),
    wanted=_wanted,
    kind_name=_kind_name,
    parts=_parts,
    node_name=_node_name,
)
