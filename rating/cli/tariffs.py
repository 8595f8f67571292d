"""Commands for product managers: check, load and read the versions of tariffs."""

import json
from datetime import date
from pathlib import Path

import click

from ledger.cli.options import json_option
from ledger.db import transaction
from ledger.errors import Invalid
from rating import service
from rating.explain import kroner
from rating.listing import rate_lines, tariff_lines
from rating.section_listing import contract_lines, section_lines
from rating.tariff import TariffBook
from rating.tariff_schema import tariff_schema

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@_file
@click.option("--books", is_flag=True, help="Also against the books and the versions loaded.")
@json_option
def check(file: Path, *, books: bool, as_json: bool) -> None:
    """Check a tariff FILE and tell every fault at once; exit 1 if there is one.

    By itself the file needs no database. Gaps are no faults: times without a price, allowances
    that nothing draws on, names that nothing uses.
    """
    if books:
        with transaction() as session:
            checked = service.check_tariff(session, file.read_bytes())
    else:
        checked = service.check_file(file.read_bytes())
    if as_json:
        told = {
            "faults": [fault.facts() for fault in checked.faults],
            "gaps": [gap.facts() for gap in checked.gaps],
            **({} if checked.book is None else _summary(checked.book)),
        }
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        for fault in checked.faults:
            click.echo(f"{file}: {fault}")
        for gap in checked.gaps:
            click.echo(f"{file}: gap: {gap}")
        click.echo(_verdict(checked))
    if checked.faults:
        raise SystemExit(1)


def _verdict(checked: service.Checked) -> str:
    if checked.faults:
        count = len(checked.faults)
        return f"{count} fault{'' if count == 1 else 's'}. Correct the file and check it again."
    assert checked.book is not None, "a file without faults has been read"
    return f"{checked.book.label} is sound, content {checked.book.content_hash[:12]}."


@click.command()
def schema() -> None:
    """Print the JSON Schema of the tariff file, for editors and programs."""
    click.echo(json.dumps(tariff_schema(), indent=2, ensure_ascii=False))


@click.command()
@_file
@json_option
def load(file: Path, *, as_json: bool) -> None:
    """Load a tariff FILE; loading the same content again changes nothing."""
    with transaction() as session:
        loaded = service.load_tariff(session, file.read_bytes())
    book = loaded.book
    if as_json:
        click.echo(json.dumps({**_summary(book), "new": loaded.new}))
        return
    verb = "Loaded" if loaded.new else "Already loaded:"
    click.echo(
        f"{verb} {book.label}, valid from {book.tariff.valid_from}: "
        f"{len(book.offerings)} offerings, {len(book.rows.price)} rates, "
        f"content {book.content_hash[:12]}."
    )


@click.command("list")
@json_option
def list_books(*, as_json: bool) -> None:
    """List the loaded tariff books."""
    with transaction() as session:
        rows = service.tariff_books(session)
    if as_json:
        facts = [
            {"name": row.name, "version": row.version, "valid_from": str(row.valid_from),
             "content_hash": row.content_hash}
            for row in rows
        ]  # fmt: skip
        click.echo(json.dumps(facts))
        return
    for row in rows:
        click.echo(f"{row.name}/{row.version}  from {row.valid_from}  {row.content_hash[:12]}")
    if not rows:
        click.echo("No tariff book is loaded. Load one with hovedbok rating load FILE.")


@click.command()
@click.option("--on", "on_day", required=True, help="The day it is in force, such as 2026-03-01.")
@click.option("--name", help="Which tariff, where several are loaded.")
@json_option
def show(on_day: str, name: str | None, *, as_json: bool) -> None:
    """Show the tariff book in force on a day: its offerings and prices."""
    with transaction() as session:
        book = service.tariff_book(session, _day(on_day), name)
    if as_json:
        click.echo(json.dumps(_summary(book)))
        return
    click.echo(f"{book.label}, valid from {book.tariff.valid_from}, content {book.content_hash}")
    for line in tariff_lines(book.tariff):
        click.echo(f"  {line}")
    for line in section_lines(book.tariff):
        click.echo(f"  {line}")
    for offering in book.tariff.offerings:
        basis = "with VAT" if offering.price_basis == "gross" else "without VAT"
        click.echo(f"\n{offering.id}  {offering.name} ({basis})")
        for month in offering.recurring:
            click.echo(f"  {kroner(month.price_micro, 'en'):>10} a month  {month.component}")
        for once in offering.one_off:
            click.echo(f"  {kroner(once.price_micro, 'en'):>10} on {once.on}  {once.component}")
        for included in offering.allowances:
            click.echo(f"  {included.quantity} included  {', '.join(included.components)}")
        for line in contract_lines(offering):
            click.echo(f"  {line}")
        for price in offering.rates:
            for line in rate_lines(price):
                click.echo(f"  {line}")


def _summary(book: TariffBook) -> dict[str, object]:
    return {
        "name": book.tariff.name,
        "version": book.tariff.version,
        "valid_from": str(book.tariff.valid_from),
        "content_hash": book.content_hash,
        "offerings": list(book.offerings),
        "rates": len(book.rows.price),
    }


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise Invalid(f"{written!r} is not a day; write it as 2026-03-01.") from None


tariff_commands = (check, load, list_books, show, schema)
