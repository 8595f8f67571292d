"""Issued invoices, read: by number, by KID, by customer, with lines and what is left to pay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, TextClause, select, text, true, tuple_
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.errors import NotFound
from ledger.service.clocks import known_only
from reporting.invoicing import invoice_number, parse_invoice_number
from reporting.models import BillRun, Document, InvoiceCharge, InvoiceLineRow, InvoiceRow
from reporting.service.sources import any_of


@dataclass(frozen=True, slots=True)
class IssuedInvoice:
    """One issued invoice, as lists show it. Amounts in øre."""

    invoice_id: int
    number: str  # As printed, "2026-000042".
    account_no: str
    party_id: int
    name: str  # As printed on the invoice.
    kid: str
    period: str
    invoice_date: date
    due_date: date
    net_minor: int
    vat_minor: int
    gross_minor: int
    entry_id: int
    open_item_id: int | None  # None where nothing is to be paid
    document_sha256: str | None


def iter_invoices(
    session: Session,
    book: str,
    *,
    party_id: int | None = None,
    period: str | None = None,
    as_of: date | None = None,
    known_as_of: int | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Iterator[IssuedInvoice]:
    """Give the invoices of a book in the order of their numbers, streamed.

    Parameters
    ----------
    party_id, period : only this customer's, only this month's.
    as_of, known_as_of : only those dated up to and including this day, whose entries were known at
        this seal position.
    after, limit : for pages: only numbers beyond this printed one, at most so many.
    """
    query = _issued(session, known_as_of).where(InvoiceRow.book == book)
    if party_id is not None:
        query = query.where(InvoiceRow.party_id == party_id)
    if period is not None:
        query = query.where(BillRun.period == period)
    if as_of is not None:
        query = query.where(InvoiceRow.invoice_date <= as_of)
    if after is not None:
        place = tuple_(InvoiceRow.voucher_year, InvoiceRow.voucher_no)
        query = query.where(place > parse_invoice_number(after))
    rows = session.execute(
        query.order_by(InvoiceRow.voucher_year, InvoiceRow.voucher_no)
        .limit(limit)
        .execution_options(yield_per=2_000)
    )
    return (_shaped(row) for row in rows)


def find_invoice(
    session: Session, book: str, number: str, as_of: date | None = None,
    known_as_of: int | None = None,
) -> IssuedInvoice:  # fmt: skip
    """Find an invoice by its printed number, among those dated by a day and known at a position.

    Before its day nothing was owed on it, which would be taken for paid. Raises `Invalid` or
    `NotFound`.
    """
    year, voucher_no = parse_invoice_number(number)
    dated = true() if as_of is None else InvoiceRow.invoice_date <= as_of
    return _one(
        session,
        _issued(session, known_as_of).where(
            InvoiceRow.book == book,
            InvoiceRow.voucher_year == year,
            InvoiceRow.voucher_no == voucher_no,
            dated,
        ),
        f"Book {book} has issued no invoice {number}"
        f"{'' if as_of is None else f' dated {as_of} or before'}"
        f"{'' if known_as_of is None else f' by seal position {known_as_of}'}.",
    )


def invoice_named(session: Session, book: str, wanted: str) -> IssuedInvoice | None:
    """Find the invoice that a number or a KID as printed names; None for any other words."""
    bare = "".join(wanted.split())
    query = _issued(session).where(InvoiceRow.book == book)
    if re.fullmatch(r"[0-9]{15}", bare, re.ASCII):
        query = query.where(InvoiceRow.kid == bare)
    elif re.fullmatch(r"[0-9]{4}-[0-9]{1,9}", bare, re.ASCII):
        year, voucher_no = parse_invoice_number(bare)
        query = query.where(InvoiceRow.voucher_year == year, InvoiceRow.voucher_no == voucher_no)
    else:
        return None
    row = session.execute(query).one_or_none()
    return None if row is None else _shaped(row)


def get_invoice(session: Session, invoice_id: int) -> IssuedInvoice:
    """Find an invoice by its id. Raises `NotFound`."""
    return _one(
        session,
        _issued(session).where(InvoiceRow.invoice_id == invoice_id),
        f"There is no invoice with id {invoice_id}.",
    )


def invoice_of_entry(session: Session, entry_id: int) -> IssuedInvoice | None:
    """Find the invoice that an entry posted; None for entries of other kinds."""
    row = session.execute(_issued(session).where(InvoiceRow.entry_id == entry_id)).one_or_none()
    return None if row is None else _shaped(row)


def lines_of(session: Session, invoice_id: int) -> Sequence[InvoiceLineRow]:
    """Give the lines of an invoice in print order."""
    return session.execute(
        select(InvoiceLineRow)
        .where(InvoiceLineRow.invoice_id == invoice_id)
        .order_by(InvoiceLineRow.line_no)
    ).scalars().all()  # fmt: skip


def charge_keys_of(session: Session, invoice_id: int, line_no: int | None = None) -> list[int]:
    """Give the charge keys that an invoice, or one line of it, bills: the way back to usage."""
    query = select(InvoiceCharge.charge_key_id).where(InvoiceCharge.invoice_id == invoice_id)
    if line_no is not None:
        query = query.where(InvoiceCharge.line_no == line_no)
    return list(session.execute(query.order_by(InvoiceCharge.charge_key_id)).scalars())


def line_of_charge(session: Session, charge_key_id: int) -> tuple[int, int] | None:
    """Give the invoice and line that bill a charge key: the way forward from usage."""
    row = session.execute(
        select(InvoiceCharge.invoice_id, InvoiceCharge.line_no).where(
            InvoiceCharge.charge_key_id == charge_key_id
        )
    ).one_or_none()
    return None if row is None else (row.invoice_id, row.line_no)


def billed_keys(session: Session, charge_key_ids: Sequence[int]) -> set[int]:
    """Say which of some charge keys stand on an issued invoice: those are never touched again."""
    rows = session.execute(
        select(InvoiceCharge.charge_key_id).where(
            any_of(InvoiceCharge.charge_key_id, charge_key_ids)
        )
    )
    return set(rows.scalars())


def outstanding_of(
    session: Session,
    book: str,
    invoice: IssuedInvoice,
    as_of: date | None,
    known_as_of: int | None = None,
) -> int:
    """Say what is left to pay of an invoice at both clocks, in øre; 0 when it is settled."""
    if invoice.open_item_id is None:
        return 0
    items = ledger.open_items(
        session, book, as_of, known_as_of=known_as_of, party_id=invoice.party_id
    )
    return sum(
        item.outstanding_minor for item in items if item.open_item_id == invoice.open_item_id
    )


def _issued(session: Session, known_as_of: int | None = None) -> Select[InvoiceRow, str, str]:
    """Select the invoices that are known: each with the batch of its entry."""
    query = (
        select(InvoiceRow, BillRun.period, Document.sha256)
        .join(BillRun, BillRun.bill_run_id == InvoiceRow.bill_run_id)
        .outerjoin(
            Document, (Document.invoice_id == InvoiceRow.invoice_id) & (Document.kind == "pdf")
        )
    )
    return query.where(*is_known(session, known_as_of))


def is_known(session: Session, known_as_of: int | None) -> tuple[TextClause, ...]:
    """Give the conditions that an invoice of a query is known: none where everything is.

    Raises `NotYetKnown`.
    """
    if known_as_of is None:
        return ()
    known = f"true{known_only(session, 'invoice.entry_id >> 20', known_as_of)}"
    return (text(known).bindparams(known=known_as_of),)


def _one(session: Session, query: Select[InvoiceRow, str, str], absent: str) -> IssuedInvoice:
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(absent)
    return _shaped(row)


def _shaped(found: Any) -> IssuedInvoice:
    row, period, sha256 = found
    return IssuedInvoice(
        invoice_id=row.invoice_id,
        number=invoice_number(row.voucher_year, row.voucher_no),
        account_no=row.account_no,
        party_id=row.party_id,
        name=row.snapshot["buyer"]["name"],
        kid=row.kid,
        period=period,
        invoice_date=row.invoice_date,
        due_date=row.due_date,
        net_minor=row.net_minor,
        vat_minor=row.vat_minor,
        gross_minor=row.gross_minor,
        entry_id=row.entry_id,
        open_item_id=row.open_item_id,
        document_sha256=sha256,
    )
