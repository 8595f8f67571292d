"""A decoded file: columns of record parts, and the records that could not be read.

One row is one *part* of a record: a packet record that measures two rating groups has two parts
under one record number. Every framed record is either in the columns or in the faults, never in
both and never in neither, so that a control account can tie what came in to what became of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid

Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Octets = NDArray[np.uint8]
Columns = dict[str, NDArray[Any]]

VOICE_MO = 1
VOICE_MT = 2
SMS_MO = 3
SMS_MT = 4
DATA = 5
CONTENT = 6  # a purchase: nothing is used, it has a price
KINDS = {
    "voice_mo": VOICE_MO,
    "voice_mt": VOICE_MT,
    "sms_mo": SMS_MO,
    "sms_mt": SMS_MT,
    "data": DATA,
    "content": CONTENT,
}

# Why a framed record is not in the columns.
UNDECODABLE = "undecodable"
UNSUPPORTED_RECORD = "unsupported_record"
BAD_LINE = "bad_line"

# The columns every format gives, with their exact types. Absent is -1 unless said otherwise.
COLUMNS: dict[str, str] = {
    "record_no": "<i4",  # 1-based, in file order
    "part_no": "<i2",  # 1-based within the record
    "offset": "<i8",  # of the record's first octet in the file
    "length": "<i4",  # of the record in octets
    "kind": "<i2",  # one of KINDS
    "imsi": "<i8",
    "msisdn": "<i8",  # served number, normalised E.164
    "other": "<i8",  # base-11 code of the other party's normalised number, 0 none
    "other_text": "|S24",  # the other party as the record writes it
    "started_at": "<i8",  # UTC epoch seconds
    "utc_offset_min": "<i2",  # of the clock that wrote the record
    "duration_s": "<i8",  # on the first part only, so that sums over parts are sums over records
    "octets_up": "<i8",
    "octets_down": "<i8",
    "rating_group": "<i4",  # 0 none
    "serving_plmn": "<i4",  # MCC and MNC as one number, 0 none
    "chain_id": "<i8",  # charging id or call reference
    "chain_seq": "<i4",  # place in a chain of partial records
    "cause": "<i2",  # why the record was closed or the call ended, as the standard codes it
    "message_ref": "<i8",
    "node": "<i2",  # index in Decoded.nodes; a record that names no node points at ""
}
# The price that an event brings, of formats that have one; all four or none.
PRICES: dict[str, str] = {
    "service": "|S64",  # by whose terms it is priced; empty where it brings no price
    "price_micro": "<i8",  # millionths of the currency, of either sign; NO_PRICE where it lacks
    "currency": "|S3",  # empty where it lacks
    "with_vat": "<i1",  # 1 where the price includes VAT
}
# What some formats know beyond that; same rows as the columns.
DETAILS: dict[str, str] = {
    "local_seq": "<i8",  # the node's own record counter
    "rat_type": "<i2",  # radio access technology
    "apn": "<i4",  # index in Decoded.apns
    "number_type": "<i2",  # type of number of the other party, 3GPP coding
    **PRICES,
}

_ABSENT = {"other": 0, "rating_group": 0, "serving_plmn": 0, "node": 0, "other_text": b""}
_ZERO = {"duration_s", "octets_up", "octets_down", "started_at", "utc_offset_min"}


@dataclass(frozen=True)
class Fault:
    """A framed record that could not be read: where it lies, and at which octet reading stopped."""

    record_no: int  # 1-based
    offset: int  # of the record in the file
    length: int  # of the record in octets
    reason: str  # a code: undecodable, unsupported_record, bad_line
    detail: str  # a sentence for the person who looks into it
    at: int  # offset in the file of the octet that is wrong
    line: int | None = None  # 1-based, for text files


@dataclass(frozen=True)
class YearlessTime:
    """A time stamp of a TS 32.297 file header: it tells no year."""

    month: int
    day: int
    hour: int
    minute: int
    offset_min: int  # local clock ahead of UTC

    def near(self, epoch_s: int) -> int:
        """Return the UTC epoch second of this stamp in the year that lies nearest to `epoch_s`."""
        year = datetime.fromtimestamp(epoch_s, UTC).year
        found = [self._in_year(y) for y in range(max(year - 4, 1), year + 5)]
        return min((e for e in found if e is not None), key=lambda e: abs(e - epoch_s))

    def _in_year(self, year: int) -> int | None:
        try:
            local = datetime(year, self.month, self.day, self.hour, self.minute, tzinfo=UTC)
        except ValueError:  # 29 February exists only in leap years.
            return None
        return int((local - timedelta(minutes=self.offset_min)).timestamp())


@dataclass(frozen=True)
class Lost:
    """What a file header says about records lost before the file was written."""

    indicator: int  # as written, 0 to 255
    at_least: int  # records lost
    exact: bool  # `at_least` is the number, not a lower bound


@dataclass(frozen=True)
class FileHeader:
    """What a file says about itself; None where its format has no such word."""

    format: str
    declared_count: int | None = None
    sequence: int | None = None
    node: str | None = None
    release: int | None = None
    opened: YearlessTime | None = None
    last_append: YearlessTime | None = None
    closure_reason: int | None = None
    lost: Lost | None = None
    subject: str | None = None  # whose usage it is, where the file name tells


@dataclass(frozen=True)
class Decoded:
    """A whole file as columns, one row per record part, in file order.

    Raises
    ------
    Invalid : a column is missing, of another type or length; a record counts twice or never.
    """

    header: FileHeader
    columns: Columns
    nodes: tuple[str, ...]
    faults: tuple[Fault, ...]
    record_count: int  # framed records: those in the columns and those in the faults
    details: Columns = field(default_factory=dict)
    apns: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        rows = check_columns(self.columns, COLUMNS)
        check_columns(self.details, {n: DETAILS[n] for n in self.details}, rows)
        record_no = self.columns["record_no"]
        faulty = np.array([f.record_no for f in self.faults], np.int64)
        seen = np.concatenate((record_no[self.columns["part_no"] == 1].astype(np.int64), faulty))
        if not np.array_equal(np.sort(seen), np.arange(1, self.record_count + 1)):
            raise Invalid(
                f"{self.record_count} records were framed, but rows and faults tell of others. "
                "Each record belongs in the columns or in the faults, once.",
                framed=self.record_count,
                found=len(seen),
            )
        if rows and int(self.columns["node"].max()) >= len(self.nodes):
            raise Invalid("A row names a node that the file has not.", nodes=len(self.nodes))


def check_columns(columns: Columns, types: Mapping[str, str], rows: int | None = None) -> int:
    """Check names, types and equal lengths; return the number of rows.

    Raises
    ------
    Invalid : naming the column that is missing, unknown, of another type or of another length.
    """
    if columns.keys() != types.keys():
        odd = sorted(columns.keys() ^ types.keys())
        raise Invalid(f"These columns are missing or unknown: {', '.join(odd)}.", columns=odd)
    for name, column in columns.items():
        rows = len(column) if rows is None else rows
        if column.dtype != np.dtype(types[name]) or column.shape != (rows,):
            raise Invalid(
                f"Column {name} is {column.dtype} {column.shape}, not {types[name]} ({rows},).",
                column=name,
            )
    return rows or 0


def fill_columns(rows: int, given: Mapping[str, Any]) -> Columns:
    """Build all columns of `rows` rows: those given, cast to their type, and absent for the rest.

    The caller has checked the ranges: casting never loses a digit here.
    """
    filled: Columns = {}
    for name, kind in COLUMNS.items():
        if name in given:
            filled[name] = np.asarray(given[name]).astype(kind, copy=False)
        else:
            filled[name] = np.full(rows, 0 if name in _ZERO else _ABSENT.get(name, -1), kind)
    return filled


def join_columns(blocks: Sequence[Columns], types: Mapping[str, str]) -> Columns:
    """Lay the columns of blocks end to end; no block at all gives columns of no rows."""
    return {
        name: np.concatenate([np.zeros(0, kind), *(block[name] for block in blocks)])
        for name, kind in types.items()
    }
