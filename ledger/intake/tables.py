"""Journal files as tables: one row a line of an entry, rows of one entry beside one another."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO, TypeVar

from ledger.errors import Invalid
from ledger.intake.records import (
    MAX_RECORD_BYTES,
    Defaults,
    Drafted,
    Fault,
    RecordMalformed,
    entry_of,
    fault_of,
    line_of,
    no_amount,
)
from ledger.journal import MAX_LINES, ItemDraft, Line
from ledger.money import parse_amount
from ledger.refusals import AmountNotAString
from ledger.unstorable import EntryTooLong, NotUtf8

ENTRY_COLUMNS = (
    "entry", "effective_date", "document_date", "series", "entry_type", "entry_text",
    "document_ref",
)  # fmt: skip
LINE_COLUMNS = (
    "account", "amount", "currency", "base_amount", "party_id", "vat_code", "tax_base", "text",
    "item_kind", "item_document_ref", "item_kid", "item_document_date", "item_due_date",
)  # fmt: skip
DIMENSION = "dim."  # a column dim.product holds the value of the dimension product
_NEEDED = {"entry", "effective_date", "account", "amount"}
_MAX_FIELD = 1_000_000
_SHOWN = 20  # names of columns in a sentence
_LETTERS = 40  # of each
_WHOLE = re.compile(r"-?[0-9]{1,100}")
_EXACT = 2**53  # below it a float holds every whole number

Row = Mapping[str, Any]
_T = TypeVar("_T")


def read_csv(stream: BinaryIO, defaults: Defaults) -> Iterator[Drafted | Fault]:
    """Read RFC 4180 rows in UTF-8 with a header row; a file of nothing has neither.

    Raises `Invalid` for what is not a table.
    """
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), strict=True)
    try:
        names = next(filter(None, reader), None)
        if names is None:
            return  # Nothing is no table with odd columns.
        check_columns(names)
        yield from read_rows(_csv_rows(reader, names), defaults)
    except UnicodeDecodeError as error:
        line = _first_not_utf8(stream)
        raise NotUtf8(
            f"line {line} is not UTF-8. A journal file is UTF-8 with commas: save it so, for "
            "instance with iconv -f ISO-8859-1 -t UTF-8.",
            line=line,
        ) from error
    except csv.Error as error:
        raise Invalid(
            f"after line {reader.line_num}: {error}. A journal file is UTF-8 with commas; "
            "nothing behind that line was read.",
            line=reader.line_num,
        ) from error


def read_parquet(stream: BinaryIO, defaults: Defaults) -> Iterator[Drafted | Fault]:
    """Read the rows of a Parquet file. Raises `Invalid` for what is not one."""
    from ledger.intake import parquet_rows  # noqa: PLC0415 - Arrow, which other formats spare

    table = parquet_rows.opened(stream)
    check_columns(table.schema_arrow.names)
    yield from read_rows(parquet_rows.rows_of(table), defaults)


def check_columns(names: list[str]) -> None:
    """Raise `Invalid` unless the columns are those of a journal table."""
    known = {*ENTRY_COLUMNS, *LINE_COLUMNS}
    unknown = [name for name in names if name not in known and not name.startswith(DIMENSION)]
    if unknown or len(set(names)) < len(names) or not set(names) >= _NEEDED:
        missing = sorted(_NEEDED - set(names))
        if len(names) == 1 and (other := _separator(names[0])):
            raise Invalid(
                f"the header is one cell with {other}s in it. A journal file is separated by "
                "commas, and its amounts have a decimal point: save it so.",
                unknown=[names[0][:_LETTERS]], missing=missing,
            )  # fmt: skip
        # What is no heading may be one cell of a million letters, or a hundred thousand cells.
        shown = [name[:_LETTERS] for name in unknown[:_SHOWN]]
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise Invalid(
            f"the columns are not those of a journal file: unknown {shown}{more}, "
            f"missing {missing}. "
            f"Allowed: {', '.join((*ENTRY_COLUMNS, *LINE_COLUMNS))} and {DIMENSION}NAME.",
            unknown=shown, missing=missing,
        )  # fmt: skip


def _first_not_utf8(stream: BinaryIO) -> int:
    """Find the line; the decoder reads ahead in blocks and knows only where its block broke."""
    stream.seek(0)
    for number, line in enumerate(stream, 1):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    return 0


def _separator(header: str) -> str | None:
    named = {";": "semicolon", "\t": "tab"}
    return next((name for sign, name in named.items() if sign in header), None)


def _csv_rows(reader: Any, names: list[str]) -> Iterator[tuple[int, Row | RecordMalformed]]:
    for cells in reader:
        if cells:
            yield reader.line_num, (
                dict(zip(names, cells, strict=True)) if len(cells) == len(names)
                else RecordMalformed("The row has not as many cells as the header.")
            )  # fmt: skip


@dataclass(slots=True)
class _Gathered:
    """The rows of one entry as far as they were read, and what keeps them from being one."""

    rows: list[tuple[int, Row]] = field(default_factory=list)
    count: int = 0
    octets: int = 0
    unread: int | None = None  # a row among or beside them that cannot be read

    @property
    def is_too_large(self) -> bool:
        """Tell whether no entry can be so large; its rows are kept no more."""
        return self.count > MAX_LINES or self.octets > MAX_RECORD_BYTES

    def add(self, number: int, row: Row) -> None:
        """Take a row in; rows beyond what an entry can hold are only counted."""
        self.count += 1
        self.octets += sum(len(cell) for cell in row.values() if isinstance(cell, str))
        if not self.is_too_large:
            self.rows.append((number, row))

    def check(self) -> None:
        """Refuse an entry of too many rows, or of which a row may be missing.

        What is left of an entry may balance: two rows that cannot be read, or one that swallowed
        the next at a quotation mark, may have balanced too.
        """
        if self.count > MAX_LINES:
            raise EntryTooLong(
                f"The entry has {self.count} lines; an entry has at most {MAX_LINES}. Split it "
                "into several.",
                lines=self.count,
            )
        if self.is_too_large:
            limit = MAX_RECORD_BYTES // 2**20
            raise RecordMalformed(f"The rows of the entry are longer than {limit} MiB together.")
        if self.unread is not None:
            raise RecordMalformed(
                f"Row {self.unread} cannot be read and may belong to this entry. Mend that row."
            )


def read_rows(
    rows: Iterable[tuple[int, Row | RecordMalformed]], defaults: Defaults
) -> Iterator[Drafted | Fault]:
    """Draft the entries of numbered rows; a key that comes back later is a fault, not an entry.

    A refusal stands for a row that cannot be read.
    """
    gathered = _Gathered()
    unread: int | None = None  # a row just before that cannot be read
    seen: set[str] = set()
    for number, row in rows:
        if isinstance(row, RecordMalformed):
            yield fault_of(number, str(row.facts.get("column", "")), row)
            unread = gathered.unread = number
            continue
        if gathered.rows and str(row["entry"]) != str(gathered.rows[0][1]["entry"]):
            yield _entry(gathered, seen, defaults)
            gathered = _Gathered(unread=unread)
        unread = None
        gathered.add(number, row)
    if gathered.rows:
        yield _entry(gathered, seen, defaults)


def _entry(gathered: _Gathered, seen: set[str], defaults: Defaults) -> Drafted | Fault:
    number, first = gathered.rows[0]
    key = str(first["entry"] or "")
    if not key or key in seen:
        said = f"Entry {key!r} is named by rows that are apart" if key else "No entry is named"
        return fault_of(number, "entry", RecordMalformed(
            f"{said}. Put the rows of an entry beside one another."))  # fmt: skip
    seen.add(key)
    lines: list[Line] = []
    row_number = number
    try:
        gathered.check()
        for row_number, row in gathered.rows:  # noqa: B007 - tells the refusal below which row it was
            if column := _changed(first, row):
                raise RecordMalformed(
                    f"Entry {key!r} has another {column} in an earlier row.", column=column
                )
            lines.append(_line(row, defaults))
        row_number = number
        entry = entry_of(
            defaults, number,
            lines=tuple(lines), effective_date=_needed(_day(first, "effective_date")),
            text=_text(first, "entry_text") or "", document_date=_day(first, "document_date"),
            series=_text(first, "series"), entry_type=_text(first, "entry_type"),
            source_ref=f"{defaults.ref}:{key}", document_ref=_text(first, "document_ref"),
        )  # fmt: skip
    except Invalid as refusal:
        return fault_of(row_number, str(refusal.facts.get("column", "")), refusal)
    return Drafted.alone(number, entry)


def _changed(first: Row, row: Row) -> str:
    """Name the entry column that two rows of one entry disagree on; "" where they agree."""
    names = (name for name in ENTRY_COLUMNS if row.get(name) != first.get(name))
    return next(names, "")


def _line(row: Row, defaults: Defaults) -> Line:
    item = None
    if _text(row, "item_kind"):
        item = ItemDraft(
            kind=_text(row, "item_kind") or "",
            document_ref=_text(row, "item_document_ref") or "",
            kid=_text(row, "item_kid"),
            document_date=_needed(_day(row, "item_document_date")),
            due_date=_needed(_day(row, "item_due_date")),
        )
    return line_of(
        account=_text(row, "account") or "",
        amount_minor=_needed(_amount(row, "amount")),
        currency=_text(row, "currency") or defaults.currency,
        base_minor=_amount(row, "base_amount"),
        party_id=_whole(row, "party_id"),
        vat_code=_text(row, "vat_code"),
        tax_base_minor=_amount(row, "tax_base"),
        dimensions={
            name.removeprefix(DIMENSION): str(cell)
            for name, cell in row.items()
            if name.startswith(DIMENSION) and cell not in {None, ""}
        },
        text=_text(row, "text"),
        item=item,
    )


def _text(row: Row, column: str) -> str | None:
    cell = row.get(column)
    return None if cell in {None, ""} else str(cell)


def _day(row: Row, column: str) -> date | None:
    cell = row.get(column)
    if isinstance(cell, datetime) and cell.timetz() == time():
        return cell.date()  # Midnight of no zone: to many tools every day is a time.
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return cell
    if cell in {None, ""}:
        return None
    try:
        return date.fromisoformat(str(cell))
    except ValueError:
        raise RecordMalformed(
            f"{column} is {str(cell)[:40]!r}, not a day such as 2026-03-31.", column=column
        ) from None


def _amount(row: Row, column: str) -> int | None:
    """Read a decimal amount; a Parquet float has lost øre already and is refused."""
    cell = row.get(column)
    if cell is None or cell == "":
        return None
    if not isinstance(cell, str | Decimal):
        raise AmountNotAString(
            f"{column} is a number ({type(cell).__name__}). Amounts are decimal text such as "
            '"1234.50", or decimals of Parquet.',
            column=column,
        )
    try:
        return parse_amount(_plain(cell) if isinstance(cell, Decimal) else cell)
    except Invalid as refusal:
        raise no_amount(column, refusal) from refusal


def _plain(number: Decimal) -> str:
    """Write a decimal without the zeros that its type adds behind the øre: 10.0000 is 10."""
    written = format(number, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def _whole(row: Row, column: str) -> int | None:
    """Read a number that names something; a column with gaps is one of floats to many tools."""
    cell = row.get(column)
    if cell is None or cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return int(cell)
    # Python would read 1_0 as ten, and digits of any script.
    if not _WHOLE.fullmatch(written := str(cell).strip()):
        raise RecordMalformed(f"{column} is {written[:40]!r}, not a whole number.", column=column)
    return int(written)


def _needed(found: _T | None) -> _T:
    if found is None:
        raise RecordMalformed("A day or an amount is missing.")
    return found
