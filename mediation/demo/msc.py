"""Records of the switch: TS 32.298 CS domain, MO and MT calls and MO messages, BER back to back."""

import numpy as np

from mediation.demo import ber, wallclock
from mediation.demo.ber import Int64, Octets, Part
from mediation.demo.destinations import Pool
from mediation.demo.numbering import INTERNATIONAL, address, tbcd
from mediation.demo.records import Parts
from mediation.demo.traffic import Traffic

RECORDING_ENTITY = address(INTERNATIONAL, "4790005001")
SERVICE_CENTRE = address(INTERNATIONAL, "4790002100")
TELEPHONY = bytes.fromhex("830111")  # basic service: teleservice 11, telephony
CLASSMARK = bytes.fromhex("331981")
MO_CALL, MT_CALL, MO_MESSAGE = b"\xa0", b"\xa1", b"\xa6"


class Switch:
    """Encodes the traffic of one switch; holds the fields of its few thousand numbers ready."""

    def __init__(self, traffic: Traffic) -> None:
        msisdn = [address(INTERNATIONAL, digits) for digits in traffic.identities.msisdn]
        self.voice = traffic.voice
        self.messages = traffic.messages
        self.imsi = ber.table(b"\x81", [tbcd(digits) for digits in traffic.identities.imsi])
        self.msisdn = ber.table(b"\x83", msisdn)
        self.calling_self = ber.table(b"\x84", msisdn)
        self.called = _numbers(b"\x85", traffic.voice_pool)
        self.calling = _numbers(b"\x84", traffic.voice_pool)
        self.destination = _numbers(b"\x8c", traffic.message_pool)

    def calls(self, parts: Parts) -> list[bytes]:
        """Encode calls made and received, in the order of `parts`."""
        incoming = self.voice.incoming[parts.session]
        encoded = np.empty(len(incoming), object)
        made, received = np.flatnonzero(~incoming), np.flatnonzero(incoming)
        encoded[made] = self._made(parts.take(made))
        encoded[received] = self._received(parts.take(received))
        return encoded.tolist()

    def _made(self, parts: Parts) -> list[bytes]:
        identity = self.voice.identity[parts.session]
        fields = [
            ber.constant(b"\x80\x01\x00"),
            ber.pick(self.imsi, identity),
            ber.pick(self.msisdn, identity),
            ber.pick(self.calling_self, identity),
            ber.pick(self.called, self.voice.other[parts.session]),
            ber.table(b"\x89", [RECORDING_ENTITY]),
            ber.table(b"\xae", [TELEPHONY]),
            ber.fixed(b"\x97", wallclock.timestamps(parts.start)),
            ber.integer(b"\x99", parts.duration),
            ber.integer(b"\x9e", parts.cause),
            ber.fixed(b"\x9f\x20", _reference(parts.session)),
            ber.integer(b"\x9f\x21", parts.sequence, parts.sequence > 0),
        ]
        return _records(MO_CALL, fields, len(identity))

    def _received(self, parts: Parts) -> list[bytes]:
        identity = self.voice.identity[parts.session]
        fields = [
            ber.constant(b"\x80\x01\x01"),
            ber.pick(self.imsi, identity),
            ber.pick(self.msisdn, identity),
            ber.pick(self.calling, self.voice.other[parts.session]),
            ber.table(b"\x86", [RECORDING_ENTITY]),
            ber.table(b"\xab", [TELEPHONY]),
            ber.fixed(b"\x94", wallclock.timestamps(parts.start)),
            ber.integer(b"\x96", parts.duration),
            ber.integer(b"\x9b", parts.cause),
            ber.fixed(b"\x9d", _reference(parts.session)),
        ]
        return _records(MT_CALL, fields, len(identity))

    def texts(self, parts: Parts) -> list[bytes]:
        """Encode messages sent, in the order of `parts`."""
        identity = self.messages.identity[parts.session]
        reference = (parts.session % 256).astype(np.uint8)[:, None]
        fields = [
            ber.constant(b"\x80\x01\x06"),
            ber.pick(self.imsi, identity),
            ber.pick(self.msisdn, identity),
            ber.table(b"\x84", [CLASSMARK]),
            ber.table(b"\x85", [SERVICE_CENTRE]),
            ber.table(b"\x86", [RECORDING_ENTITY]),
            ber.fixed(b"\x88", reference),
            ber.fixed(b"\x89", wallclock.timestamps(parts.start)),
            ber.pick(self.destination, self.messages.other[parts.session]),
        ]
        return _records(MO_MESSAGE, fields, len(identity))


def _numbers(tag: bytes, pool: Pool) -> Part:
    return ber.table(tag, [member.octets for member in pool.members])


def _reference(session: Int64) -> Octets:
    """Number each call with four octets, all parts of one call alike."""
    shifts = np.array([24, 16, 8, 0])
    octets: Octets = (((session + 1)[:, None] >> shifts) & 0xFF).astype(np.uint8)
    return octets


def _records(tag: bytes, fields: list[Part], count: int) -> list[bytes]:
    flat, lengths = ber.render(ber.constructed(tag, fields), count)
    ends = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    return [flat[start:end] for start, end in zip(starts, ends, strict=True)]


def merge(calls: list[bytes], called: Int64, texts: list[bytes], texted: Int64) -> bytes:
    """Interleave calls and messages of one file by the time at which they were written."""
    times = np.concatenate([called, texted])
    both = [*calls, *texts]
    return b"".join([both[i] for i in np.argsort(times, kind="stable").tolist()])
