"""The `hovedbok db` commands: where the database is, and the private server's life."""

import json
import os
import shutil
from pathlib import Path

import click
import psycopg

from ledger import db
from ledger.db import migrate
from ledger.db.server import LOGINS, PrivateServer
from ledger.errors import NotFound


@click.group("db")
def database_cli() -> None:
    """Look after the database."""


@database_cli.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_obj
def status(settings: object, *, as_json: bool) -> None:
    """Say where the database is and at which revision; starts nothing."""
    server = _private_server(settings)
    running = server is None or server.running()
    facts: dict[str, object] = {
        "kind": "private" if server else "DATABASE_URL",
        "running": running,
        "pid": server.pid() if server else None,
        "folder": str(server.cluster) if server else None,
        "revision": _revision() if running else None,
        "head": migrate.head(),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name:10} {'-' if value is None else value}")


@database_cli.command()
@click.pass_obj
def stop(settings: object) -> None:
    """Stop the private server; the next command starts it again."""
    server = _private_server(settings)
    if server is None:
        raise click.ClickException("DATABASE_URL names a server that is not ours to stop.")
    click.echo("Stopped." if server.stop() else "It was not running.")


@database_cli.command("migrate")
def migrate_command() -> None:
    """Bring the database to the newest revision (every command does this when due)."""
    db.addresses()
    click.echo(f"At revision {migrate.head()}.")


@database_cli.command()
@click.option("--role", type=click.Choice(LOGINS), default="service", show_default=True)
def url(role: str) -> None:
    """Print the address of a role; it holds the password, so keep it to yourself."""
    click.echo(db.addresses().of(role).replace("+psycopg", "", 1))  # type: ignore[arg-type]


@database_cli.command(context_settings={"ignore_unknown_options": True})
@click.option("--role", type=click.Choice(LOGINS), default="auditor", show_default=True)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(role: str, arguments: tuple[str, ...]) -> None:
    """Open psql as a role; the auditor, who may only read, by default."""
    program = shutil.which("psql")
    if program is None:
        raise NotFound("psql is not on PATH. Install PostgreSQL's client, or use hovedbok db url.")
    address = db.addresses().of(role).replace("+psycopg", "", 1)  # type: ignore[arg-type]
    os.execv(program, [program, address, *arguments])  # noqa: S606 - the user's own psql


def _private_server(settings: object) -> PrivateServer | None:
    if getattr(settings, "database_url", None):
        return None
    home: Path = settings.home  # type: ignore[attr-defined]
    return PrivateServer(home)


def _revision() -> str | None:
    with psycopg.connect(db.addresses().owner.replace("+psycopg", "", 1)) as connection:
        return migrate.current_revision(connection)
