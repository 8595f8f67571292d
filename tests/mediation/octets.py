"""Small BER records and TS 32.297 files, written octet by octet for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

SAMPLES = Path(__file__).with_name("samples")
TIME = bytes.fromhex("2603291200002b0200")  # 29 March 2026, 12:00:00, two hours ahead of UTC
EPOCH = 1_774_778_400  # The same instant.
IMSI = bytes.fromhex("42020100000000f1")
MSISDN = bytes.fromhex("917409000010")


def tlv(tag: int, *contents: bytes) -> bytes:
    """Encode one element of definite length; the tag is its identifier octets."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        length = bytes([size])
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(octets)]) + octets
    return tag.to_bytes(max((tag.bit_length() + 7) // 8, 1), "big") + length + content


def endless(tag: int, *contents: bytes) -> bytes:
    """Encode one constructed element of indefinite length."""
    first = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
    return first + b"\x80" + b"".join(contents) + b"\0\0"


def integer(value: int) -> bytes:
    """Encode a non-negative INTEGER with the leading zero octet it needs."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def container(group: int, up: bytes, down: bytes) -> bytes:
    """Encode a service data container; volumes are octets, to be wrong where a test wants it."""
    return tlv(0x30, tlv(0x81, integer(group)), tlv(0x8C, up), tlv(0x8D, down))


def pgw(changes: Mapping[int, bytes | None] | None = None, service: bytes = b"") -> bytes:
    """Encode a PGWRecord; `changes` replaces or (None) leaves out values by tag."""
    values: dict[int, bytes | None] = {
        0x80: b"\x55",
        0x83: IMSI,
        0x85: integer(7001),
        0x87: b"telenor",
        0x8D: TIME,
        0x8E: integer(1800),
        0x8F: b"\0",
        0x92: b"OSLPGW1",
        0x96: MSISDN,
        0x9B: bytes.fromhex("42f210"),
        **(changes or {}),
    }
    written = [tlv(tag, value) for tag, value in values.items() if value is not None]
    return tlv(0xBF4F, *written, *([tlv(0xBF22, service)] if service else []))


def call(changes: Mapping[int, bytes | None] | None = None) -> bytes:
    """Encode a moCallRecord; `changes` as in `pgw`."""
    values: dict[int, bytes | None] = {
        0x80: b"\0",
        0x81: IMSI,
        0x83: MSISDN,
        0x85: bytes.fromhex("a122000000"),
        0x89: bytes.fromhex("917409000510"),
        0x97: TIME,
        0x99: integer(61),
        0x9E: b"\0",
        0x9F20: b"\0\1",
        **(changes or {}),
    }
    return tlv(0xA0, *(tlv(tag, value) for tag, value in values.items() if value is not None))


def tgpp_file(records: Sequence[bytes], form: int = 0x27, lost: int = 0) -> bytes:
    """Write records into a TS 32.297 file of release 17."""
    body = b"".join(len(r).to_bytes(2, "big") + bytes([0xE9, form, 7]) + r for r in records)
    stamp = bytes.fromhex("3eb00880")  # 29 March, 12:00, two hours ahead of UTC
    node = bytes.fromhex("ffffffff00000000000000000000ffff0a140001")
    rest = b"\xe9\xe9" + stamp + stamp + len(records).to_bytes(4, "big") + (9).to_bytes(4, "big")
    rest += b"\2" + node + bytes([lost]) + bytes(4) + b"\7\7"
    header = (8 + len(rest)).to_bytes(4, "big") + rest
    return (4 + len(header) + len(body)).to_bytes(4, "big") + header + body
