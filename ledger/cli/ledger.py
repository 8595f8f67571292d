"""The `hovedbok ledger` commands: the books, their balances, and the proof that they hold."""

from __future__ import annotations

import json

import click

from ledger import service
from ledger.cli import closing, periods, reading, seals, structure
from ledger.cli.drafts import draft_cli
from ledger.cli.options import book_option, json_option
from ledger.cli.posting import post_command
from ledger.db import transaction


@click.group("ledger")
def ledger_cli() -> None:
    """Look into the books and prove them."""


ledger_cli.add_command(post_command)
ledger_cli.add_command(draft_cli)
for _command in (
    *reading.COMMANDS, *periods.COMMANDS, *closing.COMMANDS, *seals.COMMANDS, *structure.COMMANDS
):  # fmt: skip
    ledger_cli.add_command(_command)


@ledger_cli.command("init")
@click.option("--year", type=int, required=True, help="The fiscal year to open.")
@book_option
def init_command(year: int, book: str) -> None:
    """Seed a book with chart, VAT codes, series and rules, and open the periods of a year."""
    with transaction() as session:
        service.seed_book(session, book)
        opened = service.open_periods(session, book, year)
    click.echo(f"Book {book} is seeded; {opened} new periods of {year} are open.")


@ledger_cli.command("gaps")
@json_option
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
