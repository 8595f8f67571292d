"""Pages of the books: trial balance, account statement, entry, aging list, unmatched payments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from flask import Flask, Response, render_template, request

from ledger import service as ledger
from ledger.api import shapes
from ledger.api.balances import whole_statement
from ledger.db import transaction
from ledger.journal import Voucher
from ledger.proof import render_proof
from ledger.service import StatementPage
from ledger.service.draft_reading import draft_of_batch
from ledger.service.proofs import voucher_proof
from ledger.tables import Value
from ledger.web import current_actor, scope
from ledger.web.tabled import table_place
from party.service import party_labels
from reporting import service
from reporting.aging import BUCKETS
from reporting.service import workbook
from reporting.web.arguments import day_argument
from reporting.web.clocks import Reading, reading
from reporting.web.downloads import sheet_excel
from reporting.web.frame import book
from reporting.web.sums import sums_of

# As many lines as a reader scrolls through; the rest is one link, one date or one export away.
_LINES_SHOWN = 200
_ROWS_SHOWN = 500


def add_pages(app: Flask) -> None:
    """Add these pages to the application."""
    for rule, name, view in (
        ("/trial-balance", "trial_balance", _trial_balance),
        ("/trial-balance/excel", "trial_balance_excel", _trial_balance_excel),
        ("/accounts/<number>", "account", _account),
        ("/accounts/<number>/excel", "account_excel", _account_excel),
        ("/entries/<series>/<int:year>/<int:number>", "entry", _entry),
        ("/entries/<series>/<int:year>/<int:number>/proof", "entry_proof", _entry_proof),
        ("/aging", "aging", _aging),
        ("/aging/excel", "aging_excel", _aging_excel),
        ("/payments/unmatched", "unallocated", _unallocated),
        ("/payments/unmatched/excel", "unallocated_excel", _unallocated_excel),
    ):
        app.add_url_rule(rule, f"desk.{name}", view)


@scope("ledger:read")
def _trial_balance() -> str:
    """Show every account's turnover and balance; of other currencies also what it is worth."""
    with reading() as read:
        balance = service.trial_balance(read.session, read.book, read.day, read.known)
        own = ledger.functional_currency(read.session, read.book)
    return render_template(
        "trial_balance.html", balance=balance, read=read, own=own, foreign=balance.is_foreign(own)
    )


@scope("ledger:read")
def _trial_balance_excel() -> Response:
    """Give the trial balance as a workbook."""
    with reading() as read:
        balance = service.trial_balance(read.session, read.book, read.day, read.known)
    return sheet_excel(read, workbook.trial_balance_sheet(balance), "trial-balance")


@scope("ledger:read")
def _account(number: str) -> str:
    """Show an account's newest lines with the running balance, or the page before a cursor."""
    first = day_argument("first_day")
    with reading() as read:
        page = ledger.account_statement(
            read.session, read.book, number, first_day=first, effective_as_of=read.day,
            known_as_of=read.known, limit=_LINES_SHOWN, newest=True,
            after=request.args.get("after"),
        )  # fmt: skip
        own = ledger.functional_currency(read.session, read.book)
        parties = _parties_of(read, page.lines)
    return render_template(
        "account.html", number=number, page=page, first=first, read=read, parties=parties,
        newest="after" not in request.args, foreign=_is_foreign(page, own),
    )  # fmt: skip


@scope("ledger:read")
@table_place()
def _account_excel(number: str) -> Response:
    """Give all lines of the dates as a workbook, oldest first."""
    first = day_argument("first_day")
    with reading() as read:
        asked = {"first_day": first, "effective_as_of": read.day, "known_as_of": read.known}
        statement = partial(ledger.account_statement, read.session, read.book, number)
        page = whole_statement(statement, asked)
        parties = _parties_of(read, page.lines)
    customers = {party: number for party, (number, _) in parties.items()}
    if not current_actor().may("party:read"):
        customers = {line.party_id: "" for line in page.lines if line.party_id}
    sheet, = shapes.statement({
        "account": number, "opening": page.opening_minor, "lines": page.lines,
        "closing": page.closing_minor, "customers": customers,
    })  # fmt: skip
    told = [("Account", f"{number} {page.name}"), ("From", first or "no limit of days")]
    return sheet_excel(read, sheet, f"account-{number}", told)


def _is_foreign(page: StatementPage, own: str) -> bool:
    """Tell whether a page has amounts in another currency than the book's own."""
    return {*page.opening_minor, *(line.currency for line in page.lines)} - {own} != set()


@scope("ledger:read")
def _entry(series: str, year: int, number: int) -> str:
    """Show one entry with its lines and where it came from."""
    with reading() as read:
        entry = ledger.find_voucher(
            read.session, read.book, series, year, number, read.day, read.known
        )
        invoice = service.invoice_of_entry(read.session, entry.entry_id)
        draft = draft_of_batch(read.session, entry.batch_id)
        parties = _parties_of(read, entry.lines)
        own = ledger.functional_currency(read.session, read.book)
    return render_template(
        "entry.html", entry=entry, invoice=invoice, draft=draft, sums=sums_of(entry.lines),
        read=read, parties=parties, own=own,
        foreign=any(line.currency != own for line in entry.lines),
    )  # fmt: skip


def _parties_of(read: Reading, lines: Iterable[Any]) -> Mapping[int, tuple[str, str]]:
    """Give number and name of the customers of lines that have a page.

    A program may post a party that nobody registered.
    """
    return party_labels(read.session, {line.party_id for line in lines if line.party_id})


@scope("ledger:read")
def _entry_proof(series: str, year: int, number: int) -> Response:
    """Give the proof that a voucher stands under a seal, to be checked anywhere."""
    with transaction() as session:
        proof = voucher_proof(session, book(), Voucher(series, year, number))
    response = Response(render_proof(proof), mimetype="application/json")
    name = f"{series}-{year}-{number}.proof.json"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@scope("receivables:read")
def _aging() -> str:
    """Show the aging list of a day; refused unless it equals the control accounts."""
    with reading(newest=True) as read:
        report = _aged(read)
    rows = sorted(workbook.aging_rows(report), key=_most_overdue, reverse=True)
    totals = report.aging.totals_minor.tolist()
    return render_template(
        "aging.html", rows=rows[:_ROWS_SHOWN], count=len(rows), shown=_ROWS_SHOWN, totals=totals,
        buckets=BUCKETS, control=sorted(report.control_minor.items()), read=read,
        sums=report.aging.by_account(), currency=report.currency, others=report.others,
        asked=_asked_currency(),
    )  # fmt: skip


def _aged(read: Reading) -> service.AgingReport:
    assert read.day is not None, "an aging list is read by the newest day where none is said"
    return service.aging_report(read.session, read.book, read.day, read.known, _asked_currency())


def _asked_currency() -> str | None:
    return request.args.get("currency", "").strip().upper() or None


def _most_overdue(row: tuple[Value, ...]) -> tuple[int, int]:
    """Order by what is past due, then by the balance: the call to make first stands first."""
    amounts = [amount for amount in row[3:] if isinstance(amount, int)]
    return sum(amounts[1 : len(BUCKETS)]), amounts[-1]


@scope("receivables:read")
@table_place()
def _aging_excel() -> Response:
    """Give the whole aging list as a workbook."""
    with reading(newest=True) as read:
        report = _aged(read)
    return sheet_excel(read, workbook.aging_sheet(report), "aging-list")


@scope("receivables:read")
def _unallocated() -> str:
    """List money received that no claim has taken yet."""
    with reading() as read:
        payments = service.unmatched_payments(read.session, read.book, read.day, read.known)
        vouchers = ledger.vouchers_of(read.session, (payment.entry_id for payment in payments))
    totals = Counter[str]()
    for payment in payments:
        totals[payment.currency] += payment.outstanding_minor
    return render_template(
        "unallocated.html", payments=payments, totals=totals, read=read, vouchers=vouchers
    )


@scope("receivables:read")
def _unallocated_excel() -> Response:
    """Give the unmatched payments as a workbook."""
    with reading() as read:
        sheet = workbook.unmatched_sheet(read.session, read.book, read.day, read.known)
    return sheet_excel(read, sheet, "unmatched-payments")
