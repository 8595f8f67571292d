"""Answers that are files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from flask import Response

from ledger.db import transaction
from ledger.tables import Table, Value
from reporting.formats import xlsx
from reporting.service import workbook
from reporting.web.clocks import Reading


def sheet_excel(
    read: Reading, sheet: Table, name: str, more: Sequence[tuple[str, Value]] = ()
) -> Response:
    """Answer with one list of a page, beside what it was read by and `more` that it depends on."""
    with transaction() as session:
        told = workbook.parameters(session, read.book, read.clocks, "desk")
    return excel([sheet], [*told, *more], name, read.day)


def excel(
    sheets: Iterable[Table],
    parameters: Sequence[tuple[str, Value]],
    name: str,
    as_of: date | None,
) -> Response:
    """Answer with a workbook that the browser saves under a name with its date."""
    content = xlsx.workbook_bytes(sheets, parameters)
    response = Response(content, mimetype=xlsx.MEDIA_TYPE)
    filename = f"{name}-{as_of or 'latest'}.xlsx"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
