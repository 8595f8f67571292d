"""Commands for product managers: check, load and read the versions of tariffs."""

import json
from datetime import date
from pathlib import Path

import click

from ledger.cli.options import ACTOR, json_option, now
from ledger.db import transaction
from ledger.errors import Invalid
from ledger.service import access
from rating import service
from rating.listing import tariff_lines
from rating.price_list import price_lines, price_list, terms_for_all
from rating.tariff import TariffBook
from rating.tariff_diff import tariff_diff
from rating.tariff_file import read_tariff
from rating.tariff_schema import tariff_schema
from rating.tariff_terms import Tariff
from rating.tariff_writing import rewrite

_label = click.argument("label")
_as = click.option("--as", "username", required=True, help="The member of staff who judges.")
_hash = click.option(
    "--hash", "hash_prefix", required=True,
    help="The hash of what was read, as `show` prints it; its first 8 characters will do.",
)  # fmt: skip
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
@click.option("--as", "username", help="The member of staff who loads; needs tariffs:write.")
@click.option(
    "--approve-as", "approver",
    help="Another member of staff, who approves it at once; needs tariffs:approve.",
)  # fmt: skip
@json_option
def load(file: Path, username: str | None, approver: str | None, *, as_json: bool) -> None:
    """Load a tariff FILE as a proposal; loading the same content again changes nothing.

    It rates from its first day on when another person has approved it: with hovedbok rating
    approve, or here by --approve-as.
    """
    with transaction() as session:
        maker = (
            access.named_staff(session, username, "tariffs:write", None, now=now())
            if username
            else ACTOR
        )
        loaded = service.propose_tariff(session, file.read_bytes(), actor=maker)
        book = loaded.book
        if approver:
            judge = access.named_staff(session, approver, "tariffs:approve", None, now=now())
            service.approve_tariff(session, book.label, book.content_hash, judge=judge)
        state = service.find_tariff(session, book.label).state
    if as_json:
        click.echo(json.dumps({**_summary(book), "new": loaded.new, "state": state}))
        return
    verb = "Loaded" if loaded.new else "Already loaded:"
    click.echo(
        f"{verb} {book.label}, valid from {book.tariff.valid_from}: "
        f"{len(book.offerings)} offerings, {len(book.rows.price)} rates, "
        f"content {book.content_hash[:12]}."
    )
    if state == service.PROPOSED:
        click.echo(
            f"It is a proposal. Another person approves it: hovedbok rating approve {book.label} "
            f"--hash {book.content_hash[:12]} --as NAME"
        )


@click.command()
@_label
@_hash
@_as
@click.option("--comment", default="", help="For whoever reads the history.")
def approve(label: str, hash_prefix: str, username: str, comment: str) -> None:
    """Approve the version LABEL (NORDLYS/2): it rates from its first day on."""
    with transaction() as session:
        judge = access.named_staff(session, username, "tariffs:approve", None, now=now())
        done = service.approve_tariff(session, label, hash_prefix, judge=judge, comment=comment)
    click.echo(f"{done.label} is approved by {done.judge} and rates from {done.valid_from}.")


@click.command()
@_label
@_hash
@_as
@click.option("--comment", required=True, help="Why; its author has to know what to change.")
def reject(label: str, hash_prefix: str, username: str, comment: str) -> None:
    """Reject the version LABEL for good; its first day is free for the corrected one."""
    with transaction() as session:
        judge = access.named_staff(session, username, "tariffs:approve", None, now=now())
        done = service.reject_tariff(session, label, hash_prefix, judge=judge, comment=comment)
    click.echo(f"{done.label} is rejected by {done.judge}: {done.comment}")


@click.command("list")
@json_option
def list_books(*, as_json: bool) -> None:
    """List the loaded tariff books."""
    with transaction() as session:
        rows = service.tariff_books(session)
    if as_json:
        facts = [
            {"name": row.name, "version": row.version, "valid_from": str(row.valid_from),
             "valid_to": row.valid_to and str(row.valid_to), "state": row.state,
             "loaded_by": row.loaded_by, "judge": row.judge, "content_hash": row.content_hash}
            for row in rows
        ]  # fmt: skip
        click.echo(json.dumps(facts))
        return
    for row in rows:
        until = f" to {row.valid_to}" if row.valid_to else ""
        judge = f" by {row.judge}" if row.judge else ""
        click.echo(
            f"{row.label}  from {row.valid_from}{until}  {row.content_hash[:12]}  "
            f"{row.state}{judge}, loaded by {row.loaded_by}"
        )
    if not rows:
        click.echo("No tariff book is loaded. Load one with hovedbok rating load FILE.")


@click.command()
@click.argument("label", required=False)
@click.option("--on", "on_day", help="The day it is in force, such as 2026-03-01.")
@click.option("--name", help="Which tariff, where several are loaded.")
@json_option
def show(label: str | None, on_day: str | None, name: str | None, *, as_json: bool) -> None:
    """Show the version LABEL (NORDLYS/2), or the one in force on a day: its prices."""
    if (label is None) == (on_day is None):
        raise Invalid("Name a version, such as NORDLYS/2, or a day with --on.")
    with transaction() as session:
        if label is not None:
            book = service.find_tariff(session, label).book
        else:
            book = service.tariff_book(session, _day(on_day or ""), name)
    if as_json:
        click.echo(json.dumps(_summary(book)))
        return
    click.echo(f"{book.label}, valid from {book.tariff.valid_from}, content {book.content_hash}")
    for line in tariff_lines(book.tariff):
        click.echo(f"  {line}")
    for line in price_lines(terms_for_all(book.tariff, "en")):
        click.echo(line)
    for offering in book.tariff.offerings:
        basis = "with VAT" if offering.price_basis == "gross" else "without VAT"
        click.echo(f"\n{offering.id}  {offering.name} ({basis})")
        for line in price_lines(price_list(book.tariff, offering, "en")):
            click.echo(line)


@click.command()
@click.argument("before")
@click.argument("after")
@json_option
def diff(before: str, after: str, *, as_json: bool) -> None:
    """Tell what changes from BEFORE to AFTER: each a version such as NORDLYS/2, or a file."""
    told = tariff_diff(_tariff(before), _tariff(after))
    if as_json:
        facts = {"before": told.before, "after": told.after, "valid_from": str(told.valid_from),
                 "changes": [change.facts() for change in told.changes]}  # fmt: skip
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    click.echo(f"From {told.before} to {told.after}, from {told.valid_from}:")
    for change in told.changes:
        click.echo(f"  {change.sentence()}")
    click.echo(f"{len(told.changes)} change{'' if len(told.changes) == 1 else 's'}.")


def _tariff(named: str) -> Tariff:
    """Read a file of the name, else the version that has it as its label; no label is a *.toml."""
    if Path(named).is_file() or named.endswith(".toml"):
        return read_tariff(Path(named).read_bytes())
    with transaction() as session:
        return service.find_tariff(session, named).book.tariff


@click.command()
@_label
@click.option("--rewrite", "anew", is_flag=True,
              help="Every key in the order of the format, without comments.")  # fmt: skip
def export(label: str, *, anew: bool) -> None:
    """Print the file of a version, as it was loaded: loading it again changes nothing."""
    with transaction() as session:
        source = service.find_tariff(session, label).source
    click.echo(rewrite(source) if anew else source, nl=False)


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


tariff_commands = (check, load, approve, reject, list_books, show, diff, export, schema)
