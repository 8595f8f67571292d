"""Packet gateway records: PGWRecord of TS 32.298, one part per rating group.

The octets of a record are listed per rating group in its service data containers. A gateway without
flow-based charging lists them in traffic volume containers instead. Where both are there they tell
of the same octets, so only the service data counts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mediation.formats.ber import Group, Malformed, read_header
from mediation.formats.blocks import Family, Parts, as_text
from mediation.formats.fields import VOLUME_LIMIT, Block
from mediation.formats.lockstep import Grammar, Table
from mediation.records import DATA, Bool, Int64, Octets

PGW_TAG = 0xBF4F  # [79] of GPRSRecord
_RECORD_TYPE = 85

_SERVICE = Group(  # ChangeOfServiceCondition
    values={0x81: "rating_group", 0x8C: "up", 0x8D: "down"},
    table="service",
)
_TRAFFIC = Group(  # ChangeOfCharCondition
    values={0x83: "up", 0x84: "down"},
    table="traffic",
)
_PGW_RECORD = Group(
    values={
        0x80: "recordType",
        0x83: "servedIMSI",
        0x85: "chargingID",
        0x87: "accessPointNameNI",
        0x8D: "recordOpeningTime",
        0x8E: "duration",
        0x8F: "causeForRecClosing",
        0x91: "recordSequenceNumber",
        0x92: "nodeID",
        0x94: "localSequenceNumber",
        0x96: "servedMSISDN",
        0x9B: "servingNodePLMNIdentifier",
        0x9E: "rATType",
    },
    groups={
        0xAC: Group(groups={0x30: _TRAFFIC}),  # listOfTrafficVolumes
        0xBF22: Group(groups={0x30: _SERVICE}),  # listOfServiceData
    },
)
_GPRS_RECORDS = {
    0xB4: "sgsnPDPRecord",
    0xB6: "sgsnMMRecord",
    0xB7: "sgsnSMORecord",
    0xB8: "sgsnSMTRecord",
    0xB9: "sgsnMTLCSRecord",
    0xBA: "sgsnMOLCSRecord",
    0xBB: "sgsnNILCSRecord",
    0xBF4C: "sgsnMBMSRecord",
    0xBF4D: "ggsnMBMSRecord",
    0xBF4E: "sGWRecord",
    0xBF56: "gwMBMSRecord",
    0xBF5C: "tDFRecord",
    0xBF5F: "iPERecord",
    0xBF60: "ePDGRecord",
    0xBF61: "tWAGRecord",
}


def _parts(block: Block) -> Parts:
    """Make the rows of a block of PGWRecords."""
    block.require("duration")
    block.require("chargingID")
    kind = block.number("recordType", 2**15)
    table = block.table()
    at, size = table.cell("recordType")
    other = (size >= 0) & (kind != _RECORD_TYPE)
    block.refuse(
        table, other, at, f"The record type is not {_RECORD_TYPE} but the tag is PGWRecord."
    )
    started_at, utc_offset_min = block.time("recordOpeningTime")
    node, nodes = block.names("nodeID")
    apn, apns = block.names("accessPointNameNI")
    values = {
        "kind": np.full(len(started_at), DATA),
        "imsi": block.imsi("servedIMSI"),
        "msisdn": block.msisdn("servedMSISDN"),
        "started_at": started_at,
        "utc_offset_min": utc_offset_min,
        "serving_plmn": block.plmn("servingNodePLMNIdentifier"),
        "chain_id": block.count("chargingID", 2**32),
        "chain_seq": block.number("recordSequenceNumber", 2**31),
        "cause": block.number("causeForRecClosing", 2**15),
        "node": node,
    }
    duration = np.maximum(block.number("duration", 2**31), 0)
    details = {
        "local_seq": block.count("localSequenceNumber", 2**32),
        "rat_type": block.number("rATType", 2**15),
        "apn": apn,
    }
    record, measured = _measured(block)
    first = np.ones(len(record), np.bool_)
    first[1:] = record[1:] != record[:-1]
    spread: dict[str, Any] = {name: column[record] for name, column in values.items()}
    spread |= measured
    spread["duration_s"] = np.where(first, duration[record], 0)
    return Parts(record, spread, {n: c[record] for n, c in details.items()}, nodes, apns)


def _measured(block: Block) -> tuple[Int64, Mapping[str, Int64]]:
    """Sum the octets of every record per rating group: record index of each part, and its columns.

    Parts come in the order in which their rating groups first occur in the record. A record that
    measures nothing still has one part.
    """
    service, traffic = block.table("service"), block.table("traffic")
    group = block.count("rating_group", 2**31, service)
    _, size = service.cell("rating_group")
    absent = np.full(len(service.owner), -1)
    block.refuse(service, size < 0, absent, "A service data container has no rating group.")
    has_service = np.zeros(len(block.start), np.bool_)
    has_service[service.owner] = True
    plain = ~has_service[traffic.owner]
    bare = ~has_service
    bare[traffic.owner] = False
    none = np.flatnonzero(bare)
    record = np.concatenate((service.owner, traffic.owner[plain], none))
    rating_group = np.concatenate(
        (np.maximum(group, 0), np.zeros(len(record) - len(group), np.int64))
    )
    nothing = np.zeros(len(none), np.int64)
    up, down = (
        np.concatenate((_volume(block, n, service), _volume(block, n, traffic)[plain], nothing))
        for n in ("up", "down")
    )
    return _summed(record, rating_group, up, down)


def _volume(block: Block, name: str, table: Table) -> Int64:
    """Read a volume of every row of a table of containers; absent is nothing."""
    return np.maximum(block.count(name, VOLUME_LIMIT, table), 0)


def _summed(
    record: Int64, group: Int64, up: Int64, down: Int64
) -> tuple[Int64, Mapping[str, Int64]]:
    """Add up rows of the same record and rating group, in order of first occurrence per record."""
    place = np.arange(len(record))
    order = np.lexsort((place, group, record))
    key_record, key_group = record[order], group[order]
    opens = np.ones(len(order), np.bool_)
    opens[1:] = (key_record[1:] != key_record[:-1]) | (key_group[1:] != key_group[:-1])
    first = np.flatnonzero(opens)
    if not len(first):
        return record, {"rating_group": group, "octets_up": up, "octets_down": down}
    sums = [np.add.reduceat(column[order], first) for column in (up, down)]
    by_record = np.lexsort((place[order][first], key_record[first]))
    picked = first[by_record]
    measured = {
        "rating_group": key_group[picked],
        "octets_up": sums[0][by_record],
        "octets_down": sums[1][by_record],
    }
    return key_record[picked], measured


def _wanted(octets: Octets, start: Int64, end: Int64) -> Bool:
    """Tell which records are PGWRecords, by their tag."""
    first, second = divmod(PGW_TAG, 256)
    found: Bool = (octets[start] == first) & (octets[start + 1] == second) & (start < end)
    return found


def _kind_name(raw: bytes, start: int, end: int) -> str:
    """Name a record that is no PGWRecord."""
    try:
        tag = read_header(raw, start, end)[0]
    except Malformed:
        return "A record without a whole tag and length"
    return _GPRS_RECORDS.get(tag, f"Record tag {tag:#x}")


PGW = Family(
    name="pgw",
    grammar=Grammar(Group(groups={PGW_TAG: _PGW_RECORD})),
    details=("local_seq", "rat_type", "apn"),
    wanted=_wanted,
    kind_name=_kind_name,
    parts=_parts,
    node_name=as_text,
)
