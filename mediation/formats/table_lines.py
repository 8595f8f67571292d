"""Lists as comma-separated lines: what order files and subscription lists have in common.

The text is checked as a whole; then each row is read alone, so that a quotation mark that somebody
forgot costs one row and not the file.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from mediation.formats.problems import BrokenFile, EmptyFile

BOM = b"\xef\xbb\xbf"
BAD_ROW = "BAD_ROW"
_QUOTED_LINES = 4  # an address in quotation marks may go over so many lines
_CELL_LENGTH = 255  # Longer ones do not fit in the indexes of the tables they are for.
_YEARS = (2000, 2100)
_PHONE = re.compile(r"[1-9][0-9]{4,14}")
_IMSI = re.compile(r"[0-9]{14,15}")
# What XML, and so a workbook or an electronic invoice, cannot hold; line ends and tabs it can.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")

Row = TypeVar("Row")
# What somebody says a row should say, by the number of its line and the name of the column.
Corrections = Mapping[int, Mapping[str, str]]
NOTHING_CORRECTED: Corrections = {}


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that could not be read: where it stands, in which column, and why."""

    line_no: int  # 1-based
    column: str  # its name; empty where it is the row as a whole
    reason: str  # a code
    detail: str  # a sentence


class RowFile(Protocol):
    """What is read of any file of rows."""

    @property
    def rows(self) -> Sequence[object]:
        """Give the rows that could be read."""

    @property
    def faults(self) -> Sequence[RowFault]:
        """Give what is wrong with the others."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it stands: the number of its first line, and its cells."""

    line_no: int
    cells: tuple[str, ...] | None  # None: it is no row of comma-separated text


class BadCell(Exception):
    """A value that cannot be read: its column and why."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(why)
        self.column = column


def read_text(raw: bytes, name: str) -> str:
    """Decode a file.

    Raises
    ------
    EmptyFile : there is nothing in it.
    BrokenFile : it holds a NUL or is not UTF-8; says at which octet.
    """
    if not raw.removeprefix(BOM).strip():
        raise EmptyFile(f"{name} is empty. Fetch it again from its source.", file=name)
    offset = raw.find(b"\0")
    if offset < 0:
        try:
            return raw.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as why:
            offset = why.start
    what = "a NUL" if raw[offset] == 0 else f"octet {raw[offset]:#04x}, which is not UTF-8"
    raise BrokenFile(
        f"{name}, offset {offset}: {what}. Nothing of the file is used; send it as UTF-8 text.",
        file=name,
        offset=offset,
    )


def lines_of(text: str, width: int) -> Iterator[Line]:
    """Split text into rows by RFC 4180; empty lines are left out.

    Parameters
    ----------
    width : cells in a row; decides whether lines joined by quotation marks are one row.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    at = 0
    while at < len(lines):
        cells, used = _row(lines, at, width)
        if cells != ():
            yield Line(at + 1, cells)
        at += used


def named_cells(
    line: Line, columns: Sequence[str], corrections: Corrections = NOTHING_CORRECTED
) -> dict[str, str]:
    """Give the cells of a row by column, corrected, without blanks around them.

    Raises `BadCell`, and for a correction of a column that there is not.
    """
    if line.cells is None:
        raise BadCell("", "It is no row of comma-separated text; look at its quotation marks.")
    if len(line.cells) != len(columns):
        raise BadCell("", f"It has {len(line.cells)} columns, the heading {len(columns)}.")
    row = dict(zip(columns, (cell.strip() for cell in line.cells), strict=True))
    for column, value in corrections.get(line.line_no, {}).items():
        if column not in row:
            raise BadCell(column, f"There is no such column; there are {', '.join(columns)}.")
        row[column] = value.strip()
    for column, cell in row.items():
        if len(cell) > _CELL_LENGTH:
            raise BadCell(column, f"It has {len(cell)} characters, more than {_CELL_LENGTH}.")
        if strange := _UNPRINTABLE.search(cell):
            raise BadCell(column, f"It holds the control character {ord(strange[0]):#04x}.")
    return row


def fault(line: Line, why: BadCell) -> RowFault:
    """Say where a value stands and why it cannot be read."""
    place = f", column {why.column}" if why.column else ""
    return RowFault(line.line_no, why.column, BAD_ROW, f"Line {line.line_no}{place}: {why}")


def required(row: Mapping[str, str], *columns: str) -> None:
    """Refuse a row that leaves one of these columns empty; raises `BadCell`."""
    for column in columns:
        if not row[column]:
            raise BadCell(column, "It is empty and must not be.")


def one_of(row: Mapping[str, str], column: str, allowed: Sequence[str]) -> str:
    """Read one of some words; raises `BadCell`."""
    if row[column] not in allowed:
        raise BadCell(column, f"{row[column]!r} is none of {', '.join(word for word in allowed)}.")
    return row[column]


def read_instant(row: Mapping[str, str], column: str) -> int:
    """Read an instant in ISO 8601 with its offset, in whole seconds; raises `BadCell`. [UTC s]"""
    try:
        moment = datetime.fromisoformat(row[column])
    except ValueError as why:
        raise BadCell(column, f"{row[column]!r} is no instant such as "
                              "2026-03-01T00:00:00+01:00.") from why  # fmt: skip
    if moment.tzinfo is None or moment.microsecond:
        raise BadCell(column, f"{row[column]!r} has no offset from UTC, or parts of a second.")
    if not _YEARS[0] <= moment.year < _YEARS[1]:
        raise BadCell(column, f"{row[column]!r} is not of this century.")
    return int(moment.timestamp())


def read_phone(row: Mapping[str, str], column: str) -> int | None:
    """Read an MSISDN of 5 to 15 digits without +; raises `BadCell`."""
    return _digits(row, column, _PHONE, "no number of 5 to 15 digits with country code")


def read_imsi(row: Mapping[str, str], column: str) -> int | None:
    """Read an IMSI of 14 or 15 digits; raises `BadCell`."""
    return _digits(row, column, _IMSI, "no IMSI of 14 or 15 digits")


def _digits(
    row: Mapping[str, str], column: str, pattern: re.Pattern[str], wrong: str
) -> int | None:
    if not row[column]:
        return None
    if not pattern.fullmatch(row[column]):
        raise BadCell(column, f"{row[column]!r} is {wrong}.")
    return int(row[column])


def _row(lines: list[str], at: int, width: int) -> tuple[tuple[str, ...] | None, int]:
    """Read the row that begins on a line: its cells and how many lines it takes."""
    if lines[at].count('"') % 2:
        for count in range(2, _QUOTED_LINES + 1):
            cells = _cells("\n".join(lines[at : at + count]))
            if cells and len(cells) == width:
                return cells, count
        return None, 1
    return _cells(lines[at]), 1


def _cells(text: str) -> tuple[str, ...] | None:
    try:
        return tuple(next(csv.reader([text], strict=True), ()))
    except csv.Error:
        return None


def rows_of(
    text: str,
    columns: Sequence[str],
    read: Callable[[Mapping[str, str], int], Row],
    corrections: Corrections = NOTHING_CORRECTED,
) -> tuple[tuple[Row, ...], tuple[RowFault, ...]]:
    """Read the rows below the line of column names, and the faults of those that cannot be.

    Parameters
    ----------
    read : makes a row of its cells by name and the number of its line; raises `BadCell`.
    """
    rows: list[Row] = []
    faults: list[RowFault] = []
    lines = lines_of(text, len(columns))
    next(lines)
    for line in lines:
        try:
            rows.append(read(named_cells(line, columns, corrections), line.line_no))
        except BadCell as why:
            faults.append(fault(line, why))
    return tuple(rows), tuple(faults)
