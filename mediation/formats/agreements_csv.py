"""Lists of frame agreements, one account a row; known by their line of column names.

An account is under an agreement from a day on, until a later row says otherwise; an empty
agreement says that it leaves. The agreement above is named where an agreement comes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from mediation.formats.problems import BrokenFile
from mediation.formats.table_lines import (
    BOM,
    NOTHING_CORRECTED,
    BadCell,
    Corrections,
    RowFault,
    read_text,
    required,
    rows_of,
)
from party.orders import AgreementRecord

COLUMNS = ("agreement", "parent", "billing_account", "valid_from")


@dataclass(frozen=True, slots=True)
class AgreementFile:
    """The rows that could be read, and faults of the others."""

    rows: tuple[AgreementRecord, ...]
    faults: tuple[RowFault, ...]


def recognises(head: bytes) -> bool:
    """Tell a list of agreements by its first line."""
    return _heading(head.removeprefix(BOM).partition(b"\n")[0].decode("utf-8", "replace"))


def read(raw: bytes, name: str, corrections: Corrections = NOTHING_CORRECTED) -> AgreementFile:
    """Read a list of agreements.

    Raises
    ------
    EmptyFile, BrokenFile : it is no text, or its first line does not name the columns.
    """
    text = read_text(raw, name)
    if not _heading(text.partition("\n")[0]):
        raise BrokenFile(
            f"{name}: line 1 does not name the columns {','.join(COLUMNS)}. "
            "Nothing of the file is used. Send it again as text separated by commas.",
            file=name,
            line=1,
        )
    return AgreementFile(*rows_of(text, COLUMNS, _agreement, corrections))


def _heading(line: str) -> bool:
    return tuple(cell.strip() for cell in line.split(",")) == COLUMNS


def _agreement(row: Mapping[str, str], line_no: int) -> AgreementRecord:
    """Read a row; raises `BadCell`."""
    required(row, "billing_account", "valid_from")
    if row["parent"] and row["parent"] == row["agreement"]:
        raise BadCell("parent", f"{row['parent']} does not stand under itself.")
    if row["parent"] and not row["agreement"]:
        raise BadCell("agreement", "It is empty, and its parent is not.")
    try:
        valid_from = date.fromisoformat(row["valid_from"])
    except ValueError as why:
        raise BadCell("valid_from", f"{row['valid_from']!r} is no day such as 2026-03-01.") from why
    return AgreementRecord(
        line_no, row["agreement"], row["parent"], row["billing_account"], valid_from
    )
