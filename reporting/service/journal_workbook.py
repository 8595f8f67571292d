"""The journal as a workbook: what it was counted by, the trial balance, and every line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain, islice
from typing import IO

from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.plaintext import ExportLine, Tally
from ledger.tables import Column, Table, Value
from reporting.formats.xlsx import write_workbook
from reporting.service.aging import trial_balance
from reporting.service.workbook import parameters, trial_balance_sheet

# Excel holds 1,048,576 rows a sheet; the heading and the sums need a few of them.
SHEET_LINES = 1_000_000
_COLUMNS = (
    Column("Date", "date"),
    Column("Document date", "date"),
    Column("Voucher"),
    Column("Type"),
    Column("Source"),
    Column("Reference"),
    Column("Text"),
    Column("Line", "count"),
    Column("Account"),
    Column("Currency"),
    Column("Amount", "money"),
    Column("In the book's currency", "money", total=True),
    Column("Party"),
    Column("VAT code"),
    Column("Dimensions"),
    Column("Line text"),
)


def write_journal_workbook(
    session: Session,
    target: IO[bytes],
    book: str,
    effective_as_of: date | None = None,
    known_as_of: int | None = None,
    *,
    tally: Tally,
) -> None:
    """Write all lines of a book, a million a sheet, behind the trial balance they sum to.

    The session must hold one snapshot. Raises `NotYetKnown`, `DoesNotTie`; nothing is then saved.
    """
    clocks = ledger.resolve_clocks(session, effective_as_of, known_as_of)
    told = parameters(session, book, clocks, "hovedbok ledger export")
    balance = trial_balance(session, book, effective_as_of, known_as_of)
    lines = ledger.iter_tied_lines(session, book, effective_as_of, known_as_of, tally=tally)
    sheets = chain([trial_balance_sheet(balance)], _line_sheets(lines))
    write_workbook(target, sheets, told)


def _line_sheets(lines: Iterator[ExportLine]) -> Iterator[Table]:
    """Cut the lines into sheets; each is read to its end before the next is asked for."""
    number = 1
    for first in lines:
        rows = _rows(chain([first], islice(lines, SHEET_LINES - 1)))
        yield Table("Lines" if number == 1 else f"Lines {number}", _COLUMNS, rows)
        number += 1


def _rows(lines: Iterable[ExportLine]) -> Iterator[tuple[Value, ...]]:
    for x in lines:
        yield (
            x.effective_date, x.document_date, x.voucher, x.entry_type, x.source_system,
            x.source_ref, x.text, x.line_no, x.account, x.currency, x.amount_minor, x.base_minor,
            None if x.party_id is None else str(x.party_id), x.vat_code, x.dimensions, x.line_text,
        )  # fmt: skip
