"""The records of OCR giro: lines of 80 characters, laid out as the bank's specification lays them.

This layer knows columns, digits and dates; `ocr_giro` knows what the records mean together.

Source: OCR giro, system specification (Mastercard Payment Services). Positions are 1-based,
both inclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from mediation.formats.problems import BrokenFile

WIDTH = 80
SERVICE = "09"  # OCR giro
MARK = b"\xef\xbb\xbf"  # Some transports put a byte-order mark in front.

DIGITS, DATE, TEXT, SIGN, ACCOUNT, FILLER = "digits", "date", "text", "sign", "account", "filler"

_CENTURY = 80  # DDMMYY: years 80 to 99 are of the last century.
_AGAIN = "Nothing of the file is used. Fetch it again from the bank."


class ServiceNotRead(BrokenFile):
    """The file is sound, but holds another service than OCR giro."""

    title = "Service of the bank file is not read"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: positions from 1, both ends included."""

    name: str
    first: int
    last: int
    kind: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of record: its code (positions 7-8), the service it belongs to, its fields."""

    code: str
    title: str
    service: str
    fields: tuple[Field, ...]


TRANSMISSION_START = Layout(
    "10", "start of transmission", "00",
    (
        Field("sender", 9, 16, DIGITS),
        Field("number", 17, 23, DIGITS),
        Field("recipient", 24, 31, DIGITS),
        Field("filler", 32, 80, FILLER),
    ),
)  # fmt: skip
ASSIGNMENT_START = Layout(
    "20", "start of assignment", SERVICE,
    (
        Field("agreement", 9, 17, DIGITS),
        Field("number", 18, 24, DIGITS),
        Field("account", 25, 35, DIGITS),
        Field("filler", 36, 80, FILLER),
    ),
)  # fmt: skip
ITEM_1 = Layout(
    "30", "amount item 1", SERVICE,
    (
        Field("tx_no", 9, 15, DIGITS),
        Field("settled", 16, 21, DATE),
        Field("centre", 22, 23, DIGITS),
        Field("day_code", 24, 25, DIGITS),
        Field("part", 26, 26, DIGITS),
        Field("serial", 27, 31, DIGITS),
        Field("sign", 32, 32, SIGN),
        Field("amount", 33, 49, DIGITS),
        Field("kid", 50, 74, TEXT),
        Field("card_issuer", 75, 76, DIGITS),
        Field("filler", 77, 80, FILLER),
    ),
)  # fmt: skip
ITEM_2 = Layout(
    "31", "amount item 2", SERVICE,
    (
        Field("tx_no", 9, 15, DIGITS),
        Field("form_no", 16, 25, DIGITS),
        Field("reference", 26, 34, TEXT),
        Field("filler", 35, 41, FILLER),
        Field("bank_date", 42, 47, DATE),
        Field("debit_account", 48, 58, ACCOUNT),
        Field("filler", 59, 80, FILLER),
    ),
)  # fmt: skip
ITEM_3 = Layout(
    "32", "amount item 3", SERVICE,
    (
        Field("tx_no", 9, 15, DIGITS),
        Field("text", 16, 55, TEXT),
        Field("filler", 56, 80, FILLER),
    ),
)  # fmt: skip
ASSIGNMENT_END = Layout(
    "88", "end of assignment", SERVICE,
    (
        Field("transactions", 9, 16, DIGITS),
        Field("records", 17, 24, DIGITS),
        Field("sum", 25, 41, DIGITS),
        Field("settled", 42, 47, DATE),
        Field("earliest", 48, 53, DATE),
        Field("latest", 54, 59, DATE),
        Field("filler", 60, 80, FILLER),
    ),
)  # fmt: skip
TRANSMISSION_END = Layout(
    "89", "end of transmission", "00",
    (
        Field("transactions", 9, 16, DIGITS),
        Field("records", 17, 24, DIGITS),
        Field("sum", 25, 41, DIGITS),
        Field("settled", 42, 47, DATE),
        Field("filler", 48, 80, FILLER),
    ),
)  # fmt: skip

LAYOUTS: Mapping[str, Layout] = {
    layout.code: layout
    for layout in (
        TRANSMISSION_START, ASSIGNMENT_START, ITEM_1, ITEM_2, ITEM_3, ASSIGNMENT_END,
        TRANSMISSION_END,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """One line whose fields are of their kinds, and where it stands in the file."""

    line_no: int
    kind: int  # type of transaction, 0 for records that are not amount items
    layout: Layout
    values: Mapping[str, str]

    def digits(self, field: str) -> str:
        """Give a field as it is written."""
        return self.values[field]

    def number(self, field: str) -> int:
        """Give a field of digits as a number."""
        return int(self.values[field])

    def text(self, field: str) -> str | None:
        """Give a text without the blanks around it; None where there are only blanks."""
        return self.values[field].strip(" ") or None

    def day(self, field: str) -> date | None:
        """Give a date; None where it is all zeros."""
        return read_day(self.values[field])


def read_records(raw: bytes, name: str) -> list[Record]:
    """Cut a file into records and check every field against its kind.

    Lines end in CRLF or LF; a byte-order mark in front and blank lines at the end are passed over.

    Raises
    ------
    BrokenFile : with file, line and position.
    ServiceNotRead : a record of another service than 09.
    """
    lines = raw.removeprefix(MARK).decode("iso-8859-1").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1].strip(" \r"):
        lines.pop()
    return [_read_record(line, line_no, name) for line_no, line in enumerate(lines, 1)]


def read_day(digits: str) -> date | None:
    """Read DDMMYY; None for zeros. Raises ValueError where there is no such day."""
    if not digits.strip("0"):
        return None
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    return date(year + (1900 if year >= _CENTURY else 2000), month, day)


def broken(name: str, line_no: int, sentence: str, **facts: object) -> BrokenFile:
    """Make the refusal of a file: where, what, and what to do."""
    return BrokenFile(
        f"{name}, line {line_no}: {sentence} {_AGAIN}", file=name, line=line_no, **facts
    )


def _read_record(line: str, line_no: int, name: str) -> Record:
    if len(line) != WIDTH:
        raise broken(
            name, line_no, f"the record has {len(line)} characters, not {WIDTH}.",
            expected=WIDTH, found=len(line),
        )  # fmt: skip
    layout, kind = _read_head(line, line_no, name)
    values = {}
    for field in layout.fields:
        written = line[field.first - 1 : field.last]
        fault = _fault(written, field.kind)
        if fault is not None:
            place, wanted = fault
            raise broken(
                name, line_no,
                f"position {field.first + place} ({layout.title}, {field.name}, "
                f"{field.first}-{field.last}) must be {wanted}, not {written[place]!r}; "
                f"the field is {written!r}.",
                position=field.first + place, field=field.name, found=written,
            )  # fmt: skip
        values[field.name] = written
    return Record(line_no, kind, layout, values)


def _read_head(line: str, line_no: int, name: str) -> tuple[Layout, int]:
    """Read NY, service, type and record code."""
    service, kind, code = line[2:4], line[4:6], line[6:8]
    if line[:2] != "NY":
        raise broken(name, line_no, f"position 1 must be NY, not {line[:2]!r}.", position=1)
    if service not in {"00", SERVICE}:
        raise ServiceNotRead(
            f"{name}, line {line_no}: position 3 names service {service!r}; only {SERVICE}, OCR "
            "giro, is read. Nothing of the file is used. Ask the bank for OCR giro alone.",
            file=name, line=line_no, position=3, service=service,
        )  # fmt: skip
    layout = LAYOUTS.get(code)
    if layout is None or layout.service != service:
        raise broken(
            name, line_no, f"position 7 names record {code!r}, unknown in service {service}.",
            position=7, found=code,
        )  # fmt: skip
    if layout not in {ITEM_1, ITEM_2, ITEM_3}:
        if kind != "00":
            raise broken(
                name, line_no, f"position 5 must be 00 in {layout.title}, not {kind!r}.",
                position=5, found=kind,
            )  # fmt: skip
    elif not (kind.isascii() and kind.isdigit() and 10 <= int(kind) <= 21):
        raise broken(
            name, line_no, f"position 5 names transaction type {kind!r}, which is not 10 to 21.",
            position=5, found=kind,
        )  # fmt: skip
    return layout, int(kind)


def _fault(written: str, kind: str) -> tuple[int, str] | None:
    """Find what a field may not hold: its place in the field and what was wanted."""
    # Banks put marks of their own where the specification says zero, so a filler is not judged.
    if kind in {TEXT, FILLER}:
        return _first(written, lambda char: " " <= char <= "~" or char >= "\xa0", "a character")
    if kind == SIGN:
        return None if written in {"-", "0"} else (0, "'-' or '0'")
    if kind == ACCOUNT and not written.strip(" "):
        return None
    fault = _first(written, lambda char: "0" <= char <= "9", "a digit")
    if fault is None and kind == DATE:
        try:
            read_day(written)
        except ValueError:
            return 0, "a date DDMMYY"
    return fault


def _first(written: str, allowed: Callable[[str], bool], wanted: str) -> tuple[int, str] | None:
    for place, char in enumerate(written):
        if not allowed(char):
            return place, wanted
    return None
