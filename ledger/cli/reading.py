"""The commands that read the books: balances, statements, the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import click

from ledger import service
from ledger.cli.options import (
    as_of_option,
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
from ledger.money import format_amount, parse_amount
from ledger.service import statements
from ledger.service.journal_list import JournalFilter, JournalRow, list_entries
from ledger.statements import Statement


@click.command("balance")
@as_of_option
@known_option
@book_option
@json_option
def balance_command(
    as_of: date | None, known_as_of: int | None, book: str, *, as_json: bool
) -> None:
    """Print the trial balance, debit positive."""
    with transaction() as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        balances = service.trial_balance(session, book, as_of, known_as_of)
        own = service.functional_currency(session, book)
    if as_json:
        rows = [
            {
                "account": row.account, "name": row.name, "currency": row.currency,
                "debit": format_amount(row.debit_minor),
                "credit": format_amount(row.credit_minor),
                "balance": format_amount(row.balance_minor),
                "base_balance": format_amount(row.base_minor),
            }
            for row in balances
        ]  # fmt: skip
        _say({"accounts": rows, **clocks_json(clocks)})
        return
    foreign = any(row.currency != own for row in balances)
    for row in balances:
        amount = format_amount(row.balance_minor)
        worth = f" {own} {format_amount(row.base_minor):>18}" if foreign else ""
        click.echo(f"{row.account:6} {row.name:45} {row.currency} {amount:>18}{worth}")
    click.echo(f"{len(balances)} accounts; the balances sum to {_sum(balances)}.")
    click.echo(clocks_line(clocks))


@click.command("statement")
@click.argument("account")
@from_option
@to_option
@known_option
@click.option("--party", type=int, help="Only lines of this party.")
@book_option
@json_option
def statement_command(account: str, book: str, *, as_json: bool, **wanted: Any) -> None:
    """Print the lines of an account with the balance after each."""
    with transaction() as session:
        clocks = begin_reading(session, book, wanted["to"], wanted["known_as_of"])
        pages = _pages(
            service.account_statement, session, book, account, **_span(wanted),
            party_id=wanted["party"],
        )  # fmt: skip
        of = {"account": account, "party_id": wanted["party"], **_first_day(wanted)}
        _print_statement(of, clocks, pages, as_json=as_json)


@click.command("customer")
@click.argument("party", type=int)
@from_option
@to_option
@known_option
@book_option
@json_option
def customer_command(party: int, book: str, *, as_json: bool, **wanted: Any) -> None:
    """Print what a party was charged and has paid, on all control accounts."""
    with transaction() as session:
        clocks = begin_reading(session, book, wanted["to"], wanted["known_as_of"])
        pages = _pages(service.customer_statement, session, book, party, **_span(wanted))
        _print_statement({"party_id": party, **_first_day(wanted)}, clocks, pages, as_json=as_json)


@click.command("balance-sheet")
@as_of_option
@day_option("--compare", "Beside it the balances of this day.")
@known_option
@book_option
@json_option
def balance_sheet_command(
    as_of: date | None, compare: date | None, known_as_of: int | None, book: str, *, as_json: bool
) -> None:
    """Print assets, liabilities and equity, by class and official grouping code."""
    with transaction() as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        shaped = statements.balance_sheet(session, book, as_of, known_as_of, compared_as_of=compare)
    more = {"compared_as_of": compare and compare.isoformat()}
    _print_shaped(shaped, clocks, more, "Result not yet closed", compared=compare is not None,
                  as_json=as_json)  # fmt: skip


@click.command("income-statement")
@day_option("--from", "The first day.", required=True)
@day_option("--to", "The last day.", "--as-of", required=True)
@day_option("--compare-from", "The first day of the comparative period.")
@day_option("--compare-to", "The last day of the comparative period.")
@known_option
@book_option
@json_option
def income_statement_command(book: str, *, as_json: bool, **wanted: Any) -> None:
    """Print income, expenses and the result of a period."""
    pair = (wanted["compare_from"], wanted["compare_to"])
    if (pair[0] is None) != (pair[1] is None):
        raise click.UsageError("Give both --compare-from and --compare-to, or neither.")
    compared = None if pair[0] is None else pair
    with transaction() as session:
        clocks = begin_reading(session, book, wanted["to"], wanted["known_as_of"])
        shaped = statements.income_statement(
            session, book, wanted["from"], wanted["to"], wanted["known_as_of"], compared=compared
        )
    more = {
        "first_day": wanted["from"].isoformat(),
        "compared": compared and [day.isoformat() for day in compared],
    }
    _print_shaped(shaped, clocks, more, "Result", compared=compared is not None, as_json=as_json)


@click.command("journal")
@from_option
@to_option
@click.option("--series", help="Only this voucher series.")
@click.option("--account", help="Only entries with a line on this account.")
@click.option("--party", "party_id", type=int, help="Only entries with a line of this party.")
@click.option("--type", "entry_type", help="Only entries of this type.")
@click.option("--source", "source_system", help="Only what this source system sent.")
@click.option("--ref", "reference", help="Only this source or document reference.")
@click.option("--text", help="Only entries with this in their text, in any case.")
@click.option("--least", help="Only entries with a line of at least this, e.g. 100.00.")
@click.option("--most", help="Only entries with a line of at most this.")
@click.option("--oldest", is_flag=True, help="Oldest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--after", help="Go on after the page that ended with this cursor.")
@known_option
@book_option
@json_option
def journal_command(
    book: str, known_as_of: int | None, limit: int, after: str | None, *, oldest: bool,
    as_json: bool, **wanted: Any,
) -> None:  # fmt: skip
    """List entries in the order they were recorded, newest first."""
    first_day, effective_as_of = wanted.pop("from"), wanted.pop("to")
    bounds: dict[str, Any] = {
        f"{name}_minor": None if (told := wanted.pop(name)) is None else parse_amount(told)
        for name in ("least", "most")
    }
    filtered = JournalFilter(first_day, effective_as_of, **wanted, **bounds)
    with transaction() as session:
        clocks = begin_reading(session, book, effective_as_of, known_as_of)
        page = list_entries(
            session, book, filtered, known_as_of, after=after, limit=limit, newest=not oldest
        )
    if as_json:
        rows = [_entry_json(row) for row in page.rows]
        _say({"entries": rows, "next": page.next_cursor, **clocks_json(clocks)})
        return
    for row in page.rows:
        click.echo(
            f"{row.effective_date} {row.voucher!s:18} {row.entry_type:12} "
            f"{_amounts(row.debit_minor):>20}  {row.text}"
        )
    if page.next_cursor:
        click.echo(f"More: --after {page.next_cursor}")
    click.echo(clocks_line(clocks))


COMMANDS = (
    balance_command, statement_command, customer_command, balance_sheet_command,
    income_statement_command, journal_command,
)  # fmt: skip


def _span(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "first_day": wanted["from"], "effective_as_of": wanted["to"],
        "known_as_of": wanted["known_as_of"],
    }  # fmt: skip


def _first_day(wanted: Mapping[str, Any]) -> dict[str, object]:
    return {"first_day": wanted["from"] and wanted["from"].isoformat()}


def _pages(
    read: Callable[..., service.StatementPage], *place: Any, **wanted: Any
) -> Iterator[service.StatementPage]:
    """Read a statement page by page, at least one."""
    after = None
    while True:
        page = read(*place, after=after, limit=1000, **wanted)
        yield page
        after = page.next_cursor
        if after is None:
            return


def _print_statement(
    of: dict[str, object], clocks: service.Clocks, pages: Iterator[service.StatementPage],
    *, as_json: bool,
) -> None:  # fmt: skip
    page = next(pages)
    if as_json:
        opening, lines = page.opening_minor, [_line_json(x) for x in page.lines]
        for page in pages:
            lines += [_line_json(x) for x in page.lines]
        told = {"opening": _strings(opening), "closing": _strings(page.closing_minor)}
        _say({**of, "lines": lines, **told, **clocks_json(clocks)})
        return
    click.echo(f"Opening {_amounts(page.opening_minor)}")
    while True:
        for x in page.lines:
            click.echo(_printed(x))
        following = next(pages, None)
        if following is None:
            break
        page = following
    click.echo(f"Closing {_amounts(page.closing_minor)}")
    click.echo(clocks_line(clocks))


def _printed(x: service.StatementLine) -> str:
    amount, balance = format_amount(x.amount_minor), format_amount(x.balance_minor)
    party = "" if x.party_id is None else str(x.party_id)
    return (
        f"{x.effective_date} {x.voucher!s:18} {x.account:5} {x.currency} {amount:>16} {balance:>18}"
        f" {party:>8}  {x.text}"
    )


def _line_json(line: service.StatementLine) -> dict[str, object]:
    return {
        "voucher": str(line.voucher),
        "effective_date": line.effective_date.isoformat(),
        "text": line.text,
        "account": line.account,
        "party_id": line.party_id,
        "currency": line.currency,
        "amount": format_amount(line.amount_minor),
        "balance": format_amount(line.balance_minor),
    }


def _entry_json(row: JournalRow) -> dict[str, object]:
    return {
        "voucher": str(row.voucher),
        "effective_date": row.effective_date.isoformat(),
        "document_date": row.document_date.isoformat(),
        "entry_type": row.entry_type,
        "text": row.text,
        "source_system": row.source_system,
        "source_ref": row.source_ref,
        "document_ref": row.document_ref,
        "lines": row.line_count,
        "debit": _strings(row.debit_minor),
    }


def _print_shaped(
    shaped: Statement, clocks: service.Clocks, more: Mapping[str, object], result: str,
    *, compared: bool, as_json: bool,
) -> None:  # fmt: skip
    if as_json:
        _say({**statement_json(shaped, compared=compared), **more, **clocks_json(clocks)})
        return

    def line(label: str, now: int, then: int, indent: int = 0) -> None:
        told = f"{' ' * indent}{label}"
        earlier = f" {format_amount(then):>18}" if compared else ""
        click.echo(f"{told:56} {format_amount(now):>18}{earlier}")

    for section in shaped.sections:
        line(section.title, section.amount_minor, section.comparative_minor)
        for group in section.groups:
            label = f"{group.category} {group.code}"
            line(label, group.amount_minor, group.comparative_minor, 2)
            for x in group.figures:
                line(f"{x.account} {x.name}", x.amount_minor, x.comparative_minor, 4)
    line(result, shaped.result_minor, shaped.comparative_result_minor)
    click.echo("Ties to the trial balance.")
    click.echo(clocks_line(clocks))


def statement_json(shaped: Statement, *, compared: bool) -> dict[str, object]:
    """Write a balance sheet or income statement with strings of kroner."""

    def sums(of: Any) -> dict[str, str]:
        told = {"amount": format_amount(of.amount_minor)}
        return told | ({"compared": format_amount(of.comparative_minor)} if compared else {})

    sections = [
        {
            "class": section.account_class, "title": section.title, **sums(section),
            "groups": [
                {
                    "category": group.category, "code": group.code, **sums(group),
                    "accounts": [
                        {"account": x.account, "name": x.name, **sums(x)} for x in group.figures
                    ],
                }
                for group in section.groups
            ],
        }
        for section in shaped.sections
    ]  # fmt: skip
    told: dict[str, object] = {
        "sections": sections, "result": format_amount(shaped.result_minor),
        "ties_to_trial_balance": True,
    }  # fmt: skip
    if compared:
        told["compared_result"] = format_amount(shaped.comparative_result_minor)
    return told


def _say(told: Mapping[str, object]) -> None:
    click.echo(json.dumps(told, ensure_ascii=False))


def _sum(balances: list[service.AccountBalance]) -> str:
    sums: dict[str, int] = {}
    for row in balances:
        sums[row.currency] = sums.get(row.currency, 0) + row.balance_minor
    return _amounts(sums)


def _strings(minor: Mapping[str, int]) -> dict[str, str]:
    return {currency: format_amount(amount) for currency, amount in sorted(minor.items())}


def _amounts(minor: Mapping[str, int]) -> str:
    return ", ".join(f"{c} {format_amount(total)}" for c, total in sorted(minor.items())) or "0.00"
