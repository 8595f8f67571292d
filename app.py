"""Wiring: settings, the web application, the job table and the `hovedbok` command.

No business rule lives here. Rooms are loaded when a command asks for them, so that the command
line answers at once and a job of one room never needs another.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ledger import db, jobs, vault
from ledger.errors import Problem

if TYPE_CHECKING:
    from flask import Flask

# A job's name and the function that does it; each opens its own transaction and may run twice.
JOBS: Mapping[str, str] = {
    "render_invoices": "reporting.service.documents:render_invoices_job",
}

# A command's name and the click group or command behind it.
COMMANDS: Mapping[str, str] = {
    "access": "ledger.cli.access:access_cli",
    "billing": "reporting.cli.billing:billing_cli",
    "db": "ledger.cli.database:database_cli",
    "demo": "mediation.demo.cli:demo",
    "docs": "reporting.cli.docs:docs_cli",
    "invoice": "reporting.cli.billing:invoice_cli",
    "ledger": "ledger.cli.ledger:ledger_cli",
    "mediation": "mediation.cli:mediation_cli",
    "month": "reporting.cli.month:month_cli",
    "party": "party.cli:party_cli",
    "rating": "rating.cli:rating_cli",
    "report": "reporting.cli.report:report_cli",
    "trace": "reporting.cli.trace:trace_cli",
}


class SettingsInvalid(Problem):
    """The environment holds values that cannot be used; all of them are listed."""

    title = "Settings are invalid"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment decides, read once at the door."""

    home: Path
    database_url: str | None
    owner_database_url: str | None
    auditor_database_url: str | None
    vault_url: str
    host: str
    port: int
    secret_key: str
    log_level: str
    secure_cookies: bool

    @classmethod
    def from_env(cls) -> Settings:
        """Read the settings; every fault is reported together.

        Raises
        ------
        SettingsInvalid : one or more variables cannot be used.
        """
        from environs import Env, EnvValidationError, validate  # noqa: PLC0415 - half of start-up

        env = Env(eager=False)
        home = Path(env.str("HOVEDBOK_HOME", "var") or "var").absolute()
        port_range = validate.Range(1, 65535)
        levels = validate.OneOf(["debug", "info", "warning", "error"])
        values: dict[str, Any] = {
            "database_url": env.str("DATABASE_URL", None),
            "owner_database_url": env.str("HOVEDBOK_OWNER_DATABASE_URL", None),
            "auditor_database_url": env.str("HOVEDBOK_AUDITOR_DATABASE_URL", None),
            "vault_url": env.str("HOVEDBOK_VAULT", str(home / "vault")),
            "host": env.str("HOVEDBOK_HOST", "127.0.0.1"),
            "port": env.int("HOVEDBOK_PORT", 8000, validate=port_range),
            "secret_key": env.str("HOVEDBOK_SECRET_KEY", ""),
            "log_level": env.str("HOVEDBOK_LOG_LEVEL", "info", validate=levels),
            "secure_cookies": env.bool("HOVEDBOK_SECURE_COOKIES", False),
        }
        faults: dict[str, list[str]] = {}
        try:
            env.seal()
        except EnvValidationError as error:
            faults.update(dict(error.error_messages))
        for name in ("database_url", "owner_database_url", "auditor_database_url"):
            if values[name] and not str(values[name]).startswith("postgresql"):
                faults[name.upper()] = ["Only PostgreSQL is supported: postgresql://…"]
        if faults:
            listed = "; ".join(f"{name}: {' '.join(said)}" for name, said in faults.items())
            raise SettingsInvalid(f"{listed} Correct the environment and start again.", **faults)
        return cls(home=home, **values)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Give this process's settings, and point database and vault at them."""
    found = Settings.from_env()
    db.configure(lambda: open_database(found))
    vault.configure(found.vault_url)
    jobs.configure(job_functions)
    return found


def open_database(found: Settings) -> db.Addresses:
    """Find or start the database, migrate it when it is behind, and give its addresses."""
    from ledger.db import migrate  # noqa: PLC0415
    from ledger.db.server import PrivateServer  # noqa: PLC0415

    if found.database_url:
        service = _driver_url(found.database_url)
        owner = _driver_url(found.owner_database_url or found.database_url)
        auditor = _driver_url(found.auditor_database_url or found.database_url)
        known = db.Addresses(owner=owner, service=service, auditor=auditor)
    else:
        server = PrivateServer(found.home)
        if server.ensure_running():
            click.echo(
                f"Started a private PostgreSQL under {server.root} (hovedbok db stop ends it).",
                err=True,
            )
        known = server.addresses()
    if migrate.ensure_migrated(known.owner):
        click.echo(f"Migrated the database to {migrate.head()}.", err=True)
    return known


def create_app() -> Flask:
    """Make the web application: REST, the desk, health and metrics."""
    from flask import Flask  # noqa: PLC0415 - commands without web need no Flask

    found = settings()
    configure_logging(found.log_level)
    app = Flask("hovedbok", root_path=str(Path(__file__).parent), static_folder=None)
    app.config.update(
        SECRET_KEY=found.secret_key or _generated_secret(found.home),
        SESSION_COOKIE_SECURE=found.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    api = import_module("ledger.web").install(app)
    for room in ("ledger", "party", "mediation", "reporting"):
        import_module(f"{room}.api").register(api)
    import_module("reporting.web.pages").register(app)
    return app


def configure_logging(level: str) -> None:
    """Write logs as one JSON object a line on standard error."""
    import structlog  # noqa: PLC0415

    logging.basicConfig(level=level.upper(), stream=sys.stderr, format="%(message)s", force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def job_functions() -> dict[str, Any]:
    """Load the functions of the job table."""
    return {name: _load(target) for name, target in JOBS.items()}


class Rooms(click.Group):
    """The commands of all rooms, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the rooms' commands beside those defined here."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name in COMMANDS:
            command: click.Command = _load(COMMANDS[cmd_name])
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hovedbok")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Hovedbok: from usage to cash, every krone traceable both ways."""
    ctx.obj = settings()


@cli.command()
@click.option("--once", is_flag=True, help="Do the jobs that are due and stop.")
def work(once: bool) -> None:
    """Work the job queue; several workers may run at once."""
    configure_logging(settings().log_level)
    jobs.work(wait=not once)


@cli.command()
@click.option("--workers", default=2, show_default=True, help="Server processes.")
@click.pass_obj
def serve(found: Settings, workers: int) -> None:
    """Serve the desk and the REST API."""
    db.addresses()  # Start and migrate once, before the workers ask together.
    click.echo(f"The desk is at http://{found.host}:{found.port} (stop with Ctrl-C).", err=True)
    os.execv(  # noqa: S606 - our own interpreter and arguments
        sys.executable,
        [sys.executable, "-m", "gunicorn", "app:create_app()", "--bind",
         f"{found.host}:{found.port}", "--workers", str(workers), "--threads", "4",
         "--worker-class", "gthread", "--chdir", str(Path(__file__).parent),
         "--log-level", "warning"],
    )  # fmt: skip


def main() -> None:
    """Run the command; a problem is one clear sentence and exit status 1."""
    try:
        cli.main(standalone_mode=True)
    except Problem as problem:
        if "--json" in sys.argv:
            click.echo(json.dumps(_problem_body(problem), ensure_ascii=False, default=str))
        click.echo(f"{problem.title}: {problem}", err=True)
        sys.exit(1)


def _problem_body(problem: Problem) -> dict[str, object]:
    return {"type": f"/problems/{problem.code()}", "title": problem.title,
            "detail": str(problem), **problem.facts}  # fmt: skip


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _driver_url(url: str) -> str:
    """Name the driver, so that SQLAlchemy takes psycopg 3 whatever its default is."""
    _, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}"


def _generated_secret(home: Path) -> str:
    """Give this home's cookie-signing secret, made on first use, readable by its owner only."""
    path = home / "secret-key"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"secret-key.{os.getpid()}.draft"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        draft.replace(path)
    return path.read_text()


if __name__ == "__main__":
    main()
