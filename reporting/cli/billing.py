"""`hovedbok billing` and `hovedbok invoice`: issue the month's invoices, render and show them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from ledger.cli.options import (
    as_of_option,
    begin_reading,
    book_option,
    clocks_json,
    clocks_line,
    json_option,
    known_option,
)
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.money import format_amount
from ledger.periods import period_bounds
from ledger.vault import vault
from reporting import norwegian as no
from reporting import service
from reporting.cli.terminal import in_a_folder, progress_bar
from reporting.screen import table
from reporting.seller import DEMO_SELLER, Seller
from reporting.service import sources
from reporting.service.billing import CHUNK, RENDERED_TOGETHER

_ACTOR = "system:billing"


@dataclass(frozen=True, slots=True)
class Billed:
    """What a run did: new invoices and their sum, and the accounts that could not be billed."""

    invoices: int
    gross_minor: int
    refused: tuple[service.Refusal, ...]


def run_bills(
    order: service.Order,
    size: int = CHUNK,
    progress: Callable[[int], object] = lambda _accounts: None,
) -> Billed:
    """Bill a period, one transaction per chunk: killed anywhere, the next run goes on.

    `progress` is told how many invoices and refusals each committed chunk brought.
    """
    invoices, gross_minor, after = 0, 0, 0
    refused: list[service.Refusal] = []
    while True:
        with transaction() as session:
            chunk = service.bill_next_chunk(session, order, after, size)
        invoices += len(chunk.invoice_ids)
        gross_minor += chunk.gross_minor
        refused += chunk.refused
        progress(len(chunk.invoice_ids) + len(chunk.refused))
        if chunk.last_account is None:
            return Billed(invoices, gross_minor, tuple(refused))
        after = chunk.last_account


def render_all(book: str, progress: Callable[[int], object] = lambda _documents: None) -> int:
    """Render every invoice of a book that has no PDF yet; returns how many were rendered."""
    rendered = 0
    while True:
        with transaction() as session:
            waiting = service.unrendered(session, book, RENDERED_TOGETHER)
            service.render_invoices(session, vault(), waiting)
        rendered += len(waiting)
        progress(len(waiting))
        if len(waiting) < RENDERED_TOGETHER:
            return rendered


def month_end(period: str) -> date:
    """Give the last day of a month, the usual invoice date. Raises `Invalid`."""
    return period_bounds(period)[1] - timedelta(days=1)


@click.group("billing")
def billing_cli() -> None:
    """Issue invoices and render their documents."""


@billing_cli.command("run")
@click.option("--period", required=True, help="The month to bill, 2026-03.")
@click.option("--invoice-date", type=click.DateTime(["%Y-%m-%d"]), help="Default: month's end.")
@click.option("--credit-days", type=int, help="Days to pay; default: as each account agreed.")
@click.option("--book", default="NO01", show_default=True)
@click.option("--seller", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="JSON file with the seller's facts; default: the demo operator.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def run(
    *, period: str, invoice_date: Any, credit_days: int | None, book: str, seller: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Bill every account with unbilled charges of the period; a second run bills nothing."""
    order = service.Order(
        book=book,
        period=period,
        invoice_date=invoice_date.date() if invoice_date else month_end(period),
        seller=_seller(seller),
        actor=_ACTOR,
        credit_days=credit_days,
    )
    with transaction() as session:
        accounts = sources.count_unbilled(session, book, period)
    with progress_bar(accounts, "Billing") as bar:
        billed = run_bills(order, progress=bar.update)
    if as_json:
        click.echo(json.dumps({
            "period": period, "invoices": billed.invoices,
            "gross": format_amount(billed.gross_minor), "currency": "NOK",
            "refused": [asdict(refusal) for refusal in billed.refused],
        }, ensure_ascii=False))  # fmt: skip
    else:
        click.echo(f"Issued {billed.invoices} invoices of {period}, "
                   f"{no.kroner(billed.gross_minor)} kr with VAT.")  # fmt: skip
    for refusal in billed.refused:
        click.echo(f"Not billed: {refusal.detail}", err=True)
    if billed.refused:
        sys.exit(1)


@billing_cli.command("render")
@click.option("--book", default="NO01", show_default=True)
def render(*, book: str) -> None:
    """Render the invoices that have no PDF yet, here and now."""
    with transaction() as session:
        waiting = len(service.unrendered(session, book))
    with progress_bar(waiting, "Rendering") as bar:
        rendered = render_all(book, progress=bar.update)
    click.echo(f"Rendered {rendered} invoices.")


@click.group("invoice")
def invoice_cli() -> None:
    """Look at issued invoices."""


@invoice_cli.command("show")
@click.argument("number")
@as_of_option
@known_option
@book_option
@click.option("--pdf", type=click.Path(dir_okay=False, path_type=Path), callback=in_a_folder,
              help="Save the PDF here.")  # fmt: skip
@json_option
def show(
    *, number: str, as_of: date | None, known_as_of: int | None, book: str, pdf: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show invoice NUMBER (2026-000042): its lines, sums and what is left to pay."""
    with transaction() as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        invoice = service.find_invoice(session, book, number, as_of, known_as_of)
        lines = service.lines_of(session, invoice.invoice_id)
        outstanding = service.outstanding_of(session, book, invoice, as_of, known_as_of)
        content = (
            service.read_document(session, vault(), invoice.invoice_id) if pdf is not None else b""
        )
    if pdf is not None:
        pdf.write_bytes(content)
    if as_json:
        told = {**_as_json(invoice, lines, outstanding), **clocks_json(clocks)}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    given = invoice.gross_minor < 0
    dated, due = (no.long_date(day) for day in (invoice.invoice_date, invoice.due_date))
    if invoice.gross_minor > 0:
        click.echo(f"Invoice {invoice.number} to {invoice.name}, KID {invoice.kid}")
        click.echo(f"Dated {dated}, due {due}")
    else:
        kind = "Credit note" if given else "Invoice"
        click.echo(f"{kind} {invoice.number} to {invoice.name}")
        click.echo(f"Dated {dated}")
    for text in table(
        ["Line", "Text", "VAT", "Amount"],
        [
            [str(line.line_no), line.text, no.rate(line.vat_rate_bp), no.kroner(line.amount_minor)]
            for line in lines
        ],
        figures=(0, 2, 3),
        totals=[
            ["", "Net", "", no.kroner(invoice.net_minor)],
            ["", "VAT", "", no.kroner(invoice.vat_minor)],
            ["", "Credit" if given else "To pay", "", no.kroner(invoice.gross_minor)],
            ["", "Outstanding", "", no.kroner(outstanding)],
        ],
    ):
        click.echo(text)
    click.echo(clocks_line(clocks))


def _as_json(invoice: service.IssuedInvoice, lines: Any, outstanding: int) -> dict[str, object]:
    return {
        "number": invoice.number,
        "account": invoice.account_no,
        "name": invoice.name,
        "kid": invoice.kid,
        "period": invoice.period,
        "invoice_date": invoice.invoice_date.isoformat(),
        "due_date": invoice.due_date.isoformat(),
        "currency": "NOK",
        "net": format_amount(invoice.net_minor),
        "vat": format_amount(invoice.vat_minor),
        "gross": format_amount(invoice.gross_minor),
        "outstanding": format_amount(outstanding),
        "document_sha256": invoice.document_sha256,
        "lines": [
            {
                "line_no": line.line_no,
                "component": line.component,
                "text": line.text,
                "quantity": line.quantity,
                "unit": line.unit,
                "vat_code": line.vat_code,
                "amount": format_amount(line.amount_minor),
            }
            for line in lines
        ],
    }


def _seller(path: Path | None) -> Seller:
    if path is None:
        return DEMO_SELLER
    try:
        return Seller(**json.loads(path.read_text("utf-8")))
    except (json.JSONDecodeError, TypeError) as error:
        raise Invalid(f"{path} does not describe a seller: {error}") from None
