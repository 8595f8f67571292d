"""The `hovedbok access` commands: staff, API clients, and the demo's users."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import click

from ledger.access import ROLES, SCOPES
from ledger.cli.options import ACTOR
from ledger.db import transaction
from ledger.service import access

_NAME = re.compile(r"[a-z][a-z0-9._-]{1,62}", re.ASCII)


def _name(_ctx: click.Context, _parameter: click.Parameter, given: str) -> str:
    """Take a name of the shape that the table insists on."""
    if not _NAME.fullmatch(given):
        raise click.BadParameter(
            f"{given!r} is no name: 2 to 63 of a-z, 0-9, dot, dash and underscore, a letter first."
        )
    return given


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
        access.add_staff(session, username, roles, password, actor=ACTOR, now=_now())
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
        access.disable_staff(session, username, actor=ACTOR, now=_now())
    click.echo(f"Disabled {username}; every open session is revoked.")


@access_cli.group("client")
def client_cli() -> None:
    """Look after the programs that use the REST API."""


@client_cli.command("add")
@click.argument("name", callback=_name)
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(SCOPES)))
def add_client(name: str, scopes: tuple[str, ...]) -> None:
    """Add an API client and print its token: the only time it can be read."""
    with transaction() as session:
        token = access.add_client(session, name, scopes, actor=ACTOR, now=_now())
    click.echo("Keep this token; it is stored only as a hash and never shown again.", err=True)
    click.echo(token)


@client_cli.command("revoke")
@click.argument("prefix")
def revoke_token(prefix: str) -> None:
    """Revoke the token whose part before the dot is PREFIX."""
    with transaction() as session:
        access.revoke_token(session, prefix, actor=ACTOR, now=_now())
    click.echo(f"Revoked {prefix}.")


@access_cli.command("demo-users")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_obj
def demo_users(settings: object, *, as_json: bool) -> None:
    """Add one demo user per role and print how they log in."""
    home: Path = settings.home  # type: ignore[attr-defined]
    with transaction() as session:
        users = access.seed_demo_staff(session, home, now=_now())
    if as_json:
        rows = [{"username": u, "role": r, "password": p} for u, r, p in users]
        click.echo(json.dumps({"users": rows}))
        return
    click.echo(f"Demo users, one per role (kept in {home / 'demo-users.txt'}):")
    click.echo(f"  {'user':14} {'role':14} password")
    for username, role, password in users:
        click.echo(f"  {username:14} {role:14} {password}")


def _now() -> datetime:
    return datetime.now(UTC)
