"""Documents: rendered once from the posted facts, kept by hash, never rendered again.

An issued document keeps its bytes (bookkeeping regulation § 5-2-9): whatever becomes of templates
or fonts, an invoice that has a row here is read from the vault.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger.db import transaction
from ledger.errors import NotFound
from ledger.vault import Vault, vault
from reporting.formats import pdf
from reporting.invoicing import invoice_number
from reporting.models import Document, InvoiceRow
from reporting.printing import page_of

KIND = "pdf"


def render_invoice(session: Session, store: Vault, invoice_id: int) -> Document:
    """Render and archive the PDF of an invoice, or give the document that exists.

    Raises `NotFound` for an unknown invoice.
    """
    render_invoices(session, store, [invoice_id])
    made = document_of(session, invoice_id)
    assert made is not None, "the row was inserted above or by another worker"
    return made


def render_invoices(session: Session, store: Vault, invoice_ids: Sequence[int]) -> int:
    """Render and archive the PDFs of invoices; those that have one are left as they are.

    Safe to repeat and to run twice at once: the same facts give the same bytes and the same hash,
    and the rows are unique. The bytes are stored before the rows: a crash leaves files to sweep,
    never a row without its file.

    Returns
    -------
    How many were rendered.

    Raises
    ------
    NotFound : there is no invoice with one of the ids.
    """
    invoices = session.execute(
        select(InvoiceRow, Document.document_id)
        .outerjoin(
            Document, (Document.invoice_id == InvoiceRow.invoice_id) & (Document.kind == KIND)
        )
        .where(InvoiceRow.invoice_id.in_(invoice_ids))
        .order_by(InvoiceRow.invoice_id)
    ).all()
    unknown = sorted(set(invoice_ids) - {row.invoice_id for row, _ in invoices})
    if unknown:
        raise NotFound(f"There is no invoice with id {unknown[0]}.", invoice_ids=unknown)
    missing = [row for row, document_id in invoices if document_id is None]
    if not missing:
        return 0
    # Setting a page and syncing a file both leave the interpreter free for the next invoice.
    with ThreadPoolExecutor(min(len(missing), os.cpu_count() or 1)) as pool:
        kept = list(pool.map(lambda row: store.put(_pdf_of(row), "primary"), missing))
    session.execute(
        upsert(Document)
        .values(
            [
                {
                    "invoice_id": row.invoice_id,
                    "kind": KIND,
                    "sha256": stored.sha256,
                    "media_type": pdf.MEDIA_TYPE,
                    "size": stored.size,
                }
                for row, stored in zip(missing, kept, strict=True)
            ]
        )
        .on_conflict_do_nothing()
    )
    return len(missing)


def render_invoices_job(invoice_ids: Sequence[int]) -> None:
    """Do the queued job "render_invoices" in a transaction of its own; it may run twice."""
    with transaction() as session:
        render_invoices(session, vault(), invoice_ids)


def unrendered(session: Session, book: str, limit: int | None = None) -> list[int]:
    """List invoices of a book that have no PDF yet, oldest first."""
    rows = session.execute(
        select(InvoiceRow.invoice_id)
        .outerjoin(
            Document,
            (Document.invoice_id == InvoiceRow.invoice_id) & (Document.kind == KIND),
        )
        .where(InvoiceRow.book == book, Document.document_id.is_(None))
        .order_by(InvoiceRow.invoice_id)
        .limit(limit)
    )
    return list(rows.scalars())


def document_of(session: Session, invoice_id: int) -> Document | None:
    """Find the archived document of an invoice."""
    return session.execute(
        select(Document).where(Document.invoice_id == invoice_id, Document.kind == KIND)
    ).scalar_one_or_none()


def read_document(session: Session, store: Vault, invoice_id: int) -> bytes:
    """Read the archived bytes, checked against their hash; `NotFound` where none exist yet."""
    document = document_of(session, invoice_id)
    if document is None:
        raise NotFound(
            f"Invoice {invoice_id} has no {KIND} yet; run `hovedbok billing render`.",
            invoice_id=invoice_id,
        )
    return store.get(document.sha256)


def _pdf_of(row: InvoiceRow) -> bytes:
    page = page_of(row.snapshot, invoice_number(row.voucher_year, row.voucher_no))
    return pdf.render_invoice(page, row.invoice_date)
