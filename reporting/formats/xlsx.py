"""Excel workbooks by openpyxl, streamed row by row so that memory does not grow with the list.

Cells are typed: money arrives as the decimal digits of its øre (no float is made), dates as dates,
counts as numbers. Text is text whatever it begins with, so that no name becomes a formula. Below
each column of money stands a live SUM, the figure the books gave, and their difference; where rows
may not be added up, as those of several currencies, one per group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, NamedStyle, PatternFill
from openpyxl.utils import get_column_letter

from ledger.money import format_amount
from ledger.plaintext import FORMULA_STARTS
from ledger.tables import Groups, Kind, Table, Value

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS: dict[Kind, str] = {
    "text": "@",
    "money": "#,##0.00;[Red]-#,##0.00",
    "count": "#,##0",
    "date": "dd.mm.yyyy",
}
_WIDTHS: dict[Kind, int] = {"text": 24, "money": 16, "count": 12, "date": 12}
# Characters that XML 1.0 cannot hold; a name with one must still be written.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CELL_CHARACTERS = 32_767
_LABELS = ("Sum", "Control (books)", "Difference")


def write_workbook(
    target: Path | IO[bytes], sheets: Iterable[Table], parameters: Sequence[tuple[str, Value]]
) -> None:
    """Write a workbook: a sheet of parameters, then each list with a frozen heading row.

    Parameters
    ----------
    target : a path or an open binary stream.
    parameters : name and value of everything the lists depend on: book, dates, who and when.
    """
    book = Workbook(write_only=True)
    for style in _styles():
        book.add_named_style(style)
    try:
        _write_parameters(book, parameters)
        for sheet in sheets:
            _write_sheet(book, sheet)
    except BaseException:
        # The rows may come from a query that fails half-way: let go of the streams in order.
        for begun in book.worksheets:
            begun.close()
        raise
    book.save(target)


def workbook_bytes(sheets: Iterable[Table], parameters: Sequence[tuple[str, Value]]) -> bytes:
    """Write a workbook to memory, for an answer over the web."""
    stream = BytesIO()
    write_workbook(stream, sheets, parameters)
    return stream.getvalue()


def _styles() -> list[NamedStyle]:
    """Name one style per kind of value, a bold one for sums, and the heading."""
    made = [
        NamedStyle(name=f"hb_{kind}", number_format=number_format)
        for kind, number_format in FORMATS.items()
    ]
    made += [
        NamedStyle(name=f"hb_{kind}_sum", number_format=number_format, font=Font(bold=True))
        for kind, number_format in FORMATS.items()
    ]
    made.append(
        NamedStyle(
            name="hb_heading",
            font=Font(bold=True, color="FFFFFF"),
            fill=PatternFill("solid", start_color="0B5D66"),
            alignment=Alignment(vertical="center", wrap_text=True),
        )
    )
    return made


def _write_parameters(book: Workbook, parameters: Sequence[tuple[str, Value]]) -> None:
    sheet = book.create_sheet("Parameters")
    sheet.column_dimensions["A"].width = 28
    sheet.column_dimensions["B"].width = 48
    sheet.freeze_panes = "A2"
    sheet.append([_text(sheet, name, "hb_heading") for name in ("Parameter", "Value")])
    for name, value in parameters:
        kind: Kind = (
            "date" if isinstance(value, date) else "count" if isinstance(value, int) else "text"
        )
        sheet.append([_text(sheet, name), _cell(sheet, value, kind)])


def _write_sheet(book: Workbook, content: Table) -> None:
    sheet = book.create_sheet(content.title)
    last_column = get_column_letter(len(content.columns))
    for number, column in enumerate(content.columns, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = _WIDTHS[column.kind]
    sheet.freeze_panes = "A2"
    sheet.append([_text(sheet, column.heading, "hb_heading") for column in content.columns])
    last_row = 1
    for row in content.rows:
        cells = zip(row, content.columns, strict=True)
        sheet.append([_cell(sheet, value, column.kind) for value, column in cells])
        last_row += 1
    if last_row > 1:
        sheet.auto_filter.ref = f"A1:{last_column}{last_row}"
    written_row = last_row
    if any(column.total for column in content.columns):
        written_row += _write_totals(sheet, content, last_row)
    if content.groups is not None:
        _write_groups(sheet, content, content.groups, last_row, written_row)


def _write_totals(sheet: Any, content: Table, last_row: int) -> int:
    """Add the live sums and, where the books gave theirs, the difference; say how many rows."""
    labels = _LABELS if content.control is not None else _LABELS[:1]
    control = iter(content.control or ())
    rows: list[list[Any]] = [[] for _ in labels]
    for number, column in enumerate(content.columns, start=1):
        letter, style = get_column_letter(number), f"hb_{column.kind}_sum"
        if not column.total:
            for cells, label in zip(rows, labels, strict=True):
                cells.append(_text(sheet, label, "hb_text_sum") if number == 1 else None)
            continue
        summed = f"=SUM({letter}2:{letter}{last_row})" if last_row > 1 else "=0"
        rows[0].append(_formula(sheet, summed, style))
        if content.control is not None:
            rows[1].append(_cell(sheet, next(control), column.kind, style))
            difference = f"={letter}{last_row + 1}-{letter}{last_row + 2}"
            rows[2].append(_formula(sheet, f"=ROUND({difference[1:]},2)", style))
    for cells in rows:
        sheet.append(cells)
    return len(rows)


def _write_groups(
    sheet: Any, content: Table, groups: Groups, last_row: int, written_row: int
) -> None:
    """Add per group its live sums, those of the books, and the difference.

    A sum asks the cell of its own row for the group, so that no text of the books is in a formula.
    """
    key = get_column_letter(groups.column + 1)
    for group, control in groups.control.items():
        told = iter(control)
        columns: list[Sequence[Any]] = []
        for number, column in enumerate(content.columns):
            letter, style = get_column_letter(number + 1), f"hb_{column.kind}_sum"
            rows = (
                f"${key}$2:${key}${last_row},${key}{written_row + 1},{letter}$2:{letter}${last_row}"
            )
            difference = f"{letter}{written_row + 1}-{letter}{written_row + 2}"
            if column.grouped:
                # Without a row the range would run backwards, over the sum itself.
                summed = f"=SUMIF({rows})" if last_row > 1 else "=0"
                columns.append((
                    _formula(sheet, summed, style),
                    _cell(sheet, next(told), column.kind, style),
                    _formula(sheet, f"=ROUND({difference},2)", style),
                ))  # fmt: skip
            elif number == groups.column:
                columns.append([_text(sheet, group, "hb_text_sum") for _ in _LABELS])
            else:
                shown = _LABELS if number == 0 else ("",) * len(_LABELS)
                columns.append([_text(sheet, one, "hb_text_sum") if one else None for one in shown])
        for cells in zip(*columns, strict=True):
            sheet.append(cells)
        written_row += len(_LABELS)


def _cell(sheet: Any, value: Value, kind: Kind, style: str | None = None) -> Any:
    if value is None:
        return None
    if kind == "text":
        return _text(sheet, str(value), style or "hb_text")
    if kind == "money":
        cell = WriteOnlyCell(sheet, value=format_amount(_whole(value)))
        cell.data_type = "n"  # The digits themselves are the number: no float in between.
    else:
        cell = WriteOnlyCell(sheet, value=value)
    cell.style = style or f"hb_{kind}"
    return cell


def _text(sheet: Any, value: str, style: str = "hb_text") -> Any:
    """Write text as text: one that begins like a formula is marked so that it stays text."""
    clean = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)[:_CELL_CHARACTERS]
    cell = WriteOnlyCell(sheet, value=clean)
    cell.data_type = "s"
    cell.style = style
    if clean.startswith(FORMULA_STARTS):
        cell.quotePrefix = True
    return cell


def _formula(sheet: Any, formula: str, style: str) -> Any:
    cell = WriteOnlyCell(sheet, value=formula)
    cell.style = style
    return cell


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"Money in a sheet is whole øre, not {value!r}.")
    return value
