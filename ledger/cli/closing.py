"""`hovedbok ledger` at month end and year end: the checklist, the close, the waiver, the year."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import click
from sqlalchemy.orm import Session

from ledger.cli.options import (
    ACTOR,
    begin_reading,
    book_option,
    clocks_json,
    clocks_line,
    json_option,
    known_option,
    now,
)
from ledger.closing import in_the_way
from ledger.db import transaction
from ledger.money import format_amount
from ledger.service import access, closing, year_end
from ledger.service.checklists import Checklist, read_checklist

_as = click.option(
    "--as", "username", help="The member of staff who acts; needs the role."
)  # fmt: skip


@click.command("checklist")
@click.argument("period")
@_as
@book_option
@json_option
def checklist_command(period: str, username: str | None, book: str, *, as_json: bool) -> None:
    """Run the checks of PERIOD (2026-03) and keep what they found; exit 1 if any is in the way."""
    with transaction() as session:
        actor = _actor(session, username, book, "periods:close")
        seen = closing.run_checklist(session, book, period, actor=actor)
    if as_json:
        click.echo(json.dumps(told_checklist(seen), ensure_ascii=False))
    else:
        _tell(seen)
    if in_the_way(seen.results):
        raise SystemExit(1)


@click.command("waive")
@click.argument("checklist", type=int)
@click.argument("check")
@click.option("--reason", required=True, help="Why it may pass; an auditor reads it.")
@_as
def waive_command(checklist: int, check: str, reason: str, username: str | None) -> None:
    """Let an open CHECK of a CHECKLIST (its number) pass, for as long as it finds the very same."""
    with transaction() as session:
        book = read_checklist(session, checklist).book
        actor = _actor(session, username, book, "periods:waive")
        closing.waive_check(session, checklist, check, actor=actor, reason=reason)
    click.echo(f"{check} of checklist {checklist} is waived by {actor}: {reason}")


@click.command("close")
@click.argument("period")
@click.option("--hard", is_flag=True, help="For good: a hard lock has no inverse.")
@click.option(
    "--waive",
    "waived",
    multiple=True,
    metavar="CHECK",
    help="Let this open check pass as it is found; may be given several times.",
)
@click.option("--reason", help="Why what is waived may pass; an auditor reads it.")
@click.option("--yes", is_flag=True, help="Do not ask before a hard lock.")
@_as
@book_option
@json_option
def close_command(
    period: str, waived: tuple[str, ...], reason: str | None, username: str | None, book: str,
    *, hard: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run the checks of PERIOD and close it for every module, if nothing is in the way."""
    if waived and not reason:
        raise click.UsageError("Say why with --reason: an auditor reads it.")
    if hard and not yes:
        click.confirm(f"Nothing can ever open {period} again. Close it for good?", abort=True)
    with transaction() as session:
        actor = _actor(session, username, book, "periods:close")
        if waived:
            _actor(session, username, book, "periods:waive")
        done = closing.close_period(
            session, book, period, level="hard" if hard else "soft", actor=actor,
            waive=dict.fromkeys(waived, reason or ""),
        )  # fmt: skip
    if as_json:
        evidence = done.checklist and told_checklist(done.checklist)
        click.echo(json.dumps(
            {"period": period, "level": done.level, "already": done.already,
             "checklist": evidence}, ensure_ascii=False,
        ))  # fmt: skip
        return
    if done.checklist is not None and not done.already:
        _tell(done.checklist)
    click.echo(f"{period} is closed already ({done.level})." if done.already
               else f"{period} is closed ({done.level}).")  # fmt: skip


@click.command("close-year")
@click.argument("year", type=int)
@_as
@book_option
@json_option
def close_year_command(year: int, username: str | None, book: str, *, as_json: bool) -> None:
    """Move the result of YEAR to equity, once its months are closed and not yet for good."""
    with transaction() as session:
        actor = _actor(session, username, book, "periods:close")
        done = year_end.close_year(session, book, year, actor=actor)
    voucher = None if done.voucher is None else str(done.voucher)
    if as_json:
        click.echo(json.dumps({
            "year": year, "result": format_amount(done.result_minor), "voucher": voucher,
            "already": done.already,
        }))  # fmt: skip
    elif voucher is None:
        click.echo(f"{year} has no result to move.")
    else:
        before = " already" if done.already else ""
        click.echo(f"{year} is closed{before} by {voucher}: a result of "
                   f"{format_amount(done.result_minor)} is moved to equity.")  # fmt: skip


@click.command("year")
@click.argument("year", type=int)
@known_option
@book_option
@json_option
def year_command(year: int, known_as_of: int | None, book: str, *, as_json: bool) -> None:
    """Show every account of YEAR: what it opened with, what moved, what it closes with."""
    with transaction("auditor") as session:
        clocks = begin_reading(session, book, None, known_as_of)
        seen = year_end.read_year(session, book, year, known_as_of)
    clocks = replace(clocks, effective_as_of=seen.last_day)
    if as_json:
        click.echo(json.dumps({**told_year(seen), **clocks_json(clocks)}, ensure_ascii=False))
        return
    for one in seen.balances:
        figures = (one.opening_minor, one.movement_minor, one.closing_minor)
        amounts = "".join(f"{format_amount(minor):>18}" for minor in figures)
        click.echo(f"{one.account:6} {one.account_class} {one.name:42.42}{amounts}")
    click.echo(
        f"Result of {year}: {format_amount(seen.result_minor)}, "
        f"{f'moved to equity by {seen.closed_by}' if seen.closed_by else 'not moved yet'}."
    )
    if seen.left_before_minor:
        click.echo(f"A result of {format_amount(-seen.left_before_minor)} of earlier years is not "
                   "moved to equity.")  # fmt: skip
    click.echo(clocks_line(clocks))


COMMANDS = (
    checklist_command, waive_command, close_command, close_year_command, year_command
)  # fmt: skip


def told_checklist(seen: Checklist) -> dict[str, Any]:
    """Show a checklist as JSON: who looked, when, on what, and what each check found."""
    return {
        "checklist_id": seen.checklist_id, "book": seen.book, "period": seen.period,
        "closes_as": seen.closes_as, "actor": seen.actor, "known_as_of": seen.known_as_of,
        "recorded_at": seen.recorded_at.isoformat(), "content_hash": seen.content_hash.hex(),
        "checks": [
            {
                "code": one.code, "title": one.title, "state": one.state, "detail": one.detail,
                "figures": one.finding.figures, "result_hash": one.result_hash.hex(),
                "waived_by": one.waiver and one.waiver.actor,
                "waived_because": one.waiver and one.waiver.reason,
            }
            for one in seen.results
        ],
    }  # fmt: skip


def told_year(seen: year_end.Year) -> dict[str, Any]:
    """Show a year as JSON, amounts as decimal strings in the book's own currency."""
    return {
        "year": seen.year, "first_day": seen.first_day.isoformat(),
        "last_day": seen.last_day.isoformat(),
        "closed_by": None if seen.closed_by is None else str(seen.closed_by),
        "result": format_amount(seen.result_minor),
        "left_before": format_amount(-seen.left_before_minor),
        "balances": [
            {
                "account": one.account, "name": one.name, "class": one.account_class,
                "opening": format_amount(one.opening_minor),
                "movement": format_amount(one.movement_minor),
                "closing": format_amount(one.closing_minor),
            }
            for one in seen.balances
        ],
    }  # fmt: skip


def _actor(session: Session, username: str | None, book: str, scope: str) -> str:
    """Name who acts: a member of staff that has the right, else the command line itself."""
    if username is None:
        return ACTOR
    return access.named_staff(session, username, scope, book, now=now())


def _tell(seen: Checklist) -> None:
    click.echo(f"{seen.period}  checklist {seen.checklist_id} by {seen.actor}, known as of seal "
               f"position {seen.known_as_of}")  # fmt: skip
    for one in seen.results:
        click.echo(f"    {one.state:8} {one.code:13} {one.detail}")
        if one.waiver is not None and one.state == "waived":
            click.echo(f"             waived by {one.waiver.actor}: {one.waiver.reason}")
