"""Switch records: calls and messages, plain and in filled blocks."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediation.formats import BrokenFile, UnknownFormat, decode, recognise, tgpp_file
from mediation.formats.numbers import decode_number
from mediation.records import SMS_MO, SMS_MT, UNDECODABLE, UNSUPPORTED_RECORD, VOICE_MT, Decoded
from tests.mediation.octets import EPOCH, IMSI, MSISDN, SAMPLES, TIME, call, endless, tlv
from tests.mediation.octets import tgpp_file as written

_FILES = ("OSLMSC1_cs_plain.ber", "OSLMSC1_cs_ff512.ber")
_KINDS = {1: "moCallRecord", 2: "mtCallRecord", 3: "moSMSRecord", 4: "mtSMSRecord"}
_TYPES = {"unknown": 0, "international": 1, "national": 2}
_NORMAL = {  # What the contract makes of the digits in the samples.
    "4740000002": "4740000002",
    "22000000": "4722000000",
    "004612345678": "4612345678",
    "82900000": "4782900000",
    "02000": "002000",
    "112": "0112",
    "2002": "02002",
}


def _decode(raw: bytes) -> Decoded:
    return decode(raw, recognise("OSLMSC1_1_20260329.ber", raw[:4096], len(raw)))


def _outcome(raw: bytes) -> Decoded | int:
    """Decode, or tell at which octet the file was refused."""
    try:
        return _decode(raw)
    except (BrokenFile, UnknownFormat) as why:
        return int(str(why.facts["offset"]))


def _check_record(expected: dict[str, Any], row: dict[str, Any], number_type: int) -> None:
    assert _KINDS[row["kind"]] == expected["recordType"]
    assert row["imsi"] == int(expected["imsi"])
    assert row["msisdn"] == int(expected["msisdn"])
    time = datetime.fromisoformat(expected.get("answerTime") or expected["originationTime"])
    assert (row["started_at"], row["utc_offset_min"]) == (int(time.timestamp()), 60)
    keys = ("calledDigits", "callingDigits", "destinationDigits")
    [digits] = [expected[key] for key in keys if key in expected]
    assert row["other_text"] == digits.encode()
    assert decode_number(row["other"]) == _NORMAL[digits]
    if "calledTon" in expected:
        assert number_type == _TYPES[expected["calledTon"]]
    if "callReference" in expected:
        assert row["chain_id"] == int(expected["callReference"], 16)
        assert row["duration_s"] == expected["callDurationSeconds"]
        assert row["chain_seq"] == (expected.get("sequenceNumber") or -1)
        assert row["cause"] == expected.get("causeForTerm", row["cause"])
    else:
        assert row["message_ref"] == int(expected["messageReference"], 16)
        assert (row["duration_s"], row["cause"]) == (0, -1)


def _check_file(folder: Path, name: str) -> None:
    expected = json.loads((folder / "OSLMSC1_cs.expected.json").read_text())["records"]
    decoded = _decode((folder / name).read_bytes())
    assert (decoded.record_count, len(decoded.faults)) == (len(expected), 0)
    assert decoded.nodes == ("4790005001",)
    for i, record in enumerate(expected):
        row = {column: values[i].item() for column, values in decoded.columns.items()}
        _check_record(record, row, int(decoded.details["number_type"][i]))


@pytest.mark.parametrize("name", _FILES)
def test_every_field_of_the_samples(name: str) -> None:
    """Back to back or in filled blocks, the samples decode to every value their makers put in."""
    _check_file(SAMPLES, name)


@pytest.mark.parametrize("name", _FILES)
def test_every_field_of_the_oracle(name: str, shared: Path) -> None:
    """So do the originals beside the project."""
    _check_file(shared / "samples" / "synthetic", name)


def test_offsets_lead_back_to_the_octets() -> None:
    """A row tells where its record lies in the file, fill or no fill."""
    plain, filled = ((SAMPLES / name).read_bytes() for name in _FILES)
    records = []
    for raw in (plain, filled):
        columns = _decode(raw).columns
        places = zip(columns["offset"].tolist(), columns["length"].tolist(), strict=True)
        records.append([raw[at : at + length] for at, length in places])
    assert records[0] == records[1]
    assert b"".join(records[0]) == plain


def test_a_delivered_and_a_failed_message() -> None:
    """A message to the subscriber has no other party; a failed one says why, by its cause."""
    served = (tlv(0x81, IMSI), tlv(0x83, MSISDN), tlv(0x86, MSISDN))
    sent = tlv(0xA6, tlv(0x80, b"\6"), *served, tlv(0x88, b"\1"), tlv(0x89, TIME))
    failed = tlv(0xA6, sent[2:], tlv(0xAA, tlv(0x80, b"\x1b")))
    got = tlv(0xA7, tlv(0x80, b"\7"), tlv(0x82, IMSI), tlv(0x84, MSISDN), tlv(0x88, TIME))
    columns = _decode(sent + failed + got).columns
    assert columns["kind"].tolist() == [SMS_MO, SMS_MO, SMS_MT]
    assert columns["cause"].tolist() == [-1, 27, -1]
    assert columns["other"].tolist() == [0, 0, 0]
    assert columns["msisdn"].tolist() == [4790000001] * 3
    assert columns["message_ref"].tolist() == [1, 1, -1]


def test_a_call_nobody_answered_began_when_it_was_tried() -> None:
    """Without an answer the seizure time tells when; without either the record is a fault."""
    tried = call({0x97: None, 0x96: TIME, 0x99: b"\0"})
    decoded = _decode(call() + tried + call({0x97: None}))
    assert decoded.columns["started_at"].tolist() == [EPOCH, EPOCH]
    assert [fault.record_no for fault in decoded.faults] == [3]


def test_what_is_dialled_but_no_number_keeps_its_text() -> None:
    """A service code and a withheld caller are no telephone numbers, and no faults."""
    code = call({0x85: bytes.fromhex("812ab1")})  # *21#, low nibble first
    caller = tlv(
        0xA1, *(tlv(t, v) for t, v in ((0x80, b"\1"), (0x81, IMSI), (0x94, TIME), (0x96, b"\5")))
    )
    columns = _decode(code + caller).columns
    assert columns["other"].tolist() == [0, 0]
    assert columns["other_text"].tolist() == [b"*21#", b""]
    assert columns["kind"].tolist() == [1, VOICE_MT]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (tlv(0xA5, call()[2:]), UNSUPPORTED_RECORD),
        (tlv(0xBF45, call()[2:]), UNSUPPORTED_RECORD),
        (call({0x80: b"\1"}), UNDECODABLE),
        (call({0x99: None}), UNDECODABLE),
        (call({0x99: b"\x80"}), UNDECODABLE),
        (call({0x85: bytes.fromhex("a122f00000")}), UNDECODABLE),
        (call({0x85: bytes(20)}), UNDECODABLE),
        (call({0x85: b""}), UNDECODABLE),
        (call({0x9F20: bytes(9)}), UNDECODABLE),
        (tlv(0xA0, call()[2:], b"\x9f\x21\1"), UNDECODABLE),
        (tlv(0xA0), UNDECODABLE),
    ],
)
def test_a_bad_record_is_a_fault_and_the_others_survive(bad: bytes, reason: str) -> None:
    """As long as it ends where it says, a record that cannot be read harms nobody else."""
    raw = call() + bad + endless(0xA0, call()[2:])
    decoded = _decode(raw)
    [fault] = decoded.faults
    assert (fault.record_no, fault.reason, decoded.record_count) == (2, reason, 3)
    assert raw[fault.offset : fault.offset + fault.length] == bad
    assert decoded.columns["record_no"].tolist() == [1, 3]
    assert decoded.columns["duration_s"].tolist() == [61, 61]


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (call() + call()[:-1], len(call())),
        (call() + b"\xff" * 9 + call(), len(call()) + 9),
        (call() + tlv(0x80, b"\1"), len(call())),
        (call() + b"\0" * 40, len(call())),
        (call() + b"\xa0\x80\x80\1\0", len(call()) + 5),
        (call() + b"\xa0", len(call()) + 1),
    ],
)
def test_a_file_that_cannot_be_framed_is_refused(raw: bytes, offset: int) -> None:
    """Where the next record begins is anybody's guess, so nothing of the file is used."""
    with pytest.raises(BrokenFile, match="Fetch it again") as refused:
        _decode(raw)
    assert refused.value.facts == {"file": "OSLMSC1_1_20260329.ber", "offset": offset}


def test_fill_may_end_the_file_or_a_block() -> None:
    """0xFF runs to a block's end, or to the end of the file."""
    block = call().ljust(512, b"\xff")
    assert _decode(block + call() + b"\xff" * 3).columns["offset"].tolist() == [0, 512]


def test_switch_records_in_a_tgpp_file() -> None:
    """The circuit-switched domain may use TS 32.297 files too; the record header says so."""
    decoded = tgpp_file.decode(written([call(), call()], form=0x26))
    assert decoded.columns["duration_s"].tolist() == [61, 61]


@settings(max_examples=150)
@given(st.randoms(use_true_random=False), st.sampled_from(_FILES))
def test_damage_has_a_known_outcome(chance: random.Random, name: str) -> None:
    """Flipped bits and cut ends give a refused file, or rows and faults that add up; never more."""
    octets = bytearray((SAMPLES / name).read_bytes())
    for _ in range(chance.randint(1, 4)):
        octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    cut = chance.choice([len(octets), len(octets), chance.randint(1, len(octets))])
    raw = bytes(octets[:cut])
    decoded = _outcome(raw)
    if isinstance(decoded, int):
        assert 0 <= decoded <= len(raw)
        return
    counted = np.unique(decoded.columns["record_no"])
    assert len(counted) + len(decoded.faults) == decoded.record_count
    framed = int(decoded.columns["length"].sum()) + sum(f.length for f in decoded.faults)
    fill = len(raw) - framed
    assert 0 <= fill <= raw.count(b"\xff")
