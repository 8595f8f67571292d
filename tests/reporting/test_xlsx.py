"""Workbooks: typed cells, live sums, and names that stay names."""

from __future__ import annotations

import resource
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tables import Column, Table
from reporting.formats.xlsx import FORMATS, workbook_bytes, write_workbook

COLUMNS = (
    Column("Customer"),
    Column("Due", "date"),
    Column("Items", "count"),
    Column("Amount", "money", total=True),
)
ROWS = [("Åse Ørn", date(2026, 4, 14), 2, 123456), ("Test", None, 1, -5)]


def opened(content: bytes) -> Any:
    """The workbook as another program finds it."""
    return openpyxl.load_workbook(BytesIO(content))


def test_cells_have_types_and_formats() -> None:
    """Money is a number of two decimals, dates are dates, the heading stays in sight."""
    book = opened(workbook_bytes([Table("List", COLUMNS, ROWS, [123451])], [("Book", "NO01")]))
    assert book.sheetnames == ["Parameters", "List"]
    sheet = book["List"]
    assert [cell.value for cell in sheet[1]] == ["Customer", "Due", "Items", "Amount"]
    assert sheet["B2"].value == datetime(2026, 4, 14)  # noqa: DTZ001 - Excel knows no zones.
    assert (sheet["B2"].is_date, sheet["B3"].value) == (True, None)
    assert (sheet["C2"].data_type, sheet["C2"].value) == ("n", 2)
    assert (sheet["D2"].data_type, sheet["D2"].value, sheet["D3"].value) == ("n", 1234.56, -0.05)
    assert sheet["D2"].number_format == FORMATS["money"]
    assert sheet["B2"].number_format == FORMATS["date"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:D3"


def test_totals_are_live_formulas_beside_the_figure_of_the_books() -> None:
    """The sum is computed by the reader's program; the control and the difference stand below."""
    sheet = opened(workbook_bytes([Table("List", COLUMNS, ROWS, [123451])], []))["List"]
    assert [sheet[f"A{row}"].value for row in (4, 5, 6)] == [
        "Sum", "Control (books)", "Difference",
    ]  # fmt: skip
    assert (sheet["D4"].value, sheet["D4"].data_type) == ("=SUM(D2:D3)", "f")
    assert sheet["D5"].value == 1234.51
    assert sheet["D6"].value == "=ROUND(D4-D5,2)"


def test_an_empty_list_still_sums() -> None:
    """No rows: the sum is zero and refers to no cell above the heading."""
    sheet = opened(workbook_bytes([Table("List", COLUMNS, [], [0])], []))["List"]
    assert sheet["D2"].value == "=0"


def test_the_parameters_have_a_sheet_of_their_own() -> None:
    """What the lists depend on can be read beside them, typed."""
    parameters = [("Book", "NO01"), ("As of", date(2026, 4, 30)), ("Rows", 2), ("Evil", "=1+1")]
    sheet = opened(workbook_bytes([], parameters))["Parameters"]
    found = [(name.value, value.value) for name, value in sheet.iter_rows(min_row=2)]
    assert found[0] == ("Book", "NO01")
    assert found[1] == ("As of", datetime(2026, 4, 30))  # noqa: DTZ001
    assert found[2:] == [("Rows", 2), ("Evil", "=1+1")]
    assert sheet["B5"].data_type == "s"


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1"])
def test_text_never_becomes_a_formula(evil: str) -> None:
    """A name that begins like a formula is stored as text and marked with a quote prefix."""
    sheet = opened(workbook_bytes([Table("L", (Column("Name"),), [(evil,)])], []))["L"]
    assert (sheet["A2"].data_type, sheet["A2"].value) == ("s", evil)
    assert sheet["A2"].quotePrefix


@given(st.text(max_size=40))
def test_any_name_can_be_written(name: str) -> None:
    """No text breaks the file; what XML can hold comes back as it was."""
    content = workbook_bytes([Table("L", (Column("Name"), Column("N", "count")), [(name, 1)])], [])
    cell = opened(content)["L"]["A2"]
    assert cell.data_type in {"s", "n", "inlineStr"}
    printable = all(char >= " " and not 0xD800 <= ord(char) < 0xE000 for char in name)
    if printable and name and "\ufffe" not in name and "\uffff" not in name and "_x" not in name:
        assert cell.value == name


@given(st.integers(-(10**13), 10**13))
def test_money_is_written_digit_by_digit(minor: int) -> None:
    """The file holds the decimal digits of the øre; no float was made on the way."""
    content = workbook_bytes([Table("L", (Column("M", "money"),), [(minor,)])], [])
    with zipfile.ZipFile(BytesIO(content)) as parts:
        xml = parts.read("xl/worksheets/sheet2.xml").decode()
    whole, rest = divmod(abs(minor), 100)
    assert f"<v>{'-' if minor < 0 else ''}{whole}.{rest:02d}</v>" in xml


def test_money_that_is_not_whole_ore_is_refused() -> None:
    """A float or a string in a money column is our own mistake and is said so."""
    with pytest.raises(TypeError, match="whole øre"):
        workbook_bytes([Table("L", (Column("M", "money"),), [("1.00",)])], [])


def test_long_lists_are_streamed(tmp_path: Path) -> None:
    """Twenty thousand rows, made as they are written, take little memory."""

    def rows() -> Iterator[tuple[str, date, int, int]]:
        for number in range(20_000):
            yield f"Customer {number}", date(2026, 4, 14), number, number

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_workbook(tmp_path / "long.xlsx", [Table("L", COLUMNS, rows(), [199_990_000])], [])
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 60_000
    assert (tmp_path / "long.xlsx").stat().st_size > 100_000
