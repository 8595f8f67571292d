"""Usage in CSV files, read by layouts that are data: see `layouts/*.toml`.

A layout names its header line, which is also its signature, and says which column is what. A bad
line becomes a fault with its line number; the other lines go on.
"""

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ledger.errors import Invalid
from mediation.formats.numbers import TEXT_DIGITS, encode_number, normalise
from mediation.formats.problems import BrokenFile
from mediation.records import (
    BAD_LINE,
    COLUMNS,
    CONTENT,
    DATA,
    KINDS,
    PRICES,
    SMS_MO,
    SMS_MT,
    Columns,
    Decoded,
    Fault,
    FileHeader,
    fill_columns,
    join_columns,
)
from mediation.screening import name_code
from rating.usage import NO_PRICE

_FORMAT = "hovedbok-usage-layout/1"
_LINE_OCTETS = 65_536
_ROWS_A_BLOCK = 4_000
_YEARS = (2000, 2100)
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_AMOUNT = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}")
_PRICED = {"service", "price", "currency", "with_vat"}
_READABLE = {"msisdn", "other", "started_at", "duration_s", "octets_up", "octets_down",
             "reference", *_PRICED}  # fmt: skip
_SERVICE_OCTETS = int(PRICES["service"].removeprefix("|S"))


@dataclass(frozen=True)
class Layout:
    """How the lines of one kind of CSV file are read."""

    name: str
    title: str
    header: tuple[str, ...]
    optional: tuple[str, ...]
    time_zone: ZoneInfo
    time_format: str
    subject_in_name: re.Pattern[str] | None
    columns: Mapping[str, str]  # what -> name of the CSV column
    kind_columns: tuple[str, ...]  # their values, joined by commas, choose the kind
    kind_filled: str | None  # or: "yes" where this column is filled, "no" where it is not
    kinds: Mapping[str, int]


class _BadLine(Exception):
    """A line that cannot be read, and why."""


@cache
def layouts() -> tuple[Layout, ...]:
    """Load all layouts, in order of name."""
    folder = files("mediation.formats").joinpath("layouts")
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(read_layout(f.read_text("utf-8")) for f in found)


def read_layout(text: str) -> Layout:
    """Read a layout.

    Raises
    ------
    Invalid : it is of another format, or reads a column that its header has not.
    """
    given = tomllib.loads(text)
    name = str(given.get("name"))
    if given.get("format") != _FORMAT:
        raise Invalid(f"Layout {name} is not of format {_FORMAT}.", layout=name)
    kind = given["kind"]
    layout = Layout(
        name=name,
        title=given["title"],
        header=tuple(given["header"]),
        optional=tuple(given.get("optional", ())),
        time_zone=ZoneInfo(given["time_zone"]),
        time_format=given["time_format"],
        subject_in_name=_pattern(given.get("subject_in_name")),
        columns=given["columns"],
        kind_columns=tuple(kind.get("columns", ())),
        kind_filled=kind.get("filled"),
        kinds={key: KINDS[value] for key, value in kind["values"].items()},
    )
    used = {*layout.columns.values(), *layout.kind_columns, layout.kind_filled or layout.header[0]}
    odd = sorted((used - {*layout.header, *layout.optional}) | (layout.columns.keys() - _READABLE))
    if odd or "started_at" not in layout.columns:
        raise Invalid(f"Layout {name} reads what is not there: {', '.join(odd)}.", layout=name)
    return layout


def match_layout(head: bytes) -> Layout | None:
    """Return the layout whose header line a file begins with, if any."""
    columns = _header_line(head)
    for layout in layouts():
        extra = columns[len(layout.header) :]
        if columns[: len(layout.header)] == layout.header and set(extra) <= set(layout.optional):
            return layout
    return None


def decode(raw: bytes, layout: Layout, name: str) -> Decoded:
    """Decode a file of usage lines.

    Parameters
    ----------
    raw : the file; UTF-8, one record per line.
    name : its name, which may tell whose usage it is.

    Raises
    ------
    BrokenFile : the layout takes the subject from the file name, and the name does not tell it.
    """
    subject = _subject(layout, name)
    names = _header_line(raw)
    kept = _Kept()
    faults: list[Fault] = []
    record_no = 0
    for line_no, offset, line in _lines(raw):
        record_no += 1
        place = {"record_no": record_no, "part_no": 1, "offset": offset, "length": len(line)}
        try:
            kept.add(place | _read_line(line, names, layout, subject))
        except _BadLine as why:
            sentence = f"Line {line_no}: {why}"
            faults.append(Fault(record_no, offset, len(line), BAD_LINE, sentence, offset, line_no))
    columns, prices = kept.whole()
    return Decoded(
        header=FileHeader(format=layout.name, subject=subject),
        columns=columns,
        nodes=("",),
        faults=tuple(faults),
        record_count=record_no,
        details=prices,
    )


class _Kept:
    """The rows read so far, as columns but for the last: a row alone takes ten times the memory."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._blocks: list[Columns] = []
        self._prices: list[Columns] = []

    def add(self, row: dict[str, Any]) -> None:
        """Take a row in; all rows of a file have the same keys."""
        self._rows.append(row)
        if len(self._rows) == _ROWS_A_BLOCK:
            self._close()

    def whole(self) -> tuple[Columns, Columns]:
        """Give the columns of all rows, and those of PRICES where the file has them."""
        self._close()
        priced = {name: PRICES[name] for name in PRICES if self._prices and self._prices[0]}
        return join_columns(self._blocks, COLUMNS), join_columns(self._prices, priced)

    def _close(self) -> None:
        if not self._rows:
            return
        given = {key: [row[key] for row in self._rows] for key in self._rows[0]}
        self._prices.append({
            name: np.array(given.pop(name), kind) for name, kind in PRICES.items() if name in given
        })  # fmt: skip
        arrays = {key: np.array(values) for key, values in given.items()}
        self._blocks.append(fill_columns(len(self._rows), arrays))
        self._rows = []


def _lines(raw: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Walk the lines after the header: line number, offset, octets without the line end."""
    line_no = offset = 0
    while offset < len(raw):
        line_no += 1
        end = raw.find(b"\n", offset)
        end = len(raw) if end < 0 else end
        text = raw[offset:end].removesuffix(b"\r")
        if line_no > 1 and text:
            yield line_no, offset, text
        offset = end + 1


def _read_line(
    line: bytes, names: tuple[str, ...], layout: Layout, subject: str | None
) -> dict[str, Any]:
    """Read one line into values of records.COLUMNS, and of PRICES where it may bring one."""
    values = _split(line, names)
    kind = _kind(layout, values)
    given = {what: values[name] for what, name in layout.columns.items() if name in values}
    started_at, offset_min = _time(layout, given["started_at"])
    served = normalise((given.get("msisdn", subject) or "").removeprefix("+"))
    if "msisdn" in given and not served:
        raise _BadLine(f"{given['msisdn']!r} is no telephone number.")
    other = given.get("other", "").removeprefix("+")
    if len(other) > TEXT_DIGITS or not other.isascii():
        raise _BadLine(f"The other party has more than {TEXT_DIGITS} ASCII characters.")
    no_duration = kind in {SMS_MO, SMS_MT, DATA, CONTENT}
    price = _price(layout, given)
    if kind == CONTENT and not given.get("service"):
        raise _BadLine(f"Column {_named(layout, 'service')}: content needs a service.")
    reference = _reference(given)
    return {
        "kind": kind,
        "msisdn": int(served) if served else -1,
        "other": encode_number(normalise(other)),
        "other_text": other.encode("ascii"),
        "started_at": started_at,
        "utc_offset_min": offset_min,
        "duration_s": _integer("duration", given.get("duration_s", ""), 2**31, empty=no_duration),
        "octets_up": _integer("octets", given.get("octets_up", ""), 2**44, empty=True),
        "octets_down": _integer("octets", given.get("octets_down", ""), 2**44, empty=True),
        "chain_id": reference,
        "message_ref": reference,
        **price,
    }


def _price(layout: Layout, given: Mapping[str, str]) -> dict[str, Any]:
    """Read the price that an event brings, where the heading has columns for one."""
    if not _PRICED & given.keys():
        return {}
    service, price = given.get("service", ""), given.get("price", "")
    currency, with_vat = given.get("currency", ""), given.get("with_vat", "")
    found = _AMOUNT.fullmatch(price)
    for what, wrong, told in (
        ("service", price and not service, "a price needs a service, by whose terms it is sold"),
        ("service", len(service.encode()) > _SERVICE_OCTETS,
         f"it has more than {_SERVICE_OCTETS} octets"),
        ("price", price and not found, f"{price!r} is no amount such as -29.00, of six decimals"),
        ("currency", (price or currency) and not _CURRENCY.fullmatch(currency),
         f"{currency!r} is no currency such as NOK"),
        ("with_vat", (price or with_vat) and with_vat not in {"yes", "no"},
         f"{with_vat!r} is neither yes nor no"),
    ):  # fmt: skip
        if wrong:
            raise _BadLine(f"Column {_named(layout, what)}: {told}.")
    micro = NO_PRICE
    if found is not None:
        sign, whole, part = found.groups("")
        micro = int(f"{sign}{whole}{part.ljust(6, '0')}")
    return {
        "service": service.encode(),
        "price_micro": micro,
        "currency": currency.encode(),
        "with_vat": int(with_vat == "yes"),
    }


def _reference(given: Mapping[str, str]) -> int:
    """Give the number of what its sender calls an event, -1 where it has no name."""
    name = given.get("reference", "")
    # Of another service the same name is another event.
    return name_code(f"{given.get('service', '')}/{name}") & (2**63 - 1) if name else -1


def _named(layout: Layout, what: str) -> str:
    """Name the column of a layout, or what it should have a column for."""
    return layout.columns.get(what, what)


def _split(line: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """Split a line into its columns by name."""
    if len(line) > _LINE_OCTETS:
        raise _BadLine(f"It is longer than {_LINE_OCTETS} octets.")
    try:
        values = next(csv.reader([line.decode("utf-8")], strict=True))
    except (UnicodeDecodeError, csv.Error, StopIteration) as why:
        raise _BadLine("It is no line of comma-separated UTF-8 text.") from why
    if len(values) != len(names):
        raise _BadLine(f"It has {len(values)} columns, the header {len(names)}.")
    return dict(zip(names, (value.strip() for value in values), strict=True))


def _kind(layout: Layout, values: Mapping[str, str]) -> int:
    """Choose the kind of record."""
    key = ",".join(values[column] for column in layout.kind_columns)
    if layout.kind_filled:
        key = "yes" if values[layout.kind_filled] else "no"
    if key not in layout.kinds:
        raise _BadLine(f"{key!r} is no kind of usage; known are {', '.join(layout.kinds)}.")
    return layout.kinds[key]


def _time(layout: Layout, text: str) -> tuple[int, int]:
    """Read a time: UTC epoch seconds, clock offset in minutes.

    Without an offset of its own it is local time of the layout's zone. An hour that comes twice is
    read as the first of the two; a time that the change to summer time skips is refused.
    """
    try:
        read = datetime.strptime(text, layout.time_format)  # noqa: DTZ007  The zone comes next.
    except ValueError as why:
        raise _BadLine(f"{text!r} is no time as {layout.time_format}.") from why
    if not _YEARS[0] <= read.year < _YEARS[1]:  # As the two digits of a network record are read.
        raise _BadLine(f"{text!r} is not of this century.")
    moment = read if read.tzinfo else read.replace(tzinfo=layout.time_zone)
    back = moment.astimezone(UTC).astimezone(layout.time_zone)
    if not read.tzinfo and back.replace(tzinfo=None) != read:
        raise _BadLine(f"{text!r} does not exist in {layout.time_zone.key}.")
    offset = moment.utcoffset()
    assert offset is not None
    return int(moment.timestamp()), int(offset.total_seconds()) // 60


def _integer(what: str, text: str, limit: int, *, empty: bool) -> int:
    """Read a count; empty is 0 where it may be empty."""
    if empty and not text:
        return 0
    if not _INTEGER.fullmatch(text) or int(text) >= limit:
        raise _BadLine(f"The {what} {text!r} is no whole number below {limit}.")
    return int(text)


def _header_line(head: bytes) -> tuple[str, ...]:
    """Read the names of the columns in the first line."""
    line = head[:_LINE_OCTETS].partition(b"\n")[0].removeprefix(b"\xef\xbb\xbf")
    return tuple(name.strip() for name in line.decode("utf-8", "replace").split(","))


def _subject(layout: Layout, name: str) -> str | None:
    """Return whose usage the file holds, where its name tells."""
    if layout.subject_in_name is None:
        return None
    found = layout.subject_in_name.fullmatch(name)
    if not found:
        raise BrokenFile(
            f"The name of the file does not tell whose usage it is. Name it after the pattern "
            f"{layout.subject_in_name.pattern} and send it again.",
            offset=0,
        )
    return found["subject"]


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return re.compile(text) if text else None
