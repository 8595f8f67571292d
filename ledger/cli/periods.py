"""`hovedbok ledger` on time: how periods stand, who locked them, what came late, and reversals."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from ledger import service
from ledger.cli.options import (
    ACTOR,
    as_of_option,
    begin_reading,
    book_option,
    clocks_json,
    clocks_line,
    day_option,
    json_option,
    known_option,
    voucher_argument,
)
from ledger.db import transaction
from ledger.journal import Voucher
from ledger.periods import MODULES

_module = click.option(
    "--module", required=True, type=click.Choice(MODULES), help="GL stands over every module."
)
_reason = click.option("--reason", required=True, help="Why; an auditor reads it.")
_until = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


@click.command("periods")
@book_option
@json_option
def periods_command(book: str, *, as_json: bool) -> None:
    """Show how each period stands: per module since when, by whom and why."""
    with transaction() as session:
        states = service.period_states(session, book)
    if as_json:
        click.echo(json.dumps({"periods": [_state(state) for state in states]}, ensure_ascii=False))
        return
    for period in dict.fromkeys(state.period for state in states):
        told = [state for state in states if state.period == period]
        levels = "  ".join(f"{state.module} {state.level:4}" for state in told)
        click.echo(f"{period}  {levels}".rstrip())
        for state in told:
            _tell(state)


def _tell(state: service.PeriodState) -> None:
    if state.since is None:
        return
    until = f", until {_instant(state.reopened_until)}" if state.reopened_until else ""
    click.echo(
        f"    {state.module} is {state.level} since {_instant(state.since)}{until},"
        f" by {state.actor}: {state.reason}"
    )
    for leave in state.exceptions:
        click.echo(
            f"        except for {leave.actor} until {_instant(leave.expires_at)}, by"
            f" {leave.granted_by}: {leave.reason}"
        )


@click.command("lock")
@click.argument("period")
@_module
@click.option(
    "--level",
    required=True,
    type=click.Choice(["soft", "hard"]),
    help="A hard lock has no inverse.",
)
@_reason
@book_option
@click.option("--yes", is_flag=True, help="Do not ask before a hard lock.")  # fmt: skip
def lock_command(
    period: str, module: str, level: str, reason: str, book: str, *, yes: bool
) -> None:
    """Lock PERIOD (2026-03) for a module; every exception from an earlier lock ends.

    A hard lock that stands already is told, and is no fault: after a lost answer, ask again.
    """
    if level == "hard" and not yes:
        click.confirm(f"Nothing can ever open {period} for {module} again. Lock it?", abort=True)
    with transaction() as session:
        done = service.ensure_locked(
            session, book, period, module=module, level=level, actor=ACTOR, reason=reason
        )
    before = f" already, by {done.actor} since {_instant(done.since)}" if done.already else ""
    click.echo(f"{period} is locked ({level}) for {module}{before}.")


@click.command("reopen")
@click.argument("period")
@_module
@_reason
@click.option(
    "--until", type=_until, help="Closes by itself then (UTC); open for good if left out."
)
@book_option
def reopen_command(
    period: str, module: str, reason: str, until: datetime | None, book: str
) -> None:
    """Open PERIOD again for everybody, where its lock is only soft."""
    with transaction() as session:
        service.reopen_period(
            session, book, period, module=module, actor=ACTOR, reason=reason, until=_utc(until)
        )
    ends = f" until {_instant(_utc(until))}" if until else ""
    click.echo(f"{period} is open for {module}{ends}.")


@click.command("except")
@click.argument("period")
@_module
@click.option("--for", "actor", required=True, help="Whom it is for, e.g. staff:accountant.")
@_reason
@click.option(
    "--until", type=_until, help="When it ends (UTC, at most 31 days); in a day if left out."
)
@book_option
def except_command(
    period: str, module: str, actor: str, reason: str, until: datetime | None, book: str
) -> None:
    """Let one actor post into PERIOD while a module of it is soft-closed."""
    ends = _utc(until) or datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    with transaction() as session:
        service.grant_exception(
            session, book, period, module=module, actor=actor, reason=reason,
            granted_by=ACTOR, expires_at=ends,
        )  # fmt: skip
    click.echo(f"{actor} may post into {period}, closed for {module}, until {_instant(ends)}.")


@click.command("late")
@click.argument("period")
@as_of_option
@known_option
@book_option
@json_option
def late_command(
    period: str, as_of: date | None, known_as_of: int | None, book: str, *, as_json: bool
) -> None:
    """List entries of PERIOD recorded after it had been closed, also those dated later."""
    with transaction() as session:
        clocks = begin_reading(session, book, as_of, known_as_of)
        late = service.late_postings(session, book, period, as_of, known_as_of)
    if as_json:
        listed = [_late(one) for one in late]
        click.echo(json.dumps({"period": period, "late": listed, **clocks_json(clocks)}))
        return
    for one in late:
        click.echo(
            f"{_instant(one.recorded_at)}  {one.voucher!s:18} {one.effective_date}"
            f"  {one.module:7} {one.under:9}  {one.actor}  {one.text}"
        )
    found = len({one.entry_id for one in late})
    click.echo(f"{found} entries of {period} were recorded after a lock." if found
               else f"Nothing of {period} was recorded after a lock.")  # fmt: skip
    click.echo(clocks_line(clocks))


@click.command("reverse")
@click.argument("voucher", callback=voucher_argument)
@_reason
@day_option("--on", "The day of the reversal; the first open one if left out.")
@book_option
@json_option
def reverse_command(
    voucher: Voucher, reason: str, on: date | None, book: str, *, as_json: bool
) -> None:
    """Take back VOUCHER (SAL/2026/17) by its mirror, once."""
    with transaction() as session:
        found = service.find_voucher(session, book, *voucher)
        posted = service.reverse_entry(
            session, found.entry_id, effective_date=on, reason=reason,
            actor=ACTOR,
        )  # fmt: skip
        mirror = service.read_entry(session, posted.entry_ids[0])
    if as_json:
        click.echo(
            json.dumps(
                {
                    "voucher": str(voucher), "reversed_by": str(mirror.voucher),
                    "effective_date": mirror.effective_date.isoformat(),
                }
            )
        )  # fmt: skip
        return
    click.echo(f"{voucher} is reversed by {mirror.voucher} on {mirror.effective_date}.")


@click.command("undo")
@click.argument("allocation", type=int)
@_reason
@day_option("--on", "The day from which both items are outstanding again.", required=True)
def undo_command(allocation: int, reason: str, on: date) -> None:
    """Undo an ALLOCATION (its number) by a counter-fact, once."""
    with transaction() as session:
        service.undo_allocation(session, allocation, effective_date=on, reason=reason, actor=ACTOR)
    click.echo(f"Allocation {allocation} is undone from {on}.")


COMMANDS = (
    periods_command, lock_command, reopen_command, except_command, late_command, reverse_command,
    undo_command,
)  # fmt: skip


def _utc(instant: datetime | None) -> datetime | None:
    return instant and instant.replace(tzinfo=UTC)


def _instant(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _state(state: service.PeriodState) -> dict[str, Any]:
    return {
        "period": state.period, "module": state.module, "level": state.level,
        "actor": state.actor, "reason": state.reason,
        "since": state.since and state.since.isoformat(),
        "reopened_until": state.reopened_until and state.reopened_until.isoformat(),
        "exceptions": [
            {
                "actor": leave.actor, "reason": leave.reason, "granted_by": leave.granted_by,
                "expires_at": leave.expires_at.isoformat(),
            }
            for leave in state.exceptions
        ],
    }  # fmt: skip


def _late(one: service.LatePosting) -> dict[str, Any]:
    return {
        "voucher": str(one.voucher), "effective_date": one.effective_date.isoformat(),
        "module": one.module, "under": one.under, "closed_at": one.closed_at.isoformat(),
        "recorded_at": one.recorded_at.isoformat(), "actor": one.actor, "text": one.text,
    }  # fmt: skip
