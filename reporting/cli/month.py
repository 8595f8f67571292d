"""The `hovedbok month` command: from files to invoices, payments and reports, and the proof.

Every step is repeatable and commits by itself: a run that was killed is simply run again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import click

from ledger import jobs
from ledger import service as ledger
from ledger.db import transaction
from ledger.errors import NotFound
from ledger.money import parse_amount
from ledger.periods import next_period
from ledger.places import write_whole
from ledger.vault import vault
from mediation.charging import Month
from mediation.cli import files_under, ingest_paths
from mediation.service.ingest import FileOutcome
from mediation.service.rating_run import rate_period
from mediation.service.settlement import settle_content
from rating import service as rating
from reporting import norwegian as no
from reporting import reconciliation
from reporting import service as reporting
from reporting.cli.billing import month_end, render_all, run_bills
from reporting.cli.terminal import progress_bar
from reporting.seller import DEMO_SELLER
from reporting.service import sources
from reporting.service.documents import read_document, unrendered
from reporting.service.invoices import billed_keys, iter_invoices
from reporting.service.reconcile import MonthState, Scope, month_state
from reporting.service.workbook import write_workbook

BOOK = "NO01"
ACTOR = "system:month"


@click.group("month")
def month_cli() -> None:
    """Run a whole month and prove it."""


@month_cli.command("run")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--month", "period", required=True, help="The month, such as 2026-03.")
@click.option("--leave-jobs", is_flag=True, help="Leave the rendering of documents to a worker.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_obj
def run(settings: Any, *, folder: Path, period: str, leave_jobs: bool, as_json: bool) -> None:
    """Take the files in FOLDER through the chain; exit 1 unless every sum ties.

    FOLDER holds tariff.toml, orders/, usage/ and payments/.
    """
    month = Month(BOOK, period)
    invoice_date = month_end(period)
    _prepare(folder, invoice_date)
    outcomes = _take_in(folder / "orders", "Orders") + _take_in(folder / "usage", "Usage")
    _rate(month)
    _bill(period, invoice_date)
    _render(leave_jobs=leave_jobs)
    outcomes += _take_in(folder / "payments", "Payments")
    scope = _scope(period)
    state = _state(scope)
    out = settings.home / "out"
    _write(out, scope, state)
    _tell_files(outcomes)
    _tell(state, scope, as_json=as_json)
    if not as_json:
        _tell_places(out, scope)
    reconciliation.check(state.ties)
    if any(outcome.state == "refused" for outcome in outcomes):
        sys.exit(1)


@month_cli.command("check")
@click.option("--month", "period", required=True, help="The month, such as 2026-03.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def check(*, period: str, as_json: bool) -> None:
    """Prove the month again from its sources and change nothing; exit 1 unless every sum ties."""
    scope = _scope(period)
    state = _state(scope)
    _tell(state, scope, as_json=as_json)
    reconciliation.check(state.ties)


def _scope(period: str) -> Scope:
    return Scope(BOOK, period, month_end(next_period(period)))


def _state(scope: Scope) -> MonthState:
    """Tie everything in one snapshot."""
    with transaction("auditor") as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        return month_state(session, vault(), scope)


def _prepare(folder: Path, invoice_date: date) -> None:
    """Make the book, its years and its tariff; what is there already stays."""
    tariff = folder / "tariff.toml"
    if not tariff.is_file():
        raise NotFound(f"{folder} has no tariff.toml. Make a month with: hovedbok demo make.")
    with transaction() as session:
        ledger.seed_book(session, BOOK)
        for year in sorted({invoice_date.year, (invoice_date + timedelta(days=45)).year}):
            ledger.open_periods(session, BOOK, year)
        rating.load_tariff(session, tariff.read_bytes())


def _take_in(folder: Path, label: str) -> list[FileOutcome]:
    if not folder.is_dir():
        return []
    return ingest_paths(files_under([folder]), label=f"{label:<10}")


def _rate(month: Month) -> None:
    click.echo("Rating", err=True)
    with transaction() as session:
        rate_period(session, vault(), month, lambda ids: billed_keys(session, ids), actor=ACTOR)
    with transaction() as session:
        settle_content(session, vault(), month, actor=ACTOR)


def _bill(period: str, invoice_date: date) -> None:
    order = reporting.Order(
        book=BOOK, period=period, invoice_date=invoice_date, seller=DEMO_SELLER, actor=ACTOR
    )
    with transaction() as session:
        waiting = sources.count_unbilled(session, BOOK, period)
    with progress_bar(waiting, f"{'Billing':<10}") as bar:
        billed = run_bills(order, progress=bar.update)
    for refusal in billed.refused:
        click.echo(f"Not billed: {refusal.detail}", err=True)


def _render(*, leave_jobs: bool) -> None:
    """Do the jobs that are due, then whatever a killed worker left undone."""
    if leave_jobs:
        return
    with transaction() as session:
        waiting = len(unrendered(session, BOOK))
    with progress_bar(waiting, f"{'Documents':<10}") as bar:
        render_all(BOOK, progress=bar.update)
    jobs.work(wait=False)


# Output ----------------------------------------------------------------------------------------


def _write(out: Path, scope: Scope, state: MonthState) -> None:
    """Write summary, workbook and invoices; each appears whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    summary = {"totals": state.totals, "ties": [tie.as_json() for tie in state.ties]}
    write_whole(
        out / "summary.json",
        (json.dumps(summary, ensure_ascii=False, indent=1) + "\n").encode(),
    )
    with transaction("auditor") as session:
        ledger.hold_snapshot(session)  # The workbook says what it was read by.
        workbook = BytesIO()
        write_workbook(session, workbook, scope.book, scope.as_of)
        write_whole(out / f"{scope.period}.xlsx", workbook.getvalue())
        _write_invoices(session, out / "invoices", scope)


def _write_invoices(session: Any, folder: Path, scope: Scope) -> None:
    """Lay a copy of each archived PDF into a folder, named by invoice number."""
    folder.mkdir(exist_ok=True)
    for invoice in iter_invoices(session, scope.book):
        path = folder / f"{invoice.number}.pdf"
        if invoice.document_sha256 and not path.exists():
            write_whole(path, read_document(session, vault(), invoice.invoice_id))


def _tell_files(outcomes: Iterable[FileOutcome]) -> None:
    """Name the files that are not used, and why."""
    for outcome in outcomes:
        if outcome.state in {"suspended", "parked", "refused"}:
            click.echo(f"{outcome.name} is {outcome.state}: {outcome.detail}", err=True)


def _tell(state: MonthState, scope: Scope, *, as_json: bool) -> None:
    """Print the reconciliation of the month."""
    if as_json:
        ties = [tie.as_json() for tie in state.ties]
        click.echo(json.dumps({"totals": state.totals, "ties": ties}, ensure_ascii=False))
        return
    totals = state.totals
    click.echo(f"\nThe month {scope.period} of book {scope.book}, receivables as of {scope.as_of}")
    for label, names in _LINES:
        figures = [f"{word} {_shown(totals[name])}".strip() for word, name in names]
        click.echo(f"  {label:<16} {', '.join(figures)}")
    faults = reconciliation.broken(state.ties)
    click.echo(f"  {'ties':<16} {len(state.ties) - len(faults)} of {len(state.ties)} hold")
    for tie in faults:
        click.echo(f"  DOES NOT TIE     {tie.sentence()}")


def _tell_places(out: Path, scope: Scope) -> None:
    click.echo(f"\nWorkbook  {out / (scope.period + '.xlsx')}")
    click.echo(f"Invoices  {out / 'invoices'}")
    click.echo(f"Summary   {out / 'summary.json'}")
    click.echo("Desk      hovedbok serve")


_LINES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("files", (("", "files"),)),
    ("records", (
        ("", "records"), ("accepted", "records_accepted"), ("merged", "records_merged"),
        ("held", "records_held"), ("duplicate", "records_duplicate"),
        ("filtered", "records_filtered"), ("suspended", "records_suspended"),
    )),
    ("seconds", (("", "seconds"),)),
    ("octets", (("", "octets"),)),
    ("rated events", (("", "rated_events"), ("unpriced", "unpriced_events"))),
    ("accrued", (("", "accrued_net"), ("of which unbilled", "unbilled"))),
    ("invoiced", (("", "invoiced_gross"), ("net", "invoiced_net"), ("VAT", "vat"),
                  ("invoices", "invoices"), ("documents", "documents"))),
    ("paid", (("", "paid"), ("payments", "payments"), ("allocated", "allocated"),
              ("unallocated", "unallocated"))),
    ("outstanding", (("", "outstanding"),)),
    ("trial balance", (("", "trial_balance"),)),
)  # fmt: skip


def _shown(figure: str | int) -> str:
    if isinstance(figure, int):
        return f"{figure:,}".replace(",", " ")
    return no.kroner(parse_amount(figure))
