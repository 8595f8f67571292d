"""`hovedbok ledger` on what postings name: VAT codes, voucher series and posting rules."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal, InvalidOperation

import click

from ledger.cli.options import (
    ACTOR,
    book_option,
    day_option,
    json_option,
    now,
    voucher_argument,
)
from ledger.db import transaction
from ledger.journal import Voucher
from ledger.service import access, registers
from ledger.service.books import PostingRuleView
from ledger.service.registers import VatCode

_reason = click.option("--reason", required=True, help="Why; an auditor reads it.")


@click.group("vat")
def vat_cli() -> None:
    """List VAT codes, end one, and add the next rate."""


@vat_cli.command("list")
@day_option("--on", "Only the codes that hold on this day.")
@book_option
@json_option
def list_vat_command(on: date | None, book: str, *, as_json: bool) -> None:
    """Print the VAT codes with their rates and days."""
    with transaction() as session:
        found = registers.vat_codes(session, book, on)
    if as_json:
        click.echo(json.dumps({"vat_codes": [one._asdict() for one in found]}, default=str))
        return
    for one in found:
        until = f" to {one.valid_to}" if one.valid_to else ""
        click.echo(f"{one.code:6} {one.rate_bp / 100:6.2f} %  SAF-T {one.saft_code:4} "
                   f"from {one.valid_from}{until}  {one.name}")  # fmt: skip


@vat_cli.command("add")
@click.argument("code")
@click.argument("rate")
@click.option("--name", required=True, help="What an accountant reads.")
@click.option("--saft", required=True, help="The standard code of SAF-T.")
@day_option("--from", "The first day of this rate.", required=True)
@_reason
@book_option
def add_vat_command(
    code: str, rate: str, name: str, saft: str, reason: str, book: str, **span: date
) -> None:
    """Give CODE the RATE (per cent, as 25 or 11.11) from a day on."""
    made = VatCode(code, name, saft, _basis_points(rate), span["from"], None)
    with transaction() as session:
        registers.add_vat_code(session, book, made, actor=ACTOR, reason=reason)
    click.echo(f"VAT code {code} is {rate} % from {span['from']} on.")


@vat_cli.command("end")
@click.argument("code")
@day_option("--on", "The last day it may be posted with.", required=True)
@_reason
@book_option
def end_vat_command(code: str, on: date, reason: str, book: str) -> None:
    """End CODE after a day; what was posted with it stands."""
    with transaction() as session:
        registers.end_vat_code(session, book, code, on, actor=ACTOR, reason=reason)
    click.echo(f"VAT code {code} ends with {on}.")


@click.command("series")
@book_option
@json_option
def series_command(book: str, *, as_json: bool) -> None:
    """Print the voucher series and how far each has come."""
    with transaction() as session:
        found = registers.voucher_series(session, book)
    if as_json:
        rows = [{**one._asdict(), "years": [year._asdict() for year in one.years]} for one in found]
        click.echo(json.dumps({"voucher_series": rows}, ensure_ascii=False))
        return
    for one in found:
        numbers = ", ".join(f"{year.year}: {year.last_number}" for year in one.years) or "unused"
        click.echo(f"{one.code:4} {one.module:8} {one.description} ({numbers})")


@click.group("rule")
def rule_cli() -> None:
    """Say which account an event uses; `hovedbok ledger rules` lists what is said."""


@rule_cli.command("add")
@click.argument("event")
@click.argument("leg")
@click.argument("account")
@click.option("--selector", default="*", show_default=True, help="Of whom; * is of all others.")
@day_option("--from", "The first day it holds.", required=True)
@_reason
@book_option
def add_rule_command(
    event: str, leg: str, account: str, selector: str, reason: str, book: str, **span: date
) -> None:
    """Let the LEG of EVENT use ACCOUNT from a day on."""
    rule = PostingRuleView(event, leg, selector, account, span["from"])
    with transaction() as session:
        registers.add_posting_rule(session, book, rule, actor=ACTOR, reason=reason)
    click.echo(f"{event}, {leg}, {selector!r} uses {account} from {span['from']} on.")


@click.command("explain-gap")
@click.argument("voucher", callback=voucher_argument)
@click.option("--as", "username", help="The member of staff who says so; else the system.")
@_reason
@book_option
def explain_gap_command(voucher: Voucher, username: str | None, reason: str, book: str) -> None:
    """Say for good why the number VOUCHER (SAL/2026/17) is missing; `gaps` lists them."""
    with transaction() as session:
        actor = ACTOR if username is None else access.named_staff(
            session, username, "periods:waive", book, now=now()
        )  # fmt: skip
        made = registers.explain_gap(session, book, voucher, actor=actor, reason=reason)
    click.echo(f"{voucher} is explained{'' if made else ' already'}: {reason}")


def _basis_points(rate: str) -> int:
    try:
        points = Decimal(rate) * 100
    except InvalidOperation:
        points = Decimal("NaN")
    if not points.is_finite() or points != int(points):
        raise click.BadParameter(f"{rate!r} is no rate in per cent with at most two decimals.")
    return int(points)


COMMANDS = (vat_cli, series_command, rule_cli, explain_gap_command)
