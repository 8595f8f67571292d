"""The `hovedbok ledger` commands: the books, their balances, and the proof that they hold."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import click

from ledger import service
from ledger.cli import closing, following, items, periods, reading, registers, seals, structure
from ledger.cli.drafts import draft_cli
from ledger.cli.options import ACTOR, book_option, json_option
from ledger.cli.posting import post_command
from ledger.db import transaction
from ledger.errors import Conflict
from ledger.refusals import UnknownBook
from ledger.service.books import require_book
from ledger.service.registers import voucher_gaps
from ledger.service.statements import BookName, read_books
from ledger.service.year_end import open_year

_CODE = re.compile(r"[A-Z0-9]{1,16}", re.ASCII)


@click.group("ledger")
def ledger_cli() -> None:
    """Look into the books and prove them."""


ledger_cli.add_command(post_command)
ledger_cli.add_command(draft_cli)
for _command in (
    *reading.COMMANDS, *periods.COMMANDS, *closing.COMMANDS, *seals.COMMANDS,
    *structure.COMMANDS, *registers.COMMANDS, *items.COMMANDS, *following.COMMANDS
):  # fmt: skip
    ledger_cli.add_command(_command)


@ledger_cli.command("init")
@click.option("--year", type=int, required=True, help="The fiscal year to open.")
@book_option
@click.option("--new", is_flag=True, help="Make another book, of this code; needs --entity.")
@click.option("--entity", help="Whose books a new book is: the name of the legal entity.")
@click.option("--currency", help="What a new book is kept in; NOK if left out.")
def init_command(
    year: int, book: str, entity: str | None, currency: str | None, *, new: bool
) -> None:
    """Seed a book with chart, VAT codes, series and rules, and open the periods of a year.

    The first book is made as it is named. Where there are books, an unknown code is taken for a
    slip of the pen unless --new is said.
    """
    with transaction() as session:
        books = {one.book: one for one in read_books(session)}
        if book in books:
            _check_same(books[book], entity, currency)
        elif books and not new:
            raise UnknownBook(
                f"There is no book {book}. Known: {', '.join(books)}. To make it beside them: "
                f"hovedbok ledger init --year {year} --book {book} --new --entity NAME.",
                book=book,
            )
        elif books and entity is None:
            raise click.UsageError("--new needs --entity: whose books they are.")
        elif not _CODE.fullmatch(book):
            raise click.UsageError(
                f"{book!r} is no code of a book: capital letters and digits, at most 16, as NO02."
            )
        made = {"legal_entity": entity, "currency": currency}
        service.seed_book(session, book, **{k: v for k, v in made.items() if v is not None})
        opened = open_year(session, book, year, actor=ACTOR)
    click.echo(f"Book {book} is seeded; {opened} new periods of {year} are open.")


def _check_same(known: BookName, entity: str | None, currency: str | None) -> None:
    """Refuse to take a book for another one: its entity and its currency never change."""
    if entity not in {None, known.legal_entity} or currency not in {None, known.currency}:
        raise Conflict(
            f"Book {known.book} is that of {known.legal_entity}, in {known.currency}, and stays so."
            " Choose another code for another book.",
            book=known.book,
        )


@ledger_cli.command("books")
@json_option
def books_command(*, as_json: bool) -> None:
    """List the books: whose each is, and in which currency it is kept."""
    with transaction() as session:
        books = read_books(session)
    if as_json:
        click.echo(json.dumps({"books": [asdict(one) for one in books]}, ensure_ascii=False))
        return
    for one in books:
        click.echo(f"{one.book:16} {one.currency}  {one.legal_entity}")


@ledger_cli.command("gaps")
@click.option("--book", help="Only this book; all of them if left out.")
@json_option
def gaps_command(book: str | None, *, as_json: bool) -> None:
    """List voucher numbers that are missing; exit 1 if one is missing without an explanation."""
    with transaction("auditor") as session:
        if book is not None:
            require_book(session, book)
        found = {
            one.book: (service.gaps(session, one.book), voucher_gaps(session, one.book))
            for one in read_books(session)
            if book in {None, one.book}
        }
    missing = [voucher for gaps, _ in found.values() for voucher in gaps]
    if as_json:
        of_each = [
            {"book": name, "gaps": gaps, "explained": [
                {**one._asdict(), "recorded_at": one.recorded_at.isoformat()} for one in explained
            ]}
            for name, (gaps, explained) in found.items()
        ]  # fmt: skip
        click.echo(json.dumps({"gaps": missing, "books": of_each}, ensure_ascii=False))
    for name, (gaps, explained) in () if as_json else found.items():
        for one in explained:
            click.echo(f"{name} {one.voucher} is explained by {one.actor}: {one.reason}")
        for voucher in gaps:
            click.echo(f"{name} {voucher} is missing.")
    if missing:
        raise SystemExit(1)
    if not as_json:
        click.echo("Every voucher series is without gaps that nobody explained.")
