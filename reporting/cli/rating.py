"""Commands that rate a month and rate it again: `hovedbok rating run` and `hovedbok rating rerate`.

They live in this room because it knows what is billed; what is billed is never touched.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from ledger.db import transaction
from ledger.money import format_amount
from ledger.vault import vault
from mediation.charging import month_of
from mediation.service.rating_run import rate_period
from mediation.service.rerating import as_facts, rerate_period
from reporting.service.invoices import billed_keys

ACTOR = "system:rating"
_MONTH = click.option("--month", "period", required=True, help="The month of use, as 2026-03.")
_BOOK = click.option("--book", default="NO01", show_default=True)
_TARIFF = click.option("--tariff", help="NAME/VERSION; by default the one in force.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@click.command("run")
@_MONTH
@_TARIFF
@_BOOK
@_JSON
def run_command(*, period: str, tariff: str | None, book: str, as_json: bool) -> None:
    """Rate a month and book what it lacks.

    What has no price goes to suspense.
    """
    month = month_of(book, period)
    with transaction() as session:
        done = rate_period(
            session, vault(), month, lambda ids: billed_keys(session, ids), ACTOR, tariff
        )
    if as_json:
        net = format_amount(done.net_minor)
        click.echo(json.dumps({**_without(asdict(done), "net_minor"), "net": net}))
        return
    click.echo(
        f"{done.events} events, {done.unpriced} without a price; {done.charges_changed} charges "
        f"changed by {format_amount(done.net_minor)} without VAT."
    )


@click.command("rerate")
@_MONTH
@_TARIFF
@click.option("--author", required=True, help="Who asks for it; kept with the run.")
@click.option("--because", required=True, help="Why; kept with the run.")
@click.option("--dry-run", is_flag=True, help="Say what would change and record nothing.")
@_BOOK
@_JSON
def rerate_command(
    *, period: str, tariff: str | None, author: str, because: str, dry_run: bool, book: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Rate a month again and book the differences, once the past repeats.

    The month keeps the tariff until it is rated again. What is billed stays; differences come on
    the next bill.
    """
    with transaction() as session:
        done = rerate_period(
            session, vault(), month_of(book, period), lambda ids: billed_keys(session, ids),
            actor=author, reason=because, tariff=tariff, dry_run=dry_run,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(as_facts(done)))
        return
    for change in done.changes:
        click.echo(
            f"{change.account_no}  {change.subscription_id:>6}  {change.component:<20} "
            f"{format_amount(change.before_minor):>12} {format_amount(change.after_minor):>12} "
            f"{format_amount(change.difference_minor):>12}  bill {change.billing_period}"
        )
    click.echo(
        f"{period} from {done.tariff_before} to {done.tariff_after}: the old result was repeated, "
        f"{done.rated_again} events were rated again, {done.events_changed} changed; "
        f"{len(done.changes)} charges differ by {format_amount(done.difference_minor)}."
    )
    if dry_run:
        click.echo("Nothing was recorded; run it without --dry-run to do it.")


COMMANDS = (run_command, rerate_command)


def _without(facts: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in names}
