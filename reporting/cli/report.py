"""`hovedbok report`: the aging list and the trial balance, on screen, as JSON or as a workbook."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import click

from ledger import service as ledger
from ledger.cli.options import (
    as_of_option,
    begin_reading,
    book_option,
    clocks_json,
    clocks_line,
    day_option,
    json_option,
    known_option,
    now,
)
from ledger.db import transaction
from ledger.money import format_amount
from reporting import norwegian as no
from reporting import service
from reporting.aging import BUCKETS
from reporting.cli.terminal import in_a_folder
from reporting.screen import table
from reporting.service.aging import newest_day
from reporting.service.workbook import aging_rows

_BUCKET_KEYS = (
    "not_due", "days_1_30", "days_31_60", "days_61_90", "days_91_180", "days_181_365",
    "over_365", "credits",
)  # fmt: skip
_BALANCE_HEADINGS = ("Account", "Name", "Currency", "Debit", "Credit", "Balance")


@click.group("report")
def report_cli() -> None:
    """Reports that prove themselves before they are shown."""


def _options(command: Any) -> Any:
    """Add what every report takes: the book, what is known, JSON, a workbook."""
    for option in (
        json_option,
        click.option("--xlsx", type=click.Path(dir_okay=False, path_type=Path),
                     callback=in_a_folder, help="Write the month's workbook here."),
        known_option,
        book_option,
    ):  # fmt: skip
        command = option(command)
    return command


@report_cli.command("aging")
@day_option(
    "--as-of", "Count claims up to and including this day; by default the newest day posted on."
)
@click.option("--currency", help="Claims in this currency; those in the book's own if left out.")
@_options
def aging(
    *, book: str, as_of: date | None, known_as_of: int | None, currency: str | None,
    xlsx: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """List what customers owe by days past due; refused unless it equals the control accounts."""
    with transaction("auditor") as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        day = as_of or newest_day(session, book, known_as_of, now=now())
        report = service.aging_report(session, book, day, known_as_of, currency)
        if xlsx is not None:
            service.write_workbook(session, xlsx, book, day, known_as_of)
    clocks = replace(clocks, effective_as_of=day)
    if as_json:
        click.echo(json.dumps({**_aging_json(report), **clocks_json(clocks)}, ensure_ascii=False))
        return
    click.echo(f"Aging list of {book}, {no.long_date(day)}, {report.currency}")
    figures = range(3, 3 + len(BUCKETS) + 2)
    rows = [
        [str(account), str(party), str(name), *(no.kroner(int(str(a))) for a in amounts)]
        for account, party, name, *amounts in aging_rows(report)
    ]
    totals = [*report.aging.totals_minor.tolist(), int(report.aging.balance_minor.sum())]
    for text in table(
        ["Account", "Customer", "Name", *BUCKETS, "Credits", "Balance"],
        rows,
        figures=[1, *figures],
        totals=[["Sum", "", "", *map(no.kroner, totals)]],
    ):
        click.echo(text)
    for account, control in sorted(report.control_minor.items()):
        click.echo(f"Equals account {account} in the journal: {no.kroner(control)}")
    for other in report.others:
        click.echo(f"There are open claims in {other} too: --currency {other} lists them.")
    click.echo(clocks_line(clocks))
    _say_where(xlsx)


@report_cli.command("trial-balance")
@as_of_option
@_options
def trial_balance(
    *, book: str, as_of: date | None, known_as_of: int | None, xlsx: Path | None, as_json: bool
) -> None:
    """Show every account's turnover and balance; refused unless they sum to zero."""
    with transaction("auditor") as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        balance = service.trial_balance(session, book, as_of, known_as_of)
        own = ledger.functional_currency(session, book)
        if xlsx is not None:
            day = as_of or newest_day(session, book, known_as_of, now=now())
            service.write_workbook(session, xlsx, book, day, known_as_of)
    if as_json:
        rows = [_balance_json(row) for row in balance.rows]
        totals = [_balance_json(row) for row in balance.totals]
        click.echo(json.dumps(
            {"book": book, "accounts": rows, "totals": totals, **clocks_json(clocks)},
            ensure_ascii=False,
        ))  # fmt: skip
        return
    click.echo(f"Trial balance of {book}, {no.long_date(as_of) if as_of else 'everything posted'}")
    # Where all is in the book's own currency the last column would be the one before it again.
    shown = len(_BALANCE_HEADINGS) + int(balance.is_foreign(own))
    for text in table(
        [*_BALANCE_HEADINGS, f"In {own}"][:shown],
        [_balance_cells(row)[:shown] for row in balance.rows],
        figures=range(3, shown),
        totals=[_balance_cells(row)[:shown] for row in balance.totals],
    ):
        click.echo(text)
    click.echo(clocks_line(clocks))
    _say_where(xlsx)


def _aging_json(report: service.AgingReport) -> dict[str, object]:
    """Amounts are strings of kroner, in all rows and totals alike."""
    rows = [
        {
            "account": account,
            "party_id": int(str(party)),
            "name": name,
            **_buckets([int(str(amount)) for amount in amounts]),
        }
        for account, party, name, *amounts in aging_rows(report)
    ]
    totals = report.aging.totals_minor.tolist()
    return {
        "book": report.book,
        "currency": report.currency,
        "other_currencies": list(report.others),
        "rows": rows,
        "totals": _buckets([*totals, sum(totals)]),
        "control": {
            account: format_amount(minor) for account, minor in report.control_minor.items()
        },
    }


def _buckets(amounts: list[int]) -> dict[str, str]:
    return dict(zip((*_BUCKET_KEYS, "balance"), map(format_amount, amounts), strict=True))


def _balance_json(row: Any) -> dict[str, str]:
    return {
        "account": row.account,
        "name": row.name,
        "currency": row.currency,
        "debit": format_amount(row.debit_minor),
        "credit": format_amount(row.credit_minor),
        "balance": format_amount(row.balance_minor),
        "base_balance": format_amount(row.base_minor),
    }


def _balance_cells(row: Any) -> list[str]:
    return [
        row.account, row.name, row.currency,
        no.kroner(row.debit_minor), no.kroner(row.credit_minor), no.kroner(row.balance_minor),
        no.kroner(row.base_minor),
    ]  # fmt: skip


def _say_where(xlsx: Path | None) -> None:
    if xlsx is not None:
        click.echo(f"Wrote {xlsx}.")
