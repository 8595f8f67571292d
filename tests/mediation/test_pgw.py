"""Packet gateway records: volumes per rating group, and records that cannot be counted on."""

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

from mediation.formats import BrokenFile, decode, recognise, tgpp_file
from mediation.records import UNDECODABLE, UNSUPPORTED_RECORD, Decoded
from tests.mediation.octets import EPOCH, SAMPLES, TIME, container, endless, integer, pgw, tlv
from tests.mediation.octets import tgpp_file as written

_FILES = sorted(json.loads((SAMPLES / "OSLPGW1.expected.json").read_text()))


def _row(decoded: Decoded, row: int = 0) -> dict[str, Any]:
    """Return one row as plain values."""
    return {name: column[row].item() for name, column in decoded.columns.items()}


def _as_expected(decoded: Decoded) -> list[dict[str, Any]]:
    """Write the rows of a file as the oracle does, one entry per record."""
    records: dict[int, dict[str, Any]] = {}
    for i in range(len(decoded.columns["kind"])):
        row = _row(decoded, i)
        detail = {name: column[i].item() for name, column in decoded.details.items()}
        record = records.setdefault(
            row["record_no"],
            {
                "recordType": {5: "pGWRecord"}[row["kind"]],
                "imsi": str(row["imsi"]),
                "msisdn": None if row["msisdn"] < 0 else str(row["msisdn"]),
                "chargingId": row["chain_id"],
                "recordSequenceNumber": None if row["chain_seq"] < 0 else row["chain_seq"],
                "recordOpeningTime": (row["started_at"], row["utc_offset_min"]),
                "durationSeconds": 0,
                "causeForRecClosing": row["cause"],
                "nodeId": decoded.nodes[row["node"]],
                "localSequenceNumber": detail["local_seq"],
                "apn": decoded.apns[detail["apn"]],
                "servingPlmn": str(row["serving_plmn"]),
                "ratType": detail["rat_type"],
                "serviceData": [],
                "berBytes": row["length"],
            },
        )
        record["durationSeconds"] += row["duration_s"]
        record["serviceData"].append(
            {
                "ratingGroup": row["rating_group"],
                "uplinkBytes": row["octets_up"],
                "downlinkBytes": row["octets_down"],
            }
        )
    return list(records.values())


def _outcome(raw: bytes, name: str) -> Decoded | int:
    """Decode, or tell at which octet the file was refused."""
    try:
        return decode(raw, recognise(name, raw, len(raw)))
    except BrokenFile as why:
        return int(str(why.facts["offset"]))


def _check_file(folder: Path, name: str) -> None:
    expected = json.loads((folder / "OSLPGW1.expected.json").read_text())[name]
    raw = (folder / name).read_bytes()
    decoded = decode(folder / name, recognise(name, raw, len(raw)))
    for record in expected["records"]:
        opened = datetime.fromisoformat(record["recordOpeningTime"])
        offset = opened.utcoffset()
        assert offset is not None
        record["recordOpeningTime"] = (int(opened.timestamp()), offset.total_seconds() // 60)
    assert _as_expected(decoded) == expected["records"]
    header = decoded.header
    assert (header.declared_count, decoded.record_count, len(decoded.faults)) == (
        expected["declaredCdrCount"],
        expected["actualCdrCount"],
        0,
    )
    assert header.sequence == expected["fileSequenceNumber"]
    assert header.closure_reason == expected["closureReason"]
    assert header.lost is not None
    assert header.lost.indicator == expected["lostCdrIndicator"]
    assert tgpp_file.header_octets(raw) == expected["headerLength"]
    assert len(raw) == expected["fileLength"]


@pytest.mark.parametrize("name", _FILES)
def test_every_field_of_the_samples(name: str) -> None:
    """The sample files decode to every value their makers put in."""
    _check_file(SAMPLES, name)


@pytest.mark.parametrize("name", _FILES)
def test_every_field_of_the_oracle(name: str, shared: Path) -> None:
    """So do the originals beside the project."""
    _check_file(shared / "samples" / "synthetic", name)


def test_rating_groups_are_summed_per_record() -> None:
    """Containers of one group make one part; parts come as groups first occur; time counts once."""
    service = container(900, b"\1", b"\2") + container(100, b"\3", b"\4")
    service += container(900, b"\5", b"\6")
    decoded = tgpp_file.decode(written([pgw(service=service), pgw()]))
    columns = decoded.columns
    assert columns["record_no"].tolist() == [1, 1, 2]
    assert columns["part_no"].tolist() == [1, 2, 1]
    assert columns["rating_group"].tolist() == [900, 100, 0]
    assert columns["octets_up"].tolist() == [6, 3, 0]
    assert columns["octets_down"].tolist() == [8, 4, 0]
    assert columns["duration_s"].tolist() == [1800, 0, 1800]


def test_traffic_volumes_count_only_without_service_data() -> None:
    """Both lists tell of the same octets: with service data, the traffic volumes are not added."""
    traffic = tlv(0xAC, *(tlv(0x30, tlv(0x83, b"\x0a"), tlv(0x84, b"\x14")) for _ in "12"))
    values = pgw()[3:]  # Without its tag and length.
    service = tlv(0xBF22, container(100, b"\1", b"\2"))
    records = [tlv(0xBF4F, values, traffic), tlv(0xBF4F, values, service, traffic)]
    decoded = tgpp_file.decode(written(records))
    assert decoded.columns["rating_group"].tolist() == [0, 100]
    assert decoded.columns["octets_up"].tolist() == [20, 1]
    assert decoded.columns["octets_down"].tolist() == [40, 2]


@pytest.mark.parametrize(
    ("octets", "volume"),
    [
        ("7fffffff", 2**31 - 1),
        ("0080000000", 2**31),
        ("80000000", 2**31),  # The sender dropped the leading zero octet.
        ("fffffffe", 2**32 - 2),
        ("00fffffffe", 2**32 - 2),
        ("000000000000000001", 1),
    ],
)
def test_volumes_are_unsigned(octets: str, volume: int) -> None:
    """A volume whose first bit is set is large, not negative."""
    service = container(100, bytes.fromhex(octets), b"\0")
    decoded = tgpp_file.decode(written([pgw(service=service)]))
    assert _row(decoded)["octets_up"] == volume


def test_a_record_of_indefinite_lengths_gives_the_same_row() -> None:
    """Only its length in the file differs."""
    service = container(100, b"\1", b"\2")
    values = pgw()[3:]  # Without its tag and length.
    rare = endless(0xBF4F, values, endless(0xBF22, endless(0x30, service[2:])))
    decoded = tgpp_file.decode(written([pgw(service=service), rare]))
    first, second = _row(decoded, 0), _row(decoded, 1)
    same = first.keys() - {"record_no", "offset", "length"}
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert (first["started_at"], first["utc_offset_min"]) == (EPOCH, 120)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (pgw()[:-1], "are left"),
        (pgw() + b"\0", "left over|do not|tag"),
        (b"", "is empty"),
        (pgw({0x8D: None}), "No time stamp"),
        (pgw({0x8D: TIME[:-1]}), "no date and time"),
        (pgw({0x8D: bytes.fromhex("2602301200002b0200")}), "no date and time"),
        (pgw({0x8D: bytes.fromhex("260a291200002b0200")}), "no date and time"),
        (pgw({0x8D: bytes.fromhex("260329120000200200")}), "no date and time"),
        (pgw({0x8E: None}), "duration is missing"),
        (pgw({0x8E: b"\xff"}), "duration is no number"),
        (pgw({0x8E: b""}), "duration is no number"),
        (pgw({0x85: None}), "chargingID is missing"),
        (pgw({0x83: bytes.fromhex("4202f100000000f1")}), "no IMSI"),
        (pgw({0x83: bytes.fromhex("42020a00000000f1")}), "no IMSI"),
        (pgw({0x96: b"\x91"}), "no served number"),
        (pgw({0x96: bytes.fromhex("9174f9000010")}), "no served number"),
        (pgw({0x9B: bytes.fromhex("42f2")}), "no network id"),
        (pgw({0x80: b"\x54"}), "record type is not 85"),
        (pgw(service=tlv(0x30, tlv(0x8C, b"\1"))), "no rating group"),
        (pgw(service=container(100, b"\x7f" + bytes(7), b"\0")), "up is no number"),
        (pgw(service=container(100, bytes(10), b"\0")), "up is no number"),
        (pgw(service=container(2**31, b"\0", b"\0")), "rating_group is no number"),
    ],
)
def test_a_bad_record_is_a_fault_and_the_others_survive(bad: bytes, reason: str) -> None:
    """What the record header still frames costs nobody else anything, and is counted."""
    raw = written([pgw(), bad, pgw()])
    decoded = tgpp_file.decode(raw)
    [fault] = decoded.faults
    assert decoded.record_count == 3
    assert decoded.columns["record_no"].tolist() == [1, 3]
    assert (fault.record_no, fault.reason) == (2, UNDECODABLE)
    assert raw[fault.offset : fault.offset + fault.length] == bad
    assert fault.offset <= fault.at <= fault.offset + fault.length
    assert any(word in fault.detail for word in reason.split("|"))


def test_another_kind_of_record_is_named() -> None:
    """A serving gateway's record is kept for the day it can be read."""
    decoded = tgpp_file.decode(written([tlv(0xBF4E, tlv(0x80, b"\x54")), pgw()]))
    [fault] = decoded.faults
    assert (fault.reason, fault.record_no) == (UNSUPPORTED_RECORD, 1)
    assert fault.detail.startswith("sGWRecord")


def test_blocks_join_to_one_file() -> None:
    """More records than a block holds, from several nodes and with faults, keep their places."""
    records = [
        pgw({0x85: integer(i), 0x92: b"NODE%d" % (i // 3000), 0x8E: integer(i % 90)})
        if i % 1000
        else b"\xbf\x4f\1"
        for i in range(9001)
    ]
    decoded = tgpp_file.decode(written(records))
    columns = decoded.columns
    whole = np.array([i for i in range(9001) if i % 1000])
    assert [fault.record_no - 1 for fault in decoded.faults] == list(range(0, 9001, 1000))
    assert np.array_equal(columns["chain_id"], whole)
    assert np.array_equal(columns["record_no"], whole + 1)
    named = [decoded.nodes[node] for node in columns["node"]]
    assert named == [f"NODE{i // 3000}" for i in whole]


@settings(max_examples=150)
@given(st.randoms(use_true_random=False), st.sampled_from(_FILES))
def test_damage_has_a_known_outcome(chance: random.Random, name: str) -> None:
    """Flipped bits and cut ends give a refused file, or rows and faults that add up; never more."""
    octets = bytearray((SAMPLES / name).read_bytes())
    for _ in range(chance.randint(1, 4)):
        octets[chance.randrange(54, len(octets))] ^= 1 << chance.randrange(8)
    cut = chance.choice([len(octets), len(octets), chance.randint(54, len(octets))])
    raw = bytes(octets[:cut])
    if chance.random() < 0.5:  # With a header that tells the true length, damage reaches deeper.
        raw = len(raw).to_bytes(4, "big") + raw[4:]
    decoded = _outcome(raw, name)
    if isinstance(decoded, int):
        assert 0 <= decoded <= len(raw)
        return
    counted = np.unique(decoded.columns["record_no"])
    assert len(counted) + len(decoded.faults) == decoded.record_count
    assert (decoded.columns["octets_up"] >= 0).all()
    framed = {
        (int(o), int(n))
        for o, n in zip(decoded.columns["offset"], decoded.columns["length"], strict=True)
    }
    framed |= {(fault.offset, fault.length) for fault in decoded.faults}
    assert sum(length + 5 for _, length in framed) + 54 == len(raw)
