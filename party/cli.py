"""Commands about customers: find one, show one."""

import json
from dataclasses import asdict

import click

from ledger.db import transaction
from party import service

_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@click.group("party")
def party_cli() -> None:
    """Look up customers, their accounts and subscriptions."""


@party_cli.command("search")
@click.argument("text")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most.")
@_json
def search_command(text: str, limit: int, *, as_json: bool) -> None:
    """Find customers by name, customer number, billing account or phone number."""
    with transaction() as session:
        found = service.search_customers(session, text, limit)
    if as_json:
        click.echo(json.dumps({"customers": [asdict(row) for row in found]}, ensure_ascii=False))
        return
    for row in found:
        click.echo(f"{row.customer_no:>12}  {row.kind:12}  {row.org_no or '':9}  {row.name}")
    click.echo("Nobody matches." if not found else f"{len(found)} found.", err=True)


@party_cli.command("show")
@click.argument("number")
@_json
def show_command(number: str, *, as_json: bool) -> None:
    """Show the customer with a customer number or billing account number."""
    with transaction() as session:
        found = service.customer_by_number(session, number)
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False, default=str))
        return
    place = " ".join(part for part in (found.street, found.postcode, found.city) if part)
    org_no = f", {found.org_no}" if found.org_no else ""
    click.echo(f"{found.customer_no}  {found.name} ({found.kind}{org_no}), {place}")
    for account in found.accounts:
        click.echo(f"  account {account.account_no}  {account.segment}")
    for row in found.subscriptions:
        until = f" to {row.active_to.isoformat()}" if row.active_to else ""
        click.echo(
            f"  {row.subscription_ref}  {row.msisdn or '':15}  {row.offering}"
            f"  from {row.active_from.isoformat()}{until}"
        )
