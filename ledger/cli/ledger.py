"""The `hovedbok ledger` commands: the books, their balances, and the proof that they hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import click
from sqlalchemy.orm import Session

from ledger import service
from ledger.cli.drafts import draft_cli
from ledger.cli.posting import post_command
from ledger.db import transaction
from ledger.money import format_amount
from ledger.service.verify import verification_steps

_book = click.option("--book", default="NO01", show_default=True, help="The book's code.")
_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")

_known = click.option("--known-as-of", type=int, help="Only what was sealed up to this position.")


def _day(name: str, meaning: str) -> Callable[[Any], Any]:
    """Declare an option that takes a day, YYYY-MM-DD."""
    return click.option(name, type=click.DateTime(["%Y-%m-%d"]), help=meaning)


@click.group("ledger")
def ledger_cli() -> None:
    """Look into the books and prove them."""


ledger_cli.add_command(post_command)
ledger_cli.add_command(draft_cli)


@ledger_cli.command("init")
@click.option("--year", type=int, required=True, help="The fiscal year to open.")
@_book
def init_command(year: int, book: str) -> None:
    """Seed a book with chart, VAT codes, series and rules, and open the periods of a year."""
    with transaction() as session:
        service.seed_book(session, book)
        opened = service.open_periods(session, book, year)
    click.echo(f"Book {book} is seeded; {opened} new periods of {year} are open.")


@ledger_cli.command("balance")
@_day("--as-of", "Count postings up to and including this day; every posting by default.")
@_known
@_book
@_json
def balance_command(as_of: Any, known_as_of: int | None, book: str, *, as_json: bool) -> None:
    """Print the trial balance, debit positive."""
    with transaction() as session:
        service.hold_snapshot(session)
        service.require_book(session, book)
        clocks = service.resolve_clocks(session, _date(as_of), known_as_of)
        balances = service.trial_balance(session, book, _date(as_of), known_as_of)
    if as_json:
        rows = [
            {
                "account": row.account, "name": row.name, "currency": row.currency,
                "balance": format_amount(row.balance_minor),
            }
            for row in balances
        ]  # fmt: skip
        click.echo(json.dumps({"accounts": rows, **clocks_json(clocks)}, ensure_ascii=False))
        return
    for row in balances:
        amount = format_amount(row.balance_minor)
        click.echo(f"{row.account:6} {row.name:45} {row.currency} {amount:>18}")
    click.echo(f"{len(balances)} accounts; the balances sum to {_sum(balances)}.")


@ledger_cli.command("statement")
@click.argument("account")
@_day("--from", "The first day; everything by default.")
@_day("--to", "The last day; everything by default.")
@_known
@click.option("--party", type=int, help="Only lines of this party.")
@_book
@_json
def statement_command(
    account: str, book: str, known_as_of: int | None, *, as_json: bool, **span: Any
) -> None:
    """Print the lines of an account with the balance after each."""
    with transaction() as session:
        service.hold_snapshot(session)
        clocks = service.resolve_clocks(session, _date(span["to"]), known_as_of)
        pages = _pages(
            session, book, account, first_day=_date(span["from"]), party_id=span["party"],
            effective_as_of=_date(span["to"]), known_as_of=known_as_of,
        )  # fmt: skip
        if as_json:
            lines = [_line(x) for page in pages for x in page.lines]
            told = {"account": account, "lines": lines, **clocks_json(clocks)}
            click.echo(json.dumps(told, ensure_ascii=False))
            return
        for number, page in enumerate(pages):
            if number == 0:
                click.echo(f"{page.account} {page.name}, opening {_amounts(page.opening_minor)}")
            for x in page.lines:
                click.echo(_printed(x))
    click.echo(f"Closing {_amounts(page.closing_minor)}.")


def _pages(
    session: Session, book: str, account: str, **wanted: Any
) -> Iterator[service.StatementPage]:
    """Read a statement page by page, at least one."""
    after = None
    while True:
        page = service.account_statement(session, book, account, after=after, limit=1000, **wanted)
        yield page
        after = page.next_cursor
        if after is None:
            return


def _printed(x: service.StatementLine) -> str:
    amount, balance = format_amount(x.amount_minor), format_amount(x.balance_minor)
    party = "" if x.party_id is None else str(x.party_id)
    return (
        f"{x.effective_date} {x.voucher!s:18} {x.currency} {amount:>16} {balance:>18}"
        f" {party:>8}  {x.text}"
    )


@ledger_cli.command("verify")
@_json
def verify_command(*, as_json: bool) -> None:
    """Rebuild and compare the books of this database; exit 1 if anything differs."""
    faults: list[service.Fault] = []
    steps = verification_steps()
    with transaction("auditor") as session:
        # One snapshot for all checks, whatever is posted meanwhile.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        with click.progressbar(steps, label="Verifying", file=sys.stderr) as bar:
            for _, step in bar:
                faults.extend(step(session))
    if as_json:
        rows = [{"check": f.check, "where": f.where, "detail": f.detail} for f in faults]
        click.echo(json.dumps({"faults": rows}))
    else:
        for fault in faults:
            click.echo(f"{fault.check}: {fault.where}: {fault.detail}", err=True)
    if faults:
        raise SystemExit(1)
    if not as_json:
        click.echo(f"The books hold: {len(steps)} checks found nothing that differs.")


@ledger_cli.command("gaps")
@_json
def gaps_command(*, as_json: bool) -> None:
    """List voucher numbers that are missing without an explanation; exit 1 if any is."""
    with transaction("auditor") as session:
        missing = service.gaps(session)
    if as_json:
        click.echo(json.dumps({"gaps": missing}))
    else:
        click.echo("\n".join(missing) if missing else "Every voucher series is without gaps.")
    if missing:
        raise SystemExit(1)


def _date(chosen: Any) -> date | None:
    return None if chosen is None else chosen.date()


def _sum(balances: list[service.AccountBalance]) -> str:
    sums: dict[str, int] = {}
    for row in balances:
        sums[row.currency] = sums.get(row.currency, 0) + row.balance_minor
    return _amounts(sums)


def _amounts(minor: Mapping[str, int]) -> str:
    return ", ".join(f"{c} {format_amount(total)}" for c, total in sorted(minor.items())) or "0.00"


def clocks_json(clocks: service.Clocks) -> dict[str, object]:
    """Echo what was counted: null is no limit of days, and everything committed."""
    day = clocks.effective_as_of
    return {
        "effective_as_of": None if day is None else day.isoformat(),
        "known_as_of": clocks.known_as_of,
        "sealed": clocks.sealed,
    }


def _line(line: service.StatementLine) -> dict[str, object]:
    return {
        "voucher": str(line.voucher),
        "effective_date": line.effective_date.isoformat(),
        "text": line.text,
        "party_id": line.party_id,
        "currency": line.currency,
        "amount": format_amount(line.amount_minor),
        "balance": format_amount(line.balance_minor),
    }
