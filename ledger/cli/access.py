"""The `hovedbok access` commands: staff, API clients, and the demo's users."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ledger.access import ROLES, SCOPES
from ledger.cli.options import ACTOR, json_option, now
from ledger.db import transaction
from ledger.service import access, book_access, clients

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,62}", re.ASCII)


def _name(_ctx: click.Context, _parameter: click.Parameter, given: str) -> str:
    """Take a name of the shape that the table insists on."""
    if not _NAME.fullmatch(given):
        raise click.BadParameter(
            f"{given!r} is no name: 2 to 63 of a-z, 0-9, dot, dash and underscore, a letter first."
        )
    return given


def _moment(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> datetime | None:
    """Take an instant; without an offset it would be of nowhere."""
    try:
        moment = None if given is None else datetime.fromisoformat(given)
    except ValueError:
        raise click.BadParameter(f"{given!r} is no time: 2026-04-01T08:00+02:00.") from None
    if moment is not None and moment.tzinfo is None:
        raise click.BadParameter(f"{given!r} lacks its offset: 2026-04-01T08:00+02:00.")
    return moment


_expires = click.option(
    "--expires", "expires_at", callback=_moment, metavar="TIME",
    help="When the new token ends by itself, ISO 8601 with offset; never if left out.",
)  # fmt: skip


@click.group("access")
def access_cli() -> None:
    """Say who may do what."""


@access_cli.group("staff")
def staff_cli() -> None:
    """Look after the people who use the desk."""


@staff_cli.command("add")
@click.argument("username", callback=_name)
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(list(ROLES)))
@click.password_option(help="Asked for when not given; at least 12 characters.")
def add_staff(username: str, roles: tuple[str, ...], password: str) -> None:
    """Add a member of staff with one or more roles."""
    with transaction() as session:
        access.add_staff(session, username, roles, password, actor=ACTOR, now=now())
    click.echo(f"Added {username} as {', '.join(roles)}.")


@staff_cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_staff(*, as_json: bool) -> None:
    """List the members of staff."""
    with transaction() as session:
        members = access.list_staff(session)
    if as_json:
        rows = [
            {"username": m.username, "roles": m.roles, "active": m.disabled_at is None}
            for m in members
        ]
        click.echo(json.dumps(rows))
        return
    for member in members:
        state = "disabled" if member.disabled_at else "active"
        click.echo(f"{member.username:20} {state:9} {', '.join(member.roles)}")


@staff_cli.command("disable")
@click.argument("username")
def disable_staff(username: str) -> None:
    """End a member's access at once; open sessions end with it."""
    with transaction() as session:
        access.disable_staff(session, username, actor=ACTOR, now=now())
    click.echo(f"Disabled {username}; every open session is revoked.")


@access_cli.group("client")
def client_cli() -> None:
    """Look after the programs that use the REST API."""


@client_cli.command("add")
@click.argument("name", callback=_name)
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(SCOPES)))
@_expires
def add_client(name: str, scopes: tuple[str, ...], expires_at: datetime | None) -> None:
    """Add an API client and print its token: the only time it can be read."""
    with transaction() as session:
        token = access.add_client(
            session, name, scopes, actor=ACTOR, now=now(), expires_at=expires_at
        )
    _hand_over(token)


@client_cli.command("list")
@json_option
def list_clients(*, as_json: bool) -> None:
    """List the API clients with their scopes, and their tokens by the part before the dot."""
    with transaction() as session:
        found = clients.list_clients(session)
    if as_json:
        click.echo(json.dumps({"clients": [asdict(one) for one in found]}, default=_told))
        return
    for one in found:
        click.echo(f"{one.name:20} {', '.join(one.scopes)}{'  disabled' * bool(one.disabled_at)}")
        for token in one.tokens:
            click.echo(f"    {token.prefix}  since {_told(token.created_at)}  {_end(token)}")


@client_cli.command("rotate")
@click.argument("name")
@click.option("--old-until", callback=_moment, metavar="TIME",
              help="Until when the tokens it has are valid at most, within 31 days; "
              "they end at once if left out.")  # fmt: skip
@_expires
def rotate_token(name: str, old_until: datetime | None, expires_at: datetime | None) -> None:
    """Give the client NAME a new token in place of those it has, and print it: once.

    Its scopes and books stay as they are. Without a pause: rotate with --old-until, put the new
    token to use, and revoke the old one or let it end. A token that leaked ends at once.
    """
    with transaction() as session:
        made = clients.rotate_token(
            session, name, actor=ACTOR, now=now(), old_until=old_until, expires_at=expires_at
        )
    for token in made.ending:
        click.echo(f"{token.prefix} {_end(token)}.", err=True)
    _hand_over(made.token)


@client_cli.command("revoke")
@click.argument("prefix")
def revoke_token(prefix: str) -> None:
    """Revoke the token whose part before the dot is PREFIX; `rotate` gives the next."""
    with transaction() as session:
        access.revoke_token(session, prefix, actor=ACTOR, now=now())
    click.echo(f"Revoked {prefix}.")


def _hand_over(token: str) -> None:
    """Print a token alone on standard output, so that a script can keep it."""
    click.echo("Keep this token; it is stored only as a hash and never shown again.", err=True)
    click.echo(token)


def _end(token: clients.ClientToken) -> str:
    if token.ends_at is None:
        return "is valid"
    return f"{'ended' if token.ends_at <= now() else 'ends'} {_told(token.ends_at)}"


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


@access_cli.group("book")
def book_cli() -> None:
    """Say who may see which books; whom nothing was said of may see all."""


def _book_options(command: Callable[..., None]) -> Callable[..., None]:
    """Declare what granting and withdrawing have in common."""
    for declare in (
        click.option("--as", "username", help="The administrator who acts; else the system."),
        click.option("--from", "valid_from", callback=_moment, metavar="TIME",
                     help="When it begins, ISO 8601 with offset; now if left out."),
        click.option("--reason", required=True, help="Why; it stays on record."),
        click.option("--every", is_flag=True, help="Every book, instead of BOOK."),
        click.argument("book", required=False),
        click.argument("holder"),
    ):  # fmt: skip
        command = declare(command)
    return command


@book_cli.command("grant")
@_book_options
def grant_book(holder: str, book: str | None, **chosen: Any) -> None:
    """Grant BOOK to HOLDER, staff:<user name> or client:<name>.

    Whoever could see every book sees only what was granted from then on.
    """
    _set_book(holder, book, granted=True, **chosen)


@book_cli.command("withdraw")
@_book_options
def withdraw_book(holder: str, book: str | None, **chosen: Any) -> None:
    """Withdraw BOOK from HOLDER, staff:<user name> or client:<name>."""
    _set_book(holder, book, granted=False, **chosen)


@book_cli.command("list")
@click.argument("holder", required=False)
@json_option
def list_books(holder: str | None, *, as_json: bool) -> None:
    """List what was granted and withdrawn, in the order in which it holds."""
    with transaction() as session:
        facts = book_access.book_facts(session, holder)
    if as_json:
        told = [{**asdict(fact), "valid_from": fact.valid_from.isoformat(),
                 "recorded_at": fact.recorded_at.isoformat()} for fact in facts]  # fmt: skip
        click.echo(json.dumps({"facts": told}, ensure_ascii=False))
        return
    for fact in facts:
        verb = "granted" if fact.is_granted else "withdrawn"
        click.echo(
            f"{fact.valid_from:%Y-%m-%d %H:%M} {fact.holder:24} {fact.book or 'every book':10} "
            f"{verb:9} by {fact.recorded_by}: {fact.reason}"
        )


def _set_book(
    holder: str, book: str | None, *, granted: bool, every: bool, reason: str,
    valid_from: datetime | None, username: str | None,
) -> None:  # fmt: skip
    if every == (book is not None):
        raise click.UsageError("Name one BOOK, or --every.")
    with transaction() as session:
        actor = ACTOR if username is None else access.named_staff(
            session, username, "access:write", book, now=now()
        )  # fmt: skip
        changed = book_access.set_book_access(
            session, holder, book, granted=granted, reason=reason, actor=actor,
            valid_from=valid_from,
        )  # fmt: skip
        books = book_access.books_of(session, holder, now=valid_from or now())
    theirs = "every book" if books is None else ", ".join(sorted(books)) or "no book"
    since = f"From {valid_from.isoformat()} {holder}" if valid_from else holder
    click.echo(f"{since} may see {theirs}.{'' if changed else ' It was so already.'}")


@access_cli.command("demo-users")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_obj
def demo_users(settings: object, *, as_json: bool) -> None:
    """Add one demo user per role and print how they log in."""
    home: Path = settings.home  # type: ignore[attr-defined]
    with transaction() as session:
        users = access.seed_demo_staff(session, home, now=now())
    if as_json:
        rows = [{"username": u, "role": r, "password": p} for u, r, p in users]
        click.echo(json.dumps({"users": rows}))
        return
    click.echo(f"Demo users, one per role (kept in {home / 'demo-users.txt'}):")
    click.echo(f"  {'user':14} {'role':14} password")
    for username, role, password in users:
        click.echo(f"  {username:14} {role:14} {password}")
