"""Charging data files of 3GPP TS 32.297: a file header, then records with a header each.

Releases above 9 do not fit the three bits of a release; they are written as 7 and an extension
octet that counts on from release 10.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address

import numpy as np

from mediation.formats.blocks import Frames, decode_frames
from mediation.formats.msc import MSC
from mediation.formats.pgw import PGW
from mediation.formats.problems import BrokenFile
from mediation.records import (
    UNDECODABLE,
    UNSUPPORTED_RECORD,
    Decoded,
    Fault,
    FileHeader,
    Lost,
    YearlessTime,
)

FIXED_OCTETS = 52  # The header up to and with the length of the private extension.
_EXTENDED = 7
_BER = 1
_CIRCUIT_SWITCHED = 6  # TS 32.250
_ENCODINGS = {2: "unaligned PER", 3: "aligned PER", 4: "XML"}


@dataclass(frozen=True)
class _Layout:
    """What the rest of the file is read by."""

    file_octets: int
    header_octets: int
    header: FileHeader


def header_octets(head: bytes) -> int | None:
    """Return the length of a file header if `head` begins with one that fits together, else None.

    The length stands in the header, and again follows from the lengths of its parts: that is the
    signature of the format.
    """
    if len(head) < FIXED_OCTETS:
        return None
    declared = int.from_bytes(head[4:8], "big")
    filter_octets = int.from_bytes(head[48:50], "big")
    at = 50 + filter_octets
    if at + 2 > len(head):
        return None
    private = int.from_bytes(head[at : at + 2], "big")
    extensions = (head[8] >> 5 == _EXTENDED) + (head[9] >> 5 == _EXTENDED)
    return declared if declared == at + 2 + private + extensions else None


def decode(raw: bytes) -> Decoded:
    """Decode a whole file. The count it declares is not compared here: that is for the gate.

    Raises
    ------
    BrokenFile : the header does not fit together, the file is shorter or longer than it says, or a
    record reaches beyond its end.
    """
    layout = _read_header(raw)
    frames, circuit_switched = _frame(raw, layout)
    return decode_frames(raw, frames, MSC if circuit_switched else PGW, layout.header)


def read_lost(indicator: int) -> Lost:
    """Read the lost-CDR indicator.

    Source: TS 32.297: 0 none, 1 to 127 at least so many, 128 at least one, 129 to 254 exactly
    n - 128, 255 at least 127.
    """
    if indicator <= 127:
        return Lost(indicator, indicator, exact=indicator == 0)
    if indicator == 128:
        return Lost(indicator, 1, exact=False)
    return Lost(indicator, indicator - 128, exact=indicator < 255)


def read_stamp(octets: bytes) -> YearlessTime | None:
    """Read a time stamp of four octets that has no year; None where it is no date and time.

    Source: TS 32.297: month 4 bits, day 5, hour 5, minute 6, sign 1 (1: ahead of UTC), offset
    hours 5, offset minutes 6.
    """
    word = int.from_bytes(octets, "big")
    month, day, hour, minute = word >> 28, word >> 23 & 31, word >> 18 & 31, word >> 12 & 63
    ahead = (word >> 6 & 31) * 60 + (word & 63)
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
        return None
    return YearlessTime(month, day, hour, minute, ahead if word >> 11 & 1 else -ahead)


def _read_header(raw: bytes) -> _Layout:
    """Read and check the file header."""
    length = header_octets(raw)
    if length is None or length > len(raw):
        raise BrokenFile(
            "The file header is cut off or its lengths do not fit together (offset 4). "
            "Fetch the file again from its node.",
            offset=4,
        )
    declared = int.from_bytes(raw[0:4], "big")
    if declared != len(raw):
        raise BrokenFile(
            f"The header says {declared} octets (offset 0), the file has {len(raw)}. "
            "Fetch the file again from its node.",
            offset=min(declared, len(raw)),
            declared=declared,
            size=len(raw),
        )
    header = FileHeader(
        format="tgpp",
        declared_count=int.from_bytes(raw[18:22], "big"),
        sequence=int.from_bytes(raw[22:26], "big"),
        node=_read_node(raw[27:47]),
        release=_read_release(raw, length),
        opened=read_stamp(raw[10:14]),
        last_append=read_stamp(raw[14:18]),
        closure_reason=raw[26],
        lost=read_lost(raw[47]),
    )
    return _Layout(declared, length, header)


def _read_release(raw: bytes, header_length: int) -> int:
    """Return the highest release of the records in the file."""
    release = raw[8] >> 5
    if release != _EXTENDED:
        return release + 3 if release else 99
    low_extended = raw[9] >> 5 == _EXTENDED
    return 10 + raw[header_length - 1 - low_extended]


def _read_node(octets: bytes) -> str:
    """Read the node's address: four octets of prefix, sixteen of IPv6."""
    address = IPv6Address(octets[4:])
    return str(address.ipv4_mapped or address)


def _frame(raw: bytes, layout: _Layout) -> tuple[Frames, bool]:
    """Walk the record headers: where the records lie, and whether they are circuit-switched."""
    at, size = layout.header_octets, layout.file_octets
    starts: list[int] = []
    ends: list[int] = []
    forms = bytearray()
    while at < size:
        if at + 4 > size or (raw[at + 2] >= 0xE0 and at + 5 > size):
            raise _cut(at, size)
        start = at + (5 if raw[at + 2] >= 0xE0 else 4)
        end = start + (raw[at] << 8 | raw[at + 1])
        if end > size:
            raise _cut(at, size)
        starts.append(start)
        ends.append(end)
        forms.append(raw[at + 3])
        at = end
    start_column, end_column = np.array(starts, np.int64), np.array(ends, np.int64)
    circuit_switched = bool(forms) and forms[0] & 31 == _CIRCUIT_SWITCHED
    form = np.frombuffer(forms, np.uint8)
    unlike = (form >> 5 != _BER) | ((form & 31 == _CIRCUIT_SWITCHED) != circuit_switched)
    refused = {
        index: _refused(index, starts[index], ends[index], forms[index])
        for index in np.flatnonzero(unlike).tolist()
    }
    return Frames(start_column, end_column, refused), circuit_switched


def _cut(at: int, size: int) -> BrokenFile:
    return BrokenFile(
        f"The record header at offset {at} reaches beyond the end of the file ({size} octets). "
        "Fetch the file again from its node.",
        offset=at,
        size=size,
    )


def _refused(index: int, start: int, end: int, form: int) -> Fault:
    """Make the fault of a record whose header says it is written in a way not read here."""
    encoding = form >> 5
    if encoding == _BER:
        sentence = f"The record header names TS number {form & 31}, unlike the file's first record."
        return Fault(index + 1, start, end - start, UNDECODABLE, sentence, start - 1)
    name = _ENCODINGS.get(encoding, f"encoding {encoding}")
    sentence = f"The record is written in {name}; only BER is read."
    return Fault(index + 1, start, end - start, UNSUPPORTED_RECORD, sentence, start - 1)
