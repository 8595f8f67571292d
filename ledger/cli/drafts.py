"""The `hovedbok ledger draft` commands: manual journals, written by one and approved by another."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import click
from sqlalchemy.orm import Session

from ledger.cli.options import BOOK, book_option, json_option, now
from ledger.db import transaction
from ledger.drafts import STATES, content_hash, content_of, draft_of
from ledger.errors import Invalid
from ledger.money import format_amount, parse_amount
from ledger.service import access, draft_reading, drafting
from ledger.service.books import functional_currency
from ledger.strict_json import read_strictly
from ledger.vault import vault

_SHORTEST_HASH = 8
_as = click.option(
    "--as", "username", required=True, help="The member of staff who acts; needs the role."
)
_hash = click.option(
    "--hash", "hash_prefix", required=True,
    help="The hash of what was read, as `show` prints it; its first 8 characters will do.",
)  # fmt: skip


@click.group("draft")
def draft_cli() -> None:
    """Write manual journals, and judge those of others."""


@draft_cli.command("add")
@click.argument("file", type=click.File("rb"))
@_as
@click.option("--key", help="Opens one draft for ever; by default the content of FILE.")
@click.option("--unfinished", is_flag=True, help="Keep it without asking for approval.")
@json_option
def add_command(
    file: BinaryIO, username: str, key: str | None, *, unfinished: bool, as_json: bool
) -> None:
    """Open a draft from FILE, JSON as the REST API takes it; - is standard input."""
    content = _read_json(file)
    with transaction() as session:
        book = content.get("book", BOOK) if isinstance(content, dict) else BOOK
        draft = draft_of(content, functional_currency(session, str(book)))
        actor = access.named_staff(session, username, "ledger:post", draft.book, now=now())
        key = key or f"command-line {content_hash(content_of(draft)).hex()}"
        view, known = drafting.create_draft(
            session, draft, actor=actor, key=key, ready=not unfinished
        )
    if as_json:
        click.echo(json.dumps(_told(view), ensure_ascii=False))
        return
    again = " It was there already." if known else ""
    click.echo(f"Draft {view.draft_id} is {_standing(view)}.{again}")
    click.echo(f"Its hash is {view.latest.content_hash.hex()}.")


@draft_cli.command("change")
@click.argument("draft_id", type=int)
@click.argument("file", type=click.File("rb"))
@_hash
@_as
@click.option("--unfinished", is_flag=True, help="Keep it without asking for approval.")
@json_option
def change_command(
    draft_id: int, file: BinaryIO, hash_prefix: str, username: str, *, unfinished: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Write the next version of a draft from FILE; its attachments stay.

    The hash is that of the version that was read: what somebody else wrote meanwhile is not lost.
    """
    content = _read_json(file)
    with transaction() as session:
        before, actor = _draft_as(session, draft_id, username, "ledger:post")
        wanted = _whole_hash(before, hash_prefix)
        read = next(v.version_no for v in before.versions if v.content_hash == wanted)
        if isinstance(content, dict):
            content.setdefault("book", before.book)
        own = functional_currency(session, before.book)
        draft = replace(draft_of(content, own), attachments=before.draft.attachments)
        view = drafting.save_draft(
            session, draft_id, read, draft, actor=actor, ready=not unfinished
        )
    if as_json:
        click.echo(json.dumps(_told(view), ensure_ascii=False))
        return
    click.echo(f"Draft {view.draft_id} is {_standing(view)}, version {view.latest.version_no}.")
    click.echo(f"Its hash is {view.latest.content_hash.hex()}.")


@draft_cli.command("show")
@click.argument("draft_id", type=int)
@json_option
def show_command(draft_id: int, *, as_json: bool) -> None:
    """Print a draft: its lines, attachments, versions and hash."""
    with transaction() as session:
        view = draft_reading.read_draft(session, draft_id)
    if as_json:
        click.echo(json.dumps(_told(view), ensure_ascii=False))
        return
    entry = view.draft.entry
    click.echo(f"Draft {view.draft_id} of book {view.book} is {_standing(view)}.")
    click.echo(f"{entry.series} {entry.effective_date}  {entry.text}")
    for line in entry.lines:
        amount = format_amount(line.amount_minor)
        click.echo(f"  {line.account:6} {line.currency} {amount:>16}  {line.text or ''}".rstrip())
    for file in view.draft.attachments:
        click.echo(f"  {file.name} ({file.media_type}, {file.size} octets) {file.sha256}")
    for version in view.versions:
        said = version.verdict
        became = f", {said.verdict} by {said.approver}: {said.comment}" if said else ""
        click.echo(
            f"Version {version.version_no} by {version.author}, hash "
            f"{version.content_hash.hex()}{became}"
        )
    if gone := view.withdrawal:
        click.echo(f"Withdrawn by {gone.actor}: {gone.reason}")


@draft_cli.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only drafts that stand there.")
@book_option
@json_option
def list_command(state: str | None, book: str, *, as_json: bool) -> None:
    """List the newest thousand drafts of a book."""
    with transaction() as session:
        rows = draft_reading.list_drafts(session, book, state=state, limit=1_000)
    if as_json:
        told = [
            {
                "draft_id": row.draft_id, "version": row.version_no, "state": row.state,
                "text": row.text, "author": row.author, "debit": format_amount(row.debit_minor),
                "effective_date": row.effective_date.isoformat(), "attachments": row.attachments,
            }
            for row in rows
        ]  # fmt: skip
        click.echo(json.dumps({"drafts": told}, ensure_ascii=False))
        return
    for row in rows:
        click.echo(
            f"{row.draft_id:>6} {row.state:9} {row.effective_date} "
            f"{format_amount(row.debit_minor):>16} {row.author:24} {row.text}"
        )
    click.echo(f"{len(rows)} draft{'' if len(rows) == 1 else 's'}.")


@draft_cli.command("attach")
@click.argument("draft_id", type=int)
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_as
def attach_command(draft_id: int, path: Path, username: str) -> None:
    """Attach the file at PATH to a draft."""
    content = path.read_bytes()
    with transaction() as session:
        before, actor = _draft_as(session, draft_id, username, "ledger:post")
        view, known = drafting.attach(
            session, vault(), draft_id, before.latest.version_no, path.name, content, actor=actor
        )
    done = "carried it already" if known else f"carries it as of version {view.latest.version_no}"
    click.echo(f"Draft {draft_id} {done}. Its hash is {view.latest.content_hash.hex()}.")


@draft_cli.command("approve")
@click.argument("draft_id", type=int)
@_hash
@_as
@click.option("--comment", default="", help="What there is to say about it.")
def approve_command(draft_id: int, hash_prefix: str, username: str, comment: str) -> None:
    """Approve a draft of somebody else and post it."""
    with transaction() as session:
        view, actor = _draft_as(session, draft_id, username, "ledger:approve")
        wanted = _whole_hash(view, hash_prefix)
        posted = drafting.approve(session, draft_id, wanted, approver=actor, comment=comment)
    click.echo(f"Draft {draft_id} is posted as {posted.vouchers[0]}.")


@draft_cli.command("reject")
@click.argument("draft_id", type=int)
@_hash
@_as
@click.option("--comment", required=True, help="Why; its author reads it.")
def reject_command(draft_id: int, hash_prefix: str, username: str, comment: str) -> None:
    """Send a draft back to its author."""
    with transaction() as session:
        view, actor = _draft_as(session, draft_id, username, "ledger:approve")
        wanted = _whole_hash(view, hash_prefix)
        drafting.reject(session, draft_id, wanted, approver=actor, comment=comment)
    click.echo(f"Draft {draft_id} is rejected.")


@draft_cli.command("post")
@click.argument("draft_id", type=int)
@_hash
@_as
def post_command(draft_id: int, hash_prefix: str, username: str) -> None:
    """Post a submitted draft that no rule wants a second person for."""
    with transaction() as session:
        view, actor = _draft_as(session, draft_id, username, "ledger:post")
        wanted = _whole_hash(view, hash_prefix)
        posted = drafting.post_unapproved(session, draft_id, wanted, actor=actor)
    click.echo(f"Draft {draft_id} is posted as {posted.vouchers[0]}.")


@draft_cli.command("withdraw")
@click.argument("draft_id", type=int)
@_as
@click.option("--reason", required=True, help="Why; it stays on record.")
def withdraw_command(draft_id: int, username: str, reason: str) -> None:
    """Take back a draft of your own for good."""
    with transaction() as session:
        _, actor = _draft_as(session, draft_id, username, "ledger:post")
        drafting.withdraw(session, draft_id, actor=actor, reason=reason)
    click.echo(f"Draft {draft_id} is withdrawn.")


@draft_cli.command("rules")
@book_option
@json_option
def rules_command(book: str, *, as_json: bool) -> None:
    """List which journals need a second person, and since when."""
    with transaction() as session:
        rules = draft_reading.approval_policies(session, book)
    if as_json:
        click.echo(json.dumps({"rules": [_rule(one) for one in rules]}, ensure_ascii=False))
        return
    for rule in rules:
        amount = rule.amount_from_minor
        since = "never" if amount is None else f"from {format_amount(amount)}"
        accounts = f"accounts {rule.account_prefix}*" if rule.account_prefix else "any account"
        click.echo(f"{rule.valid_from} {rule.entry_type:10} {accounts:16} {since}  {rule.actor}")


@draft_cli.command("rule")
@click.option("--accounts", default="", help="Only entries with an account that begins so.")
@click.option("--from-amount", help="Entries of this debit or more, in kroner; none: end the rule.")
@click.option("--valid-from", type=click.DateTime(["%Y-%m-%d"]), required=True,
              help="The first day of it, today or later.")  # fmt: skip
@_as
@book_option
def rule_command(
    accounts: str, from_amount: str | None, valid_from: Any, username: str, book: str
) -> None:
    """Say from a day on which manual journals need a second person."""
    first_day: date = valid_from.date()
    amount = None if from_amount is None else parse_amount(from_amount)
    with transaction() as session:
        actor = access.named_staff(session, username, "access:write", book, now=now())
        drafting.set_approval_policy(
            session, book, entry_type="manual", account_prefix=accounts,
            amount_from_minor=amount, valid_from=first_day, actor=actor,
        )  # fmt: skip
    click.echo(f"The rule is in force from {first_day}.")


def _draft_as(
    session: Session, draft_id: int, username: str, scope: str
) -> tuple[draft_reading.DraftView, str]:
    """Read a draft, and let a member of staff act on it who has the scope and may see its book."""
    view = draft_reading.read_draft(session, draft_id)
    return view, access.named_staff(session, username, scope, view.book, now=now())


def _read_json(file: BinaryIO) -> Any:
    try:
        return read_strictly(file.read().decode())
    except (ValueError, RecursionError) as fault:
        name = getattr(file, "name", "standard input")
        raise Invalid(f"{name} is not JSON in UTF-8: {fault}. Nothing was changed.") from None


def _whole_hash(view: draft_reading.DraftView, prefix: str) -> bytes:
    """Find the version that was read by the first characters of its hash."""
    found = [v.content_hash for v in view.versions if v.content_hash.hex().startswith(prefix)]
    if len(prefix) < _SHORTEST_HASH or not found:
        raise Invalid(
            f"No version of draft {view.draft_id} has a hash that begins with {prefix!r}; give at "
            f"least {_SHORTEST_HASH} characters, as hovedbok ledger draft show prints them.",
            draft_id=view.draft_id,
        )
    return found[-1]


def _standing(view: draft_reading.DraftView) -> str:
    return {
        "draft": "kept, unfinished", "submitted": "submitted and waits for approval",
        "rejected": "rejected", "posted": "posted", "withdrawn": "withdrawn",
    }[view.state]  # fmt: skip


def _rule(rule: draft_reading.ApprovalPolicy) -> dict[str, Any]:
    amount = rule.amount_from_minor
    return {
        "entry_type": rule.entry_type, "account_prefix": rule.account_prefix,
        "amount_from": None if amount is None else format_amount(amount),
        "valid_from": rule.valid_from.isoformat(), "actor": rule.actor,
    }  # fmt: skip


def _told(view: draft_reading.DraftView) -> dict[str, Any]:
    return {
        "draft_id": view.draft_id, "state": view.state, "version": view.latest.version_no,
        "content_hash": view.latest.content_hash.hex(), "created_by": view.created_by,
        "batch_id": view.batch_id, "content": content_of(view.draft),
    }  # fmt: skip
