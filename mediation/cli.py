"""The `hovedbok mediation` commands: files in, and what became of them."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ledger.db import transaction
from ledger.money import format_amount
from ledger.vault import vault
from mediation import service
from mediation.charging import month_of
from mediation.service.ingest import FileOutcome
from rating.explain import kroner


def ingest_paths(
    paths: Sequence[Path], source_system: str = "network", label: str = "Taking in files",
    book: str = "NO01",
) -> list[FileOutcome]:  # fmt: skip
    """Take in files one by one, each in a transaction of its own, with progress."""
    outcomes = []
    with click.progressbar(paths, label=label, file=sys.stderr) as bar:
        for path in bar:
            with transaction() as session:
                outcomes.append(
                    service.ingest_file(
                        session, vault(), path, source_system=source_system, book=book
                    )
                )
    return outcomes


def files_under(paths: Iterable[Path]) -> list[Path]:
    """List the files named and those in the folders named, in order of name.

    What is in a folder and cannot be read is listed too, and so refused by name: a link to nowhere,
    a folder that may not be looked into, a link to a folder elsewhere.
    """
    found: list[Path] = []
    for path in paths:
        found += sorted(_below(path)) if path.is_dir() else [path]
    return found


def _below(folder: Path) -> Iterator[Path]:
    closed: list[OSError] = []
    whole = folder.resolve()
    for place, folders, names in os.walk(folder, onerror=closed.append):
        yield from (Path(place, name) for name in names)
        for link in (Path(place, name) for name in folders if Path(place, name).is_symlink()):
            if not link.resolve().is_relative_to(whole):
                yield link
    yield from (Path(fault.filename) for fault in closed)


@click.group("mediation")
def mediation_cli() -> None:
    """Take in files and look after what became of them."""


@mediation_cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--source", default="network", show_default=True, help="The system they come from.")
@click.option("--book", default="NO01", show_default=True, help="The book that payments are of.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
def ingest(*, paths: tuple[Path, ...], source: str, book: str, as_json: bool) -> None:
    """Take in FILES or folders of files; exit 1 if one is suspended as a whole or refused."""
    found = files_under(paths)
    if not found:
        click.echo(f"There is no file in {', '.join(map(str, paths))}.", err=True)
    outcomes = ingest_paths(found, source, book=book)
    for outcome in outcomes:
        if as_json:
            click.echo(json.dumps(asdict(outcome), ensure_ascii=False))
            continue
        said = f" {outcome.reason}: {outcome.detail}" if outcome.reason else ""
        click.echo(f"{outcome.name}: {outcome.state}, {outcome.records} records.{said}")
        for kind, detail in outcome.alarms:
            click.echo(f"  {kind}: {detail}")
    if any(outcome.state in {"suspended", "refused"} for outcome in outcomes):
        sys.exit(1)


@mediation_cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
def files(*, as_json: bool) -> None:
    """List files with their states, control totals and alarms, and those that were refused."""
    with transaction("auditor") as session:
        found, refused = service.files(session), service.refused_files(session)
        totals = {
            (total.file_id, total.measure): total for total in service.control_totals(session)
        }
    for file in found:
        if as_json:
            measures = {
                total.measure: asdict(total)
                for (file_id, _), total in totals.items()
                if file_id == file.file_id
            }
            row = {**asdict(file), "registered_at": file.registered_at.isoformat()}
            click.echo(json.dumps({**row, "control": measures}, ensure_ascii=False))
            continue
        click.echo(f"{file.file_id:6} {file.state:9} {file.name}  {file.reason or ''}")
        records = totals.get((file.file_id, "records"))
        if records is not None:
            click.echo(
                f"       received {records.received} = accepted {records.accepted}"
                f" + filtered {records.filtered} + duplicate {records.duplicate}"
                f" + suspended {records.suspended} + held {records.held} + merged {records.merged}"
            )
        for kind, detail in file.alarms:
            click.echo(f"       {kind}: {detail}")
    for one in refused:
        if as_json:
            row = {**asdict(one), "state": "refused", "refused_at": one.refused_at.isoformat()}
            click.echo(json.dumps(row, ensure_ascii=False))
            continue
        click.echo(f"{one.refused_file_id:6} refused   {one.name}  {one.reason}")
        click.echo(f"       {one.detail} Put that right and take it in again.")


@mediation_cli.command("give-up")
@click.argument("file")
@click.option("--author", required=True, help="Who looked; kept.")
@click.option("--because", required=True, help="Why it is not needed; kept.")
def give_up(*, file: str, author: str, because: str) -> None:
    """End the waiting of a refused FILE (name, or number among the refused): it is not needed."""
    with transaction() as session:
        ended = service.give_up_refused(session, file, author, because)
    click.echo(f"{ended.name}, refused for {ended.reason}, is given up: it holds up no close.")


@mediation_cli.command()
@click.option("--limit", default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record.")
def suspense(*, limit: int, as_json: bool) -> None:
    """List records that need somebody, oldest first."""
    with transaction("auditor") as session:
        found = service.suspense(session, limit=limit)
        sums = service.suspense_by_reason(session)
    for one in found:
        if as_json:
            row = {**asdict(one), "recorded_at": one.recorded_at.isoformat()}
            click.echo(json.dumps(row, ensure_ascii=False))
            continue
        where = f"line {one.line_no}" if one.line_no else f"offset {one.byte_offset}"
        click.echo(f"{one.file_name}#{one.record_no} ({where}) {one.reason}: {one.detail}")
    if not as_json:
        for reason, records, seconds, octets in sums:
            click.echo(f"{reason}: {records} records, {seconds} s, {octets} octets")


@mediation_cli.command()
@click.argument("file")
@click.option("--author", required=True, help="Who asks for it; kept with the reversal.")
@click.option("--because", required=True, help="Why; kept with the reversal.")
@click.option("--dry-run", is_flag=True, help="Say what would be withdrawn and record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def reverse(*, file: str, author: str, because: str, dry_run: bool, as_json: bool) -> None:
    """Take back FILE (name or number) as a whole; the next rating run un-charges its usage.

    A file that waits as a whole, of usage, orders or payments, is given up: it holds up no close
    any more.
    """
    with transaction() as session:
        done = service.reverse_file(session, vault(), file, author, because, dry_run=dry_run)
    if as_json:
        click.echo(json.dumps({**asdict(done), "dry_run": dry_run}))
        return
    if done.waited:
        click.echo(
            f"{done.name}, file {done.file_id}, {'would be' if dry_run else 'is'} given up: "
            f"nothing of it is used, and it holds up no close."
        )
    else:
        click.echo(
            f"{done.name}: {done.events} events with {done.seconds} s and {done.octets} octets "
            f"withdrawn, {done.suspended} records wait no longer."
        )
    if dry_run:
        click.echo("Nothing was recorded; run it without --dry-run to do it.")
    elif done.periods:
        click.echo(f"Rate again: {', '.join(done.periods)} (hovedbok rating run --month …).")


@mediation_cli.command()
@click.option("--author", required=True, help="Who asks for it; kept with every release.")
@click.option(
    "--because", default="The orders came after the usage.", show_default=True, help="Why."
)
@click.option("--dry-run", is_flag=True, help="Say what would happen and record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def recycle(*, author: str, because: str, dry_run: bool, as_json: bool) -> None:
    """Try suspended records again whose subscriber or offering was not known."""
    with transaction() as session:
        done = service.recycle_suspense(session, vault(), author, because, dry_run=dry_run)
    if as_json:
        counts = {**asdict(done), "waiting": done.waiting, "dry_run": dry_run}
        click.echo(json.dumps(counts))
        return
    click.echo(
        f"{done.tried} records tried: {done.accepted} accepted, {done.merged} merged into them, "
        f"{done.waiting} still suspended."
    )
    if dry_run:
        click.echo("Nothing was recorded; run it without --dry-run to do it.")
    elif done.accepted:
        click.echo("Run the month again to price and bill them.")


@mediation_cli.command()
@click.option("--author", required=True, help="Who asks for it; kept with every release.")
@click.option("--because", default="What they need has come.", show_default=True, help="Why.")
@click.option("--file", help="Only the rows of this file, by name or number.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and record nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
def rerun(*, author: str, because: str, file: str | None, dry_run: bool, as_json: bool) -> None:
    """Run suspended rows of orders and lists again, each until it is applied."""
    with transaction() as session:
        rows = service.rerun_rows(session, vault(), author, because, file=file, dry_run=dry_run)
    for row in rows:
        _tell_row(row, dry_run=dry_run, as_json=as_json)
    if as_json:
        return
    counts = {state: sum(row.state == state for row in rows) for state in _ROW_STATES}
    click.echo(
        f"{len(rows)} rows tried: {counts['applied']} applied, {counts['already']} known from "
        f"another file, {counts['suspended']} still suspended."
    )
    _say_what_follows(dry_run=dry_run, applied=bool(counts["applied"]))


@mediation_cli.command()
@click.argument("file")
@click.argument("line", type=click.IntRange(min=1))
@click.argument("values", nargs=-1, metavar="COLUMN=VALUE...")
@click.option("--author", required=True, help="Who says so; kept with the correction.")
@click.option("--because", required=True, help="Why; kept with the correction.")
@click.option("--give-up", is_flag=True, help="It will never be applied: end its waiting.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def correct(
    *, file: str, line: int, values: tuple[str, ...], author: str, because: str, give_up: bool,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Correct cells of a suspended row of FILE (name or number), and run it again."""
    if give_up == bool(values):
        raise click.UsageError("Say either what to correct, as COLUMN=VALUE, or --give-up.")
    with transaction() as session:
        if give_up:
            row = service.give_up_row(session, file, line, author, because, dry_run=dry_run)
        else:
            row = service.correct_row(session, vault(), file, line, _cells(values), author,
                                      because, dry_run=dry_run)  # fmt: skip
    _tell_row(row, dry_run=dry_run, as_json=as_json)
    if not as_json:
        _say_what_follows(dry_run=dry_run, applied=row.state == "applied")


_ROW_STATES = {
    "applied": "is applied", "already": "came in another file and was applied from it",
    "suspended": "is still suspended", "given up": "is given up",
}  # fmt: skip


def _cells(values: Sequence[str]) -> dict[str, str]:
    """Read COLUMN=VALUE; a value may be empty, and hold further equals signs."""
    cells: dict[str, str] = {}
    for said in values:
        column, equals, value = said.partition("=")
        if not equals or not column or column in cells:
            raise click.UsageError(f"{said!r}: write each column once, as COLUMN=VALUE.")
        cells[column] = value
    return cells


def _tell_row(row: service.RowOutcome, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(row), "dry_run": dry_run}, ensure_ascii=False))
        return
    why = f" {row.reason}: {row.detail}" if row.reason else ""
    click.echo(f"{row.file_name}#{row.line_no} {_ROW_STATES[row.state]}.{why}")


def _say_what_follows(*, dry_run: bool, applied: bool) -> None:
    if dry_run:
        click.echo("Nothing was recorded; run it without --dry-run to do it.")
    elif applied:
        click.echo("Usage may have waited for it: hovedbok mediation recycle. Then run the month.")


@mediation_cli.command()
@click.option("--month", "period", required=True, help="The month of use, such as 2026-03.")
@click.option("--book", default="NO01", show_default=True, help="The book of accounts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a threshold.")
def limits(*, period: str, book: str, as_json: bool) -> None:
    """Show who reached which spend limit of the tariff, by the event that did; writes nothing."""
    with transaction() as session:
        reached = service.limits_reached(session, vault(), month_of(book, period))
    for one in reached:
        if as_json:
            facts = {
                "limit": one.limit, "subscription_id": one.subscription_id, "label": one.label,
                "at": one.at.isoformat(), "percent": one.percent,
                **{name: kroner(getattr(one, f"{name}_micro"), "en")
                   for name in ("cost", "limit_amount", "beyond")},
            }  # fmt: skip
            click.echo(json.dumps(facts, ensure_ascii=False))
            continue
        click.echo(
            f"{one.at:%Y-%m-%d %H:%M:%S} {one.label or one.subscription_id}: {one.percent} % of "
            f"{one.limit} ({kroner(one.cost_micro, 'en')} of {kroner(one.limit_amount_micro, 'en')}"
            f", {kroner(one.beyond_micro, 'en')} beyond)"
        )
    if not as_json:
        click.echo(f"{len(reached)} thresholds reached in {period}.")


@mediation_cli.command()
@click.option("--month", "period", required=True, help="The month of use, such as 2026-03.")
@click.option("--tariff", required=True, help="The wholesale tariff, such as INTERCONNECT.")
@click.option("--offering", required=True, help="Which of its offerings holds the prices.")
@click.option("--book", default="NO01", show_default=True, help="The book of accounts.")
@click.option("--dry-run", is_flag=True, help="Say what would be posted, and post nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def wholesale(
    *, period: str, tariff: str, offering: str, book: str, dry_run: bool, as_json: bool
) -> None:
    """Rate a month at partners' prices, book what they are owed, and show what is left of it."""
    with transaction() as session:
        done = service.charge_partners(
            session, vault(), month_of(book, period), tariff, offering, dry_run=dry_run
        )
    if as_json:
        facts = asdict(done)
        for name in ("revenue", "cost", "margin"):
            facts[name] = format_amount(facts.pop(f"{name}_minor"))
        for cost in facts["costs"]:
            for name in ("owed", "posted"):
                cost[name] = format_amount(cost.pop(f"{name}_minor"))
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for each in done.costs:
        click.echo(
            f"{each.partner} {each.kind}: {each.events} events, "
            f"{format_amount(each.owed_minor)} {each.currency}, "
            f"{format_amount(each.posted_minor)} {'to post' if dry_run else 'posted'}"
        )
    click.echo(
        f"Revenue {format_amount(done.revenue_minor)}, cost {format_amount(done.cost_minor)}, "
        f"margin {format_amount(done.margin_minor)}; {done.unknown} events without a cost price."
    )


@mediation_cli.command()
@click.option("--month", "period", required=True, help="The month of use, such as 2026-03.")
@click.option("--book", default="NO01", show_default=True, help="The book of accounts.")
@click.option("--dry-run", is_flag=True, help="Say what would be posted, and post nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def settle(*, period: str, book: str, dry_run: bool, as_json: bool) -> None:
    """Say whose a month's content was: provider, collectors, charity, and the own fee; book it."""
    with transaction() as session:
        done = service.settle_content(session, vault(), month_of(book, period), dry_run=dry_run)
    facts = [
        {"component": each.component, "account": each.account, "holder": each.holder,
         "amount": format_amount(each.minor), "posted": format_amount(each.posted_minor)}
        for each in done.lines
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"batch_id": done.batch_id, "lines": facts}, ensure_ascii=False))
        return
    for one in facts:
        click.echo(
            f"{one['component']} {one['account']} {one['holder'] or '-'}: {one['amount']}, "
            f"{one['posted']} {'to post' if dry_run else 'posted'}"
        )
    click.echo(f"{len(facts)} lines of {period}.")
