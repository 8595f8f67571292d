"""PDF pages by typst: PDF/A-3b, fonts embedded, the same bytes for the same facts.

The template is ours and fixed; the words of a document come in as JSON text through `sys_inputs`
and are never markup. The time in the file is the document's own date, so a repeated rendering gives
the same hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from threading import local
from typing import Any, Final

import typst

MEDIA_TYPE = "application/pdf"
STANDARD: Final = "a-3b"

_FOLDER = Path(__file__).resolve().parent
_of_thread = local()


def render_invoice(page: Mapping[str, Any], dated: date) -> bytes:
    """Set an invoice page, worded by `reporting.printing.page_of`.

    Parameters
    ----------
    page : the texts of the page, JSON values only.
    dated : the invoice date; the creation time in the file is its midnight, UTC.

    Returns
    -------
    The bytes of a PDF/A-3b file.
    """
    document = json.dumps(page, ensure_ascii=False, sort_keys=True)
    made = _compiler("invoice.typ").compile(
        format="pdf",
        sys_inputs={"document": document},
        pdf_standards=[STANDARD],
        timestamp=datetime.combine(dated, time(), UTC),
    )
    if not isinstance(made, bytes):
        raise TypeError("typst gives one PDF as bytes.")
    return made


def _compiler(template: str) -> typst.Compiler:
    """Keep one compiler per template and thread: loading the fonts costs more than a page does.

    Not shared between threads: typst lets go of the interpreter while it sets a page, and refuses
    a second caller of the same compiler meanwhile.
    """
    kept: dict[str, typst.Compiler] = _of_thread.__dict__
    if template not in kept:
        kept[template] = typst.Compiler(
            input=_FOLDER / template, root=_FOLDER, ignore_system_fonts=True
        )
    return kept[template]
