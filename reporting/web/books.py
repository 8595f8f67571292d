"""Pages of the books: trial balance, account statement, entry, aging list, unmatched payments."""

from __future__ import annotations

from flask import Flask, Response, render_template, request

from ledger import service as ledger
from ledger.db import transaction
from ledger.journal import Voucher
from ledger.proof import render_proof
from ledger.service import StatementPage
from ledger.service.draft_reading import draft_of_batch
from ledger.service.proofs import voucher_proof
from ledger.tables import Value
from ledger.web import scope
from reporting import service
from reporting.aging import BUCKETS
from reporting.service import workbook
from reporting.web.dates import default_day
from reporting.web.downloads import excel
from reporting.web.frame import book, day_argument, wanted_day, wanted_known
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
    """Show every account's turnover and balance."""
    as_of = wanted_day()
    with transaction() as session:
        known = wanted_known(session)
        balance = service.trial_balance(session, book(), as_of, known)
    return render_template("trial_balance.html", balance=balance, as_of=as_of, known=known)


@scope("ledger:read")
def _trial_balance_excel() -> Response:
    """Give the trial balance as a workbook."""
    as_of = wanted_day()
    with transaction() as session:
        known = wanted_known(session)
        balance = service.trial_balance(session, book(), as_of, known)
    sheet = workbook.trial_balance_sheet(balance)
    told = workbook.parameters(book(), as_of, "desk")
    told.append(("Known as of seal", "everything committed" if known is None else known))
    return excel([sheet], told, "trial-balance", as_of)


@scope("ledger:read")
def _account(number: str) -> str:
    """Show an account's newest lines with the running balance, or the page before a cursor."""
    first, last = day_argument("first_day"), wanted_day()
    with transaction() as session:
        known = wanted_known(session)
        page = ledger.account_statement(
            session, book(), number, first_day=first, effective_as_of=last, known_as_of=known,
            limit=_LINES_SHOWN, newest=True, after=request.args.get("after"),
        )  # fmt: skip
        own = ledger.functional_currency(session, book())
    return render_template(
        "account.html", number=number, page=page, first=first, as_of=last,
        newest="after" not in request.args, foreign=_is_foreign(page, own), known=known,
    )  # fmt: skip


def _is_foreign(page: StatementPage, own: str) -> bool:
    """Tell whether a page has amounts in another currency than the book's own."""
    return {*page.opening_minor, *(line.currency for line in page.lines)} - {own} != set()


@scope("ledger:read")
def _entry(series: str, year: int, number: int) -> str:
    """Show one entry with its lines and where it came from."""
    with transaction() as session:
        known = wanted_known(session)
        entry = ledger.find_voucher(session, book(), series, year, number, known_as_of=known)
        invoice = service.invoice_of_entry(session, entry.entry_id)
        draft = draft_of_batch(session, entry.batch_id)
    return render_template(
        "entry.html", entry=entry, invoice=invoice, draft=draft, sums=sums_of(entry.lines)
    )


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
    with transaction() as session:
        as_of = wanted_day() or default_day(session, book())
        report = service.aging_report(session, book(), as_of)
    rows = sorted(workbook.aging_rows(report), key=_most_overdue, reverse=True)
    totals = report.aging.totals_minor.tolist()
    return render_template(
        "aging.html", rows=rows[:_ROWS_SHOWN], count=len(rows), shown=_ROWS_SHOWN, totals=totals,
        buckets=BUCKETS, control=sorted(report.control_minor.items()), as_of=as_of,
        sums=report.aging.by_account(),
    )  # fmt: skip


def _most_overdue(row: tuple[Value, ...]) -> tuple[int, int]:
    """Order by what is past due, then by the balance: the call to make first stands first."""
    amounts = [amount for amount in row[3:] if isinstance(amount, int)]
    return sum(amounts[1 : len(BUCKETS)]), amounts[-1]


@scope("receivables:read")
def _aging_excel() -> Response:
    """Give the whole aging list as a workbook."""
    with transaction() as session:
        as_of = wanted_day() or default_day(session, book())
        report = service.aging_report(session, book(), as_of)
    sheet = workbook.aging_sheet(report)
    return excel([sheet], workbook.parameters(book(), as_of, "desk"), "aging-list", as_of)


@scope("receivables:read")
def _unallocated() -> str:
    """List money received that no claim has taken yet."""
    as_of = wanted_day()
    with transaction() as session:
        payments = service.unmatched_payments(session, book(), as_of)
    total = sum(payment.outstanding_minor for payment in payments)
    return render_template("unallocated.html", payments=payments, total=total, as_of=as_of)


@scope("receivables:read")
def _unallocated_excel() -> Response:
    """Give the unmatched payments as a workbook."""
    as_of = wanted_day()
    with transaction() as session:
        sheet = workbook.unmatched_sheet(session, book(), as_of)
    return excel([sheet], workbook.parameters(book(), as_of, "desk"), "unmatched-payments", as_of)
