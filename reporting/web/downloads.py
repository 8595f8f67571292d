"""Answers that are files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from flask import Response

from ledger.tables import Table, Value
from reporting.formats import xlsx


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
