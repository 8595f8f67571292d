"""The `hovedbok ledger` commands of a book's structure: chart, dimensions, rates, assertions."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from ledger import service
from ledger.cli.options import (
    ACTOR,
    begin_reading,
    book_option,
    clocks_json,
    clocks_line,
    day_option,
    from_option,
    json_option,
    known_option,
    to_option,
)
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.exchange import format_rate, parse_rate
from ledger.money import format_amount, parse_amount
from ledger.service import assertions, books, dimensions, rates, revaluation
from ledger.service import chart as charts
from ledger.service.assertions import Assertion
from ledger.service.chart import ChartAccount
from ledger.service.dimensions import RULES, DimensionRule
from ledger.service.rates import Rate


@click.command("chart")
@day_option("--as-of", "Only accounts that are open on this day.")
@book_option
@json_option
def chart_command(as_of: date | None, book: str, *, as_json: bool) -> None:
    """Print the chart of accounts."""
    with transaction() as session:
        accounts = charts.chart_of_accounts(session, book, as_of)
    if as_json:
        click.echo(json.dumps({"accounts": [asdict(a) for a in accounts]}, default=str,
                              ensure_ascii=False))  # fmt: skip
        return
    for one in accounts:
        closed = f" closed from {one.valid_to}" if one.valid_to else ""
        marks = "".join(mark for mark, holds in (
            ("control ", one.is_control), ("items ", one.open_item),
            ("party ", one.party_required)) if holds)  # fmt: skip
        click.echo(f"{one.number:6} {one.account_class} {one.name:45} {one.grouping_code:5} "
                   f"{marks}{closed}".rstrip())  # fmt: skip


@click.group("account")
def account_cli() -> None:
    """Open, name and close accounts of the chart."""


@account_cli.command("open")
@click.argument("number")
@click.argument("name")
@click.option("--class", "account_class", type=click.Choice(list("ALQIED")), required=True,
              help="Assets, liabilities, equity, income, expenses, disposal.")  # fmt: skip
@click.option("--grouping", nargs=2, metavar="CATEGORY CODE", required=True,
              help="The official grouping, as in the chart.")  # fmt: skip
@click.option("--currency", help="The only currency it takes; any if left out.")
@click.option(
    "--control", is_flag=True, help="A control account: customers, items, no manual post."
)
@day_option("--from", "The first day it is open; always if left out.")
@book_option
def open_command(number: str, name: str, book: str, **chosen: Any) -> None:
    """Add an account to the chart."""
    control = chosen["control"]
    category, code = chosen["grouping"]
    wanted = ChartAccount(
        number=number, name=name, account_class=chosen["account_class"],
        currency=chosen["currency"], is_control=control, party_required=control,
        open_item=control, manual_post_allowed=not control, grouping_category=category,
        grouping_code=code, valid_from=chosen["from"] or date(2000, 1, 1),
    )  # fmt: skip
    with transaction() as session:
        charts.open_account(session, book, wanted, actor=ACTOR)
    click.echo(f"Account {number} {name} is open.")


@account_cli.command("rename")
@click.argument("number")
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is kept.")
@book_option
def rename_command(number: str, name: str, reason: str, book: str) -> None:
    """Give an account another name; what it was called stays readable."""
    with transaction() as session:
        charts.rename_account(session, book, number, name=name, actor=ACTOR, reason=reason)
    click.echo(f"Account {number} is called {name}.")


@account_cli.command("group")
@click.argument("number")
@click.argument("category")
@click.argument("code")
@click.option("--reason", required=True, help="Why; it is kept.")
@book_option
def group_command(number: str, category: str, code: str, reason: str, book: str) -> None:
    """Give an account another official grouping; what it had stays readable."""
    with transaction() as session:
        charts.rename_account(
            session, book, number, grouping=(category, code), actor=ACTOR, reason=reason
        )
    click.echo(f"Account {number} is grouped as {category} {code}.")


@account_cli.command("close")
@click.argument("number")
@day_option("--on", "The last day it takes postings.", required=True)
@click.option("--reason", required=True, help="Why; it is kept.")
@book_option
def close_command(number: str, on: date, reason: str, book: str) -> None:
    """Close an account that is empty."""
    with transaction() as session:
        charts.close_account(session, book, number, on, actor=ACTOR, reason=reason)
    click.echo(f"Account {number} takes no postings after {on}.")


@account_cli.command("history")
@click.argument("number")
@book_option
@json_option
def history_command(number: str, book: str, *, as_json: bool) -> None:
    """Print what an account has been."""
    with transaction() as session:
        states = charts.account_states(session, book, number)
    if as_json:
        told = [{**asdict(one), "recorded_at": one.recorded_at.isoformat()} for one in states]
        click.echo(json.dumps({"account": number, "states": told}, ensure_ascii=False))
        return
    for state in states:
        content = json.dumps(state.content, ensure_ascii=False, sort_keys=True)
        click.echo(f"{state.version_no} {state.recorded_at:%Y-%m-%d %H:%M:%S} {content}")


@click.group("dimension")
def dimension_cli() -> None:
    """Register dimensions and say which accounts need them."""


@dimension_cli.command("add")
@click.argument("code")
@click.argument("name")
@book_option
def add_dimension_command(code: str, name: str, book: str) -> None:
    """Register a dimension."""
    with transaction() as session:
        dimensions.add_dimension(session, book, code, name, actor=ACTOR)
    click.echo(f"Dimension {code} is registered. It takes any value until you register one.")


@dimension_cli.command("value")
@click.argument("dimension")
@click.argument("code")
@click.argument("name")
@day_option("--from", "The first day it may be used.")
@day_option("--to", "The day from which it may not be used.")
@book_option
def add_value_command(dimension: str, code: str, name: str, book: str, **span: Any) -> None:
    """Register a value of a dimension."""
    with transaction() as session:
        dimensions.add_value(session, book, dimension, code, name,
                             span["from"] or date(2000, 1, 1), span["to"], actor=ACTOR)  # fmt: skip
    click.echo(f"{dimension}={code} is registered.")


@dimension_cli.command("rule")
@click.argument("dimension")
@click.argument("rule", type=click.Choice(RULES))
@click.option("--accounts", default="", metavar="PREFIX", help="Accounts that begin so; all.")
@day_option("--from", "The first day it holds.", required=True)
@book_option
def rule_command(dimension: str, rule: str, accounts: str, book: str, **span: Any) -> None:
    """Say what accounts do with a dimension."""
    made = DimensionRule(dimension, accounts, rule, span["from"])
    with transaction() as session:
        dimensions.set_dimension_rule(session, book, made, actor=ACTOR)
    where = f"accounts that begin with {accounts}" if accounts else "every account"
    click.echo(f"{dimension} is {rule} on {where} from {made.valid_from}.")


@dimension_cli.command("list")
@book_option
@json_option
def list_dimensions_command(book: str, *, as_json: bool) -> None:
    """Print the dimensions with their values and rules."""
    with transaction() as session:
        found = dimensions.dimensions(session, book)
    if as_json:
        click.echo(json.dumps({"dimensions": [asdict(d) for d in found]}, default=str))
        return
    for one in found:
        click.echo(f"{one.code} {one.name}: {', '.join(v[0] for v in one.values) or 'any value'}")
        for rule in one.rules:
            click.echo(f"  {rule.rule} on {rule.account_prefix or '*'} from {rule.valid_from}")


@click.group("rate")
def rate_cli() -> None:
    """Rates of exchange: one a day and currency, for ever."""


@rate_cli.command("add")
@click.argument("currency")
@click.argument("rate")
@day_option("--on", "The day of the rate.", required=True)
@click.option("--source", required=True, help="Who says so, e.g. Norges Bank.")
@book_option
def add_rate_command(currency: str, rate: str, on: date, source: str, book: str) -> None:
    """Record what one unit of a CURRENCY is worth in the book's own."""
    made = Rate(currency, on, parse_rate(rate), source)
    with transaction() as session:
        rates.set_rate(session, service.functional_currency(session, book), made, actor=ACTOR)
    click.echo(f"One {currency} is {format_rate(made.rate_e8)} from {on}.")


@rate_cli.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", required=True, help="Who says so, e.g. Norges Bank.")
@book_option
def import_rates_command(file: Path, source: str, book: str) -> None:
    """Record the rates of a CSV FILE with the columns currency,valid_on,rate."""
    made = _read_rates(file, source)
    with transaction() as session:
        own = service.functional_currency(session, book)
        for rate in made:
            rates.set_rate(session, own, rate, actor=ACTOR)
    click.echo(f"{len(made)} rates are recorded.")


@rate_cli.command("list")
@click.option("--currency", help="Only this one.")
@book_option
@json_option
def list_rates_command(currency: str | None, book: str, *, as_json: bool) -> None:
    """Print the rates, the latest first."""
    with transaction() as session:
        found = rates.list_rates(session, service.functional_currency(session, book), currency)
    rows = [(r.currency, r.valid_on.isoformat(), format_rate(r.rate_e8), r.source) for r in found]
    if as_json:
        names = ("currency", "valid_on", "rate", "source")
        click.echo(json.dumps({"rates": [dict(zip(names, row, strict=True)) for row in rows]}))
        return
    for row in rows:
        click.echo(" ".join(row))


@click.command("revalue")
@day_option("--on", "The day whose closing rates count.", required=True)
@click.option("--dry-run", is_flag=True, help="Tell the differences, post nothing.")
@book_option
@json_option
def revalue_command(on: date, book: str, *, dry_run: bool, as_json: bool) -> None:
    """Post realised and unrealised differences of exchange; again posts nothing."""
    with transaction() as session:
        done = revaluation.revalue(session, book, on, actor=ACTOR, dry_run=dry_run)
    settled, held = done.realised, done.unrealised
    if as_json:
        told: dict[str, Any] = {
            kind: [
                {"account": one.account, "party_id": one.party_id, "currency": one.currency,
                 "difference": format_amount(one.difference_minor)}
                for one in found
            ]
            for kind, found in (("realised", settled), ("unrealised", held))
        }  # fmt: skip
        click.echo(json.dumps({"effective_date": on.isoformat(), "dry_run": dry_run, **told}))
        return
    for kind, found in (("realised", settled), ("unrealised", held)):
        for one in found:
            party = f" party {one.party_id}" if one.party_id else ""
            amount = format_amount(one.difference_minor)
            click.echo(f"{kind:10} {one.account}{party} {one.currency} {amount:>16}")
    verb = "would be" if dry_run else "are"
    click.echo(f"{len(settled)} realised and {len(held)} unrealised differences {verb} posted.")


@click.command("rules")
@day_option("--on", "Only the rules that hold on this day.")
@book_option
@json_option
def rules_command(on: date | None, book: str, *, as_json: bool) -> None:
    """Print the posting rules: which account each event uses."""
    with transaction() as session:
        found = books.posting_rules(session, book, on)
    if as_json:
        click.echo(json.dumps({"rules": [r._asdict() for r in found]}, default=str))
        return
    for rule in found:
        click.echo(f"{rule.event:28} {rule.leg:20} {rule.selector:14} {rule.account:6} "
                   f"from {rule.valid_from}")  # fmt: skip


@click.command("assert", context_settings={"ignore_unknown_options": True})  # -5.00 is an amount.
@click.argument("account")
@click.argument("amount")
@day_option("--on", "The day at whose end it must hold.", required=True)
@click.option("--source", required=True, help="Who says so, e.g. a bank statement.")
@click.option("--party", type=int, help="Only what this party has on the account.")
@click.option("--currency", help="The book's own if left out.")
@book_option
def assert_command(account: str, amount: str, on: date, book: str, **said: Any) -> None:
    """Record the balance that ACCOUNT must have, debit positive."""
    with transaction() as session:
        currency = said["currency"] or service.functional_currency(session, book)
        made = Assertion(account, currency, on, parse_amount(amount), said["source"], said["party"])
        assertions.assert_balance(session, book, made, actor=ACTOR)
    click.echo(f"{account} must be {amount} {currency} at the end of {on}.")


@click.command("assertions")
@from_option
@to_option
@known_option
@book_option
@json_option
def assertions_command(book: str, known_as_of: int | None, *, as_json: bool, **span: Any) -> None:
    """Compare the asserted balances with the books; exit 1 if one differs."""
    with transaction() as session:
        clocks = begin_reading(session, book, span["to"], known_as_of)
        checks = assertions.check_assertions(session, book, span["from"], span["to"], known_as_of)
    rows = [
        {"account": c.assertion.account, "party_id": c.assertion.party_id,
         "currency": c.assertion.currency, "effective_date": str(c.assertion.effective_date),
         "source": c.assertion.source, "expected": format_amount(c.assertion.expected_minor),
         "actual": format_amount(c.actual_minor),
         "difference": format_amount(c.difference_minor)}
        for c in checks
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"assertions": rows, **clocks_json(clocks)}, ensure_ascii=False))
    else:
        for row in rows:
            click.echo(_ASSERTED.format(**row))
        wrong = sum(1 for c in checks if c.difference_minor)
        click.echo(f"{len(checks)} assertions, {wrong} differ.")
        click.echo(clocks_line(clocks))
    if any(c.difference_minor for c in checks):
        raise SystemExit(1)


_ASSERTED = (
    "{effective_date} {account:6} {currency} expected {expected:>16} actual {actual:>16}"
    " difference {difference:>12}  {source}"
)


def _read_rates(file: Path, source: str) -> list[Rate]:
    made = []
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if set(reader.fieldnames or ()) != {"currency", "valid_on", "rate"}:
            raise Invalid(f"{file.name}: the columns must be currency,valid_on,rate.")
        for row in reader:
            try:
                day = date.fromisoformat(row["valid_on"])
                made.append(Rate(row["currency"], day, parse_rate(row["rate"]), source))
            except (ValueError, TypeError, Invalid) as fault:
                raise Invalid(f"{file.name}, line {reader.line_num}: {fault}. Nothing was "
                              "recorded.", line=reader.line_num) from fault  # fmt: skip
    return made


COMMANDS = (
    chart_command, account_cli, dimension_cli, rate_cli, revalue_command, rules_command,
    assert_command, assertions_command,
)  # fmt: skip
