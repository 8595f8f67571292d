"""Lists as tables for spreadsheets: typed columns, rows, and the sums that the books give. Pure.

A table is drawn by a renderer: CSV here, Excel by a higher room, which knows how.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from typing import Literal

from ledger.money import format_amount
from ledger.plaintext import inert

Kind = Literal["text", "money", "count", "date"]
Value = str | int | date | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, what its values are, and whether they are summed below.

    `total` sums all of them, `grouped` those of each group of the table apart.
    """

    heading: str
    kind: Kind = "text"
    total: bool = False
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows that are summed apart, such as those of each currency, which nobody may add up.

    `column` is the place of the text that tells a row's group, from 0. `control` holds what the
    books say of each group: one value per column with `grouped`, in their order.
    """

    column: int
    control: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Table:
    """A list: its columns, its rows (any iterable, read once) and the sums the books give.

    Money is in minor units. `control` holds one value per column with `total`, in their order: a
    renderer that sums shows its own sum over it and the difference, which should be zero.
    """

    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Value]]
    control: Sequence[int] | None = None
    groups: Groups | None = None


def clock_cells(
    effective_as_of: date | None, known_as_of: int | None, *, sealed: bool
) -> list[tuple[str, Value]]:
    """Name the clocks that a table was read by, as they were resolved; see `Clocks`."""
    return [
        ("Effective as of", effective_as_of or "no limit of days"),
        ("Known as of seal position", "everything committed" if known_as_of is None
         else known_as_of),
        ("Sealed", "yes" if sealed else "no: something is not sealed yet"),
    ]  # fmt: skip


def write_csv(tables: Iterable[Table]) -> str:
    """Write tables of the same columns below one heading: RFC 4180, amounts with a decimal point.

    Texts that a spreadsheet would run as a formula get an apostrophe in front; amounts never do.
    """
    out = StringIO()
    writer = csv.writer(out)
    for number, table in enumerate(tables):
        if number == 0:
            writer.writerow(column.heading for column in table.columns)
        for row in table.rows:
            cells = zip(row, table.columns, strict=True)
            writer.writerow(_cell(value, column.kind) for value, column in cells)
    return out.getvalue()


def _cell(value: Value, kind: Kind) -> str:
    if value is None:
        return ""
    if kind == "money" and isinstance(value, int):
        return format_amount(value)
    return inert(str(value)) or "" if kind == "text" else str(value)
