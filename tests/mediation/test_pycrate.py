"""Our reader against pycrate, an independent one that knows the whole standard, if it is there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mediation.formats import decode, recognise
from mediation.records import DATA, Decoded
from tests.mediation.octets import SAMPLES

pytest.importorskip("pycrate_asn1dir", reason="pycrate, the independent reader, is not installed")
from pycrate_asn1dir import CDR

_PGW_FILES = sorted(path.name for path in SAMPLES.glob("OSLPGW1_-_*"))
_MSC_FILES = sorted(path.name for path in SAMPLES.glob("OSLMSC1*.ber"))


def _digits(packed: bytes) -> str:
    """Unpack TBCD: the hexadecimal text with every pair turned."""
    text = packed.hex()
    return "".join(text[i + 1] + text[i] for i in range(0, len(text), 2)).rstrip("f")


def _time(stamp: bytes) -> tuple[int, int]:
    """Read a time stamp through the standard library."""
    text = stamp[:6].hex() + chr(stamp[6]) + stamp[7:].hex()
    moment = datetime.strptime(text, "%y%m%d%H%M%S%z")
    offset = moment.utcoffset()
    assert offset is not None
    return int(moment.timestamp()), int(offset.total_seconds()) // 60


def _rows(name: str) -> tuple[bytes, Decoded, list[dict[str, Any]]]:
    raw = (SAMPLES / name).read_bytes()
    decoded = decode(raw, recognise(name, raw[:4096], len(raw)))
    count = len(decoded.columns["kind"])
    rows = [{n: c[i].item() for n, c in decoded.columns.items()} for i in range(count)]
    return raw, decoded, rows


@pytest.mark.parametrize("name", _PGW_FILES)
def test_packet_records(name: str) -> None:
    """Every value of every sample record is what pycrate reads."""
    raw, decoded, rows = _rows(name)
    reader = CDR.GPRSChargingDataTypes.GPRSRecord
    for row in rows:
        reader.from_ber(raw[row["offset"] : row["offset"] + row["length"]])
        kind, told = reader.get_val()
        assert (kind, row["kind"]) == ("pGWRecord", DATA)
        assert row["imsi"] == int(_digits(told["servedIMSI"]))
        msisdn = told.get("servedMSISDN")
        assert row["msisdn"] == (int(_digits(msisdn[1:])) if msisdn else -1)
        assert (row["started_at"], row["utc_offset_min"]) == _time(told["recordOpeningTime"])
        assert row["chain_id"] == told["chargingID"]
        assert row["chain_seq"] == told.get("recordSequenceNumber", -1)
        assert row["cause"] == told["causeForRecClosing"]
        assert decoded.nodes[row["node"]] == told["nodeID"]
        assert row["duration_s"] == (told["duration"] if row["part_no"] == 1 else 0)
        of_group = [c for c in told["listOfServiceData"] if c["ratingGroup"] == row["rating_group"]]
        assert row["octets_up"] == sum(c.get("datavolumeFBCUplink", 0) for c in of_group)
        assert row["octets_down"] == sum(c.get("datavolumeFBCDownlink", 0) for c in of_group)


@pytest.mark.parametrize("name", _MSC_FILES)
def test_switch_records(name: str) -> None:
    """So is every value of the calls and messages."""
    raw, _, rows = _rows(name)
    readers = {
        0xA0: CDR.CSChargingDataTypes.MOCallRecord,
        0xA1: CDR.CSChargingDataTypes.MTCallRecord,
        0xA6: CDR.CSChargingDataTypes.MOSMSRecord,
    }
    for row in rows:
        record = raw[row["offset"] : row["offset"] + row["length"]]
        reader = readers[record[0]]
        reader.from_ber(b"\x31" + record[1:])  # The record's own tag, not that of the choice.
        told = reader.get_val()
        other = told.get("calledNumber" if record[0] == 0xA0 else "callingNumber")
        other = other or told["destinationNumber"]
        assert row["imsi"] == int(_digits(told["servedIMSI"]))
        assert row["msisdn"] == int(_digits(told["servedMSISDN"][1:]))
        assert row["other_text"] == _digits(other[1:]).encode()
        time = told.get("answerTime") or told["originationTime"]
        assert (row["started_at"], row["utc_offset_min"]) == _time(time)
        assert row["duration_s"] == told.get("callDuration", 0)
        assert row["cause"] == told.get("causeForTerm", -1)
        assert row["chain_id"] == int.from_bytes(told.get("callReference", b"")) or row["kind"] == 3
        assert row["chain_seq"] == told.get("sequenceNumber", -1)
        reference = told.get("messageReference")
        assert row["message_ref"] == (int.from_bytes(reference) if reference else -1)
