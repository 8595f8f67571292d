"""Pages about customers: search, one customer with everything owed and paid, invoices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flask import Flask, Response, g, render_template, request

from ledger import service as ledger
from ledger.db import transaction
from ledger.web import scope
from ledger.web.tabled import TablePage, every_row, table_place
from reporting import service
from reporting.api import pdf_of
from reporting.service import workbook
from reporting.service.aging import RECEIVABLES
from reporting.web import sources
from reporting.web.arguments import period_argument
from reporting.web.clocks import Reading, reading
from reporting.web.dates import default_day
from reporting.web.downloads import sheet_excel
from reporting.web.frame import book

_CUSTOMERS_SHOWN = 50
_INVOICES_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of a customer's timeline: an invoice, a payment, or the use of one for the other."""

    day: date
    text: str
    amount_minor: int  # Debit positive. [øre]
    outstanding_minor: int
    entry_id: int
    currency: str
    invoice: str | None = None  # The printed number, where it is one.


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view in (
        ("/customers", "customers", _customers),
        ("/customers/<int:party_id>", "customer", _customer),
        ("/invoices", "invoices", _invoices),
        ("/invoices/excel", "invoices_excel", _invoices_excel),
        ("/invoices/<number>", "invoice", _invoice),
        ("/invoices/<number>/pdf", "invoice_pdf", _invoice_pdf),
    ):
        app.add_url_rule(rule, f"desk.{name}", view)


@scope("party:read")
def _customers() -> str:
    """Search as it is typed: a name, or any number that stands on an invoice."""
    wanted = request.args.get("q", "").strip()
    named = None
    with transaction() as session:
        found = sources.search_customers(session, wanted, _CUSTOMERS_SHOWN)
        if g.actor.may("documents:read"):
            named = service.invoice_named(session, book(), wanted)
    template = "customer_rows.html" if request.headers.get("HX-Request") else "customers.html"
    return render_template(
        template, customers=found, wanted=wanted, shown=_CUSTOMERS_SHOWN, named=named
    )


@scope("party:read")
def _customer(party_id: int) -> str:
    """Show a customer: who, what is open, every invoice and payment, and the order of events."""
    with reading() as read:
        customer = sources.customer(read.session, party_id)
        as_of = read.day or default_day(read.session, read.book, read.known)
        own = ledger.functional_currency(read.session, read.book)
        items: list[ledger.OpenItem] = []
        invoices: list[service.IssuedInvoice] = []
        if g.actor.may("receivables:read"):
            items = ledger.open_items(
                read.session, read.book, read.day, party_id, known_as_of=read.known, settled=True
            )
        if g.actor.may("documents:read"):
            invoices = list(service.iter_invoices(
                read.session, read.book, party_id=party_id, as_of=read.day,
                known_as_of=read.known,
            ))  # fmt: skip
        vouchers = ledger.vouchers_of(read.session, (item.entry_id for item in items))
    left = {item.open_item_id: item.outstanding_minor for item in items}
    numbers = {invoice.open_item_id: invoice.number for invoice in invoices}
    receivable = [item for item in items if item.account in RECEIVABLES]
    return render_template(
        "customer.html", customer=customer, as_of=as_of, read=read, invoices=invoices, left=left,
        numbers=numbers, vouchers=vouchers,
        timeline=timeline(items, invoices),
        open_items=[item for item in items if item.outstanding_minor],
        payments=[item for item in items if item.original_minor < 0],
        sums=_sums(receivable, own, as_of), foreign={item.currency for item in items} - {own},
    )  # fmt: skip


def _sums(claims: Sequence[ledger.OpenItem], own: str, as_of: date) -> list[tuple[str, int, int]]:
    """Sum what is left, and what of it is past due, per currency; the book's own stands first."""
    outstanding, overdue = Counter[str](), Counter[str]()
    for item in claims:
        outstanding[item.currency] += item.outstanding_minor
        if item.outstanding_minor > 0 and item.due_date < as_of:
            overdue[item.currency] += item.outstanding_minor
    others = sorted(set(outstanding) - {own})
    return [(code, outstanding[code], overdue[code]) for code in (own, *others)]


def timeline(
    items: Sequence[ledger.OpenItem], invoices: Sequence[service.IssuedInvoice]
) -> list[Happening]:
    """Put a customer's items in the order of their dates, newest first."""
    numbers = {invoice.open_item_id: invoice.number for invoice in invoices}
    told = [
        Happening(
            item.document_date,
            f"{item.kind.replace('_', ' ').capitalize()} "
            f"{numbers.get(item.open_item_id, item.document_ref)}",
            item.original_minor, item.outstanding_minor, item.entry_id, item.currency,
            numbers.get(item.open_item_id),
        )
        for item in items
    ]  # fmt: skip
    return sorted(told, key=lambda happening: happening.day, reverse=True)


@scope("documents:read")
def _invoices() -> str:
    """List issued invoices in the order of their numbers, all or of a period, page by page."""
    period = period_argument("period")
    after = request.args.get("after", "").strip() or None
    with reading() as read:
        found = service.iter_invoices(
            read.session, read.book, period=period, as_of=read.day, known_as_of=read.known,
            after=after, limit=_INVOICES_SHOWN + 1,
        )  # fmt: skip
        page = list(found)
        left = _outstanding(read) if g.actor.may("receivables:read") else None
    return render_template(
        "invoices.html", invoices=page[:_INVOICES_SHOWN], more=len(page) > _INVOICES_SHOWN,
        after=after, period=period, left=left, read=read,
        outstanding=sum((left or {}).get(one.open_item_id or 0, 0) for one in page),
    )  # fmt: skip


@scope("documents:read")
@table_place()
def _invoices_excel() -> Response:
    """Give all invoices, or all of a period, as a workbook."""
    period = period_argument("period")
    with reading() as read:

        def page(after: str | None, limit: int) -> TablePage:
            rows = list(service.iter_invoices(
                read.session, read.book, period=period, as_of=read.day, known_as_of=read.known,
                after=after, limit=limit + 1,
            ))  # fmt: skip
            return TablePage(rows[:limit], rows[limit - 1].number if rows[limit:] else None)

        listed = every_row(page)
        left = _outstanding(read) if g.actor.may("receivables:read") else None
    sheet = workbook.invoices_table(listed, left)
    return sheet_excel(read, sheet, "invoices", [("Period", period or "all")])


@scope("documents:read")
def _invoice(number: str) -> str:
    """Show an invoice with its lines, what is left to pay, and the way to its entry and PDF."""
    with reading() as read:
        invoice = service.find_invoice(read.session, read.book, number, read.day, read.known)
        lines = service.lines_of(read.session, invoice.invoice_id)
        outstanding = service.outstanding_of(read.session, read.book, invoice, read.day, read.known)
        voucher = ledger.read_entry(read.session, invoice.entry_id).voucher
        numbers = {line.subscription_id for line in lines if line.subscription_id}
        labels = sources.subscription_labels(read.session, numbers, invoice.invoice_date)
    return render_template(
        "invoice.html", invoice=invoice, lines=lines, outstanding=outstanding, voucher=voucher,
        labels=labels, read=read,
        with_vat=any(line.amount_minor != line.net_minor for line in lines),
    )  # fmt: skip


@scope("documents:read")
def _invoice_pdf(number: str) -> Response:
    """Give the archived PDF."""
    return pdf_of(book(), number)


def _outstanding(read: Reading) -> dict[int, int]:
    """Map each open item to what is left of it; what is not there is settled."""
    return {
        item.open_item_id: item.outstanding_minor
        for item in ledger.open_items(
            read.session, read.book, read.day, known_as_of=read.known, accounts=RECEIVABLES
        )
    }
