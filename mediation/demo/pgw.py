"""Records of the packet gateway: TS 32.298 PGWRecords in TS 32.297 files, release 17."""

from dataclasses import dataclass

import numpy as np

from mediation.demo import ber, wallclock
from mediation.demo.ber import Int64, Mask, Octets, Part
from mediation.demo.numbering import INTERNATIONAL, address, tbcd
from mediation.demo.records import Parts
from mediation.demo.traffic import Identities, Packets

NODE = "OSLPGW1"
FIRST_FILE = 1001
FIRST_CHARGING_ID = 1_000_000
HEADER_OCTETS = 54
CHARGED, ZERO_RATED = 100, 900  # rating groups
_VERSION = b"\xe9"  # release 10 or above, version 9: the extension octet says which release
_EXTENSION = b"\x07"
_BER_PACKET_DOMAIN = b"\x27"  # format BER, TS 32.251


@dataclass(frozen=True)
class Volumes:
    """Octets of each record, per rating group."""

    up: Int64
    down: Int64
    free_up: Int64
    free_down: Int64

    @property
    def total(self) -> Int64:
        """All octets of a record, both directions and groups."""
        return self.up + self.down + self.free_up + self.free_down


def volumes(packets: Packets, parts: Parts) -> Volumes:
    """Share a session's volume over its records: half and half; zero-rated volume in the first."""
    session = parts.session

    def share(volume: Int64) -> Int64:
        half = volume[session] // 2
        whole = np.where(parts.sequence == 2, volume[session] - half, half)
        return np.where(parts.sequence == 0, volume[session], whole)

    first = parts.sequence < 2
    return Volumes(
        share(packets.up),
        share(packets.down),
        np.where(first, packets.free_up[session], 0),
        np.where(first, packets.free_down[session], 0),
    )


class Gateway:
    """Encodes the traffic of one packet gateway."""

    def __init__(self, identities: Identities, packets: Packets) -> None:
        self.packets = packets
        self.imsi = ber.table(b"\x83", [tbcd(digits) for digits in identities.imsi])
        self.msisdn = ber.table(
            b"\x96", [address(INTERNATIONAL, digits) for digits in identities.msisdn]
        )

    def file(self, parts: Parts, sequence: int, opened: int, closed: int) -> bytes:
        """Write one file: header, then each record after its own header of five octets."""
        record = self._records(parts, volumes(self.packets, parts))
        length = ber.total_widths(record)
        octets = np.stack([length >> 8, length & 0xFF], axis=1).astype(np.uint8)
        size = Part(octets, np.ones(octets.shape, np.bool_))
        frame = ber.constant(_VERSION + _BER_PACKET_DOMAIN + _EXTENSION)
        body, _ = ber.render([size, frame, *record], len(parts.session))
        return _header(len(body), len(parts.session), sequence, opened, closed) + body

    def _records(self, parts: Parts, moved: Volumes) -> list[Part]:
        identity = self.packets.identity[parts.session]
        opening = wallclock.timestamps(parts.start)
        closing = wallclock.timestamps(parts.start + parts.duration)
        paid = (moved.up + moved.down > 0) | (moved.free_up + moved.free_down == 0)
        free = moved.free_up + moved.free_down > 0
        times = (opening, closing)
        services = [
            *_service(CHARGED, 1, parts, times, moved.up, moved.down, paid),
            *_service(ZERO_RATED, 2, parts, times, moved.free_up, moved.free_down, free),
        ]
        fields = [
            ber.constant(b"\x80\x01\x55"),
            ber.pick(self.imsi, identity),
            ber.constant(bytes.fromhex("a40680040a140001")),  # p-GWAddress 10.20.0.1
            ber.integer(b"\x85", FIRST_CHARGING_ID + parts.session),
            ber.constant(bytes.fromhex("a60680040a1e0009")),  # serving node 10.30.0.9
            ber.table(b"\x87", [b"nordlys"]),  # access point
            ber.constant(bytes.fromhex("8802f121")),  # PDP type IPv4
            ber.fixed(b"\xa9\x08\xa0\x06\x80", _terminal(identity)),
            ber.fixed(b"\x8d", opening),
            ber.integer(b"\x8e", parts.duration),
            ber.integer(b"\x8f", parts.cause),
            ber.integer(b"\x91", parts.sequence, parts.sequence > 0),
            ber.table(b"\x92", [NODE.encode()]),
            ber.integer(b"\x94", parts.number + 1),
            ber.pick(self.msisdn, identity),
            ber.constant(bytes.fromhex("97020800")),  # charging characteristics
            ber.constant(bytes.fromhex("9b0342f210")),  # serving network 242-01
            ber.constant(bytes.fromhex("9e0106")),  # radio access E-UTRAN
            *ber.constructed(b"\xbf\x22", services),
            ber.constant(bytes.fromhex("bf23030a0102")),  # serving node type gTPSGW
        ]
        return ber.constructed(b"\xbf\x4f", fields)


def _service(
    group: int,
    place: int,
    parts: Parts,
    times: tuple[Octets, Octets],
    up: Int64,
    down: Int64,
    present: Mask,
) -> list[Part]:
    """Write the volume of one rating group: ChangeOfServiceCondition."""
    opening, closing = times
    numbers = np.full(len(up), group, np.int64)
    fields = [
        ber.integer(b"\x81", numbers, present),
        ber.integer(b"\x84", np.full(len(up), place, np.int64), present),
        ber.fixed(b"\x85", opening, present),  # first usage
        ber.fixed(b"\x86", closing, present),  # last usage
        ber.integer(b"\x87", parts.duration, present),
        ber.constant(bytes.fromhex("88050080000000"), present),  # service condition change
        ber.integer(b"\x8c", up, present),
        ber.integer(b"\x8d", down, present),
        ber.fixed(b"\x8e", closing, present),  # time of report
    ]
    return ber.constructed(b"\x30", fields, present)


def _terminal(identity: Int64) -> Octets:
    """Give each card a private address: 100.64.0.0/10."""
    octets = [np.full(len(identity), 100), 64 + (identity >> 16), identity >> 8, identity]
    return (np.stack(octets, axis=1) & 0xFF).astype(np.uint8)


def _file_time(instant: int) -> bytes:
    """Pack month, day, hour, minute, sign and offset into 4 octets; the format knows no year."""
    offset = int(wallclock.offset_seconds(np.array([instant], np.int64))[0])
    text = wallclock.iso(instant)
    month, day, hour, minute = int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16])
    packed = month << 28 | day << 23 | hour << 18 | minute << 12
    packed |= 1 << 11 | offset // 3600 << 6 | offset // 60 % 60
    return packed.to_bytes(4, "big")


def _header(body: int, records: int, sequence: int, opened: int, closed: int) -> bytes:
    """Write the file header; octet offsets in TS 32.297 section 6.1.1."""
    return b"".join(
        [
            (HEADER_OCTETS + body).to_bytes(4, "big"),
            HEADER_OCTETS.to_bytes(4, "big"),
            _VERSION * 2,
            _file_time(opened),
            _file_time(closed),
            records.to_bytes(4, "big"),
            sequence.to_bytes(4, "big"),
            b"\x02",  # closed by time
            b"\xff" * 4 + bytes(10) + b"\xff\xff" + bytes([10, 20, 0, 1]),  # node address
            bytes(5),  # no CDR lost, no routeing filter, no private extension
            _EXTENSION * 2,
        ]
    )


def file_name(sequence: int, closed: int) -> str:
    """Name a file by node, sequence and local closing time."""
    text = wallclock.iso(closed)
    stamp = text[:10].replace("-", "")
    clock = text[11:16].replace(":", "")
    offset = text[-6:].replace(":", "")
    return f"{NODE}_-_{sequence}.{stamp}_-_{clock}{offset}"
