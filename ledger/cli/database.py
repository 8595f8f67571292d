"""The `hovedbok db` commands: where the database is, and the private server's life."""

import json
import os
import shutil
from pathlib import Path

import click
import psycopg

from ledger import db
from ledger.db import catalogue, migrate
from ledger.db.server import LOGINS, PrivateServer
from ledger.errors import NotFound
from ledger.service import defences


@click.group("db")
def database_cli() -> None:
    """Look after the database."""


@database_cli.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_obj
def status(settings: object, *, as_json: bool) -> None:
    """Say where the database is and at which revision; starts and migrates nothing."""
    server = _private_server(settings)
    running = server is None or server.running()
    revision, fault = _revision(settings, server) if running else (None, None)
    facts: dict[str, object] = {
        "kind": "private" if server else "DATABASE_URL",
        "running": running and fault is None,
        "pid": server.pid() if server else None,
        "folder": str(server.cluster) if server else None,
        "revision": revision,
        "head": migrate.head(),
        **({"fault": fault} if fault else {}),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        shown = {None: "-", True: "yes", False: "no"}.get(value, value)  # type: ignore[call-overload]
        click.echo(f"{name:10} {shown}")


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


@database_cli.command("catalogue", hidden=True)
def catalogue_command() -> None:
    """Write down what the migrations make, for verify to compare with: after each of them."""
    with db.transaction("auditor") as session:
        catalogue.WRITTEN.write_text(catalogue.written_as(defences.catalogue(session)), "utf-8")
    click.echo(f"Wrote {catalogue.WRITTEN.name}.")


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


def _revision(settings: object, server: PrivateServer | None) -> tuple[str | None, str | None]:
    """Read the revision without bringing anything up; gives it, or why it cannot be read."""
    address = server.url("owner") if server else str(getattr(settings, "database_url", ""))
    plain = f"postgresql://{address.partition('://')[2]}"
    try:
        with psycopg.connect(plain, connect_timeout=10) as connection:
            return migrate.current_revision(connection), None
    except psycopg.Error as error:
        return None, str(error).partition("\n")[0].strip()
