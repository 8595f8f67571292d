"""Wiring: settings, the web application, the job table and the `hovedbok` command.

No business rule lives here. Rooms are loaded when a command asks for them, so that the command
line answers at once and a job of one room never needs another.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from sqlalchemy import make_url

from ledger import closing, db, jobs, lookups, places, vault, verifying
from ledger.cli import serving
from ledger.cli.deferred import Deferred
from ledger.db.server import PrivateServer
from ledger.errors import Invalid, Problem

if TYPE_CHECKING:
    from flask import Flask

# A job's name and the function that does it; each opens its own transaction and may run twice.
JOBS: Mapping[str, str] = {
    "deliver_webhooks": "ledger.service.webhooks:deliver_job",
    "post_request": "ledger.service.requests:post_request_job",
    "seal_books": "ledger.service.sealing:seal_job",
    "fold_balances": "ledger.service.reading.turnover:fold_job",
    "sweep_keys": "ledger.service.answers:sweep_job",
    "render_invoices": "reporting.service.documents:render_invoices_job",
}

# What a worker does every minute, in this order: events are told, and balances folded, once sealed.
PERIODIC = ("seal_books", "deliver_webhooks", "fold_balances", "sweep_keys")

# What the rooms above the ledger look at before a month is closed.
CLOSE_CHECKS = tuple(
    f"reporting.service.closing:{name}" for name in
    ("UNBILLED", "SUSPENDED", "FILES", "ORDERS", "ORDER_ROWS", "PAYMENTS", "UNBOOKED", "REFUSED")
)  # fmt: skip

# What the rooms above the ledger look at when the books are verified.
VERIFY_CHECKS = {"tariff": "rating.service.verifying:wrong_tariffs"}

# What rooms ask of those above them.
LOOKUPS = {"quote": "mediation.service.quoting:quote_of"}

# A command's name, the click group behind it, and what the list of commands says of it: the list
# is printed without loading a room. "ledger export" is a command that a higher room adds to a group
# of a lower one, which may not know it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "access": ("ledger.cli.access:access_cli", "Say who may do what."),
    "billing": ("reporting.cli.billing:billing_cli", "Issue invoices and render their documents."),
    "db": ("ledger.cli.database:database_cli", "Look after the database."),
    "demo": ("mediation.demo.cli:demo",
             "Make the files of a month of an operator that does not exist."),
    "docs": ("reporting.cli.docs:docs_cli", "Write the pages that are made from the program."),
    "invoice": ("reporting.cli.billing:invoice_cli", "Look at issued invoices."),
    "ledger": ("ledger.cli.ledger:ledger_cli", "Look into the books and prove them."),
    "ledger export": ("reporting.cli.export:export_command",
                      "Write every line of the journal for others to recompute."),
    "mediation": ("mediation.cli:mediation_cli",
                  "Take in files and look after what became of them."),
    "month": ("reporting.cli.month:month_cli", "Run a whole month and prove it."),
    "party": ("party.cli:party_cli", "Look up customers, their accounts and subscriptions."),
    "rating": ("rating.cli:rating_cli", "Tariffs and prices."),
    "rating rerate": ("reporting.cli.rating:rerate_command",
                      "Rate a month again and book the differences, once the past repeats."),
    "rating run": ("reporting.cli.rating:run_command", "Rate a month and book what it lacks."),
    "report": ("reporting.cli.report:report_cli",
               "Reports that prove themselves before they are shown."),
    "trace": ("reporting.cli.trace:trace_cli",
              "Walk from a voucher to bytes in a file, or from a record to the invoice line."),
}  # fmt: skip

_ROOM_COMMANDS = [name for name in COMMANDS if " " not in name]


class SettingsInvalid(Problem):
    """The environment holds values that cannot be used; all of them are listed."""

    title = "Settings are invalid"


class FileUnusable(Problem):
    """A file or folder of the caller or of the home cannot be read or written.

    Raise as: f"{path}: {cause}. Check the path, who may use it and the free space.".
    """

    title = "File cannot be used"


_ADDRESSES = ("DATABASE_URL", "HOVEDBOK_OWNER_DATABASE_URL", "HOVEDBOK_AUDITOR_DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment decides, read once at the door."""

    home: Path
    database_url: str | None
    owner_database_url: str | None
    auditor_database_url: str | None
    vault_url: str
    seal_key: Path
    anchors: str | None
    host: str
    port: int
    secret_key: str
    log_level: str
    secure_cookies: bool
    proxies: int

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
            **{v.removeprefix("HOVEDBOK_").lower(): env.str(v, None) for v in _ADDRESSES},
            "vault_url": env.str("HOVEDBOK_VAULT", str(home / "vault")),
            "seal_key": Path(env.str("HOVEDBOK_SEAL_KEY", "") or home / "seal-key").absolute(),
            "anchors": env.str("HOVEDBOK_ANCHORS", "") or None,
            "host": env.str("HOVEDBOK_HOST", "127.0.0.1"),
            "port": env.int("HOVEDBOK_PORT", 8000, validate=port_range),
            "secret_key": env.str("HOVEDBOK_SECRET_KEY", ""),
            "log_level": env.str("HOVEDBOK_LOG_LEVEL", "info", validate=levels),
            "secure_cookies": env.bool("HOVEDBOK_SECURE_COOKIES", False),
            "proxies": env.int("HOVEDBOK_PROXIES", 0, validate=validate.Range(0, 9)),
        }
        faults: dict[str, list[str]] = {}
        try:
            env.seal()
        except EnvValidationError as error:
            faults.update(dict(error.error_messages))
        for variable in _ADDRESSES:
            name = variable.removeprefix("HOVEDBOK_").lower()
            if values[name] and (fault := _address_fault(values[name])):
                faults[variable] = [fault]
        if home.exists() and not home.is_dir():
            faults["HOVEDBOK_HOME"] = [f"{home} is a file; a folder is needed."]
        if fault := _vault_fault(str(values["vault_url"])):
            faults["HOVEDBOK_VAULT"] = [fault]
        if faults:
            listed = "; ".join(
                f"{name}: {' '.join(said).rstrip('.')}" for name, said in sorted(faults.items())
            )
            raise SettingsInvalid(f"{listed}. Correct the environment and start again.", **faults)
        return cls(home=home, **values)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Give this process's settings, and point database and vault at them."""
    found = Settings.from_env()
    db.configure(
        lambda: open_database(found),
        None if found.database_url else PrivateServer(found.home).ensure_running,
    )
    vault.configure(found.vault_url)
    places.configure(places.Places(found.seal_key, found.home / "webhook-key", found.anchors))
    jobs.configure(job_functions, PERIODIC)
    closing.configure(lambda: [_load(target) for target in CLOSE_CHECKS])
    verifying.configure(lambda: {name: _load(target) for name, target in VERIFY_CHECKS.items()})
    lookups.configure(lambda: {name: _load(target) for name, target in LOOKUPS.items()})
    return found


def open_database(found: Settings) -> db.Addresses:
    """Find or start the database, migrate it when it is behind, and give its addresses."""
    from ledger.db import migrate  # noqa: PLC0415

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
    web = import_module("ledger.web")
    web.believe_proxies(app, found.proxies)
    api = web.install(app)
    for room in ("ledger", "party", "rating", "mediation", "reporting"):
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
        return sorted({*_ROOM_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name in _ROOM_COMMANDS:
            command: click.Command = _load(COMMANDS[cmd_name][0])
            for name, (target, told) in COMMANDS.items():
                group, _, added = name.partition(" ")
                if added and group == cmd_name and isinstance(command, click.Group):
                    command.add_command(Deferred(added, told, partial(_load, target)))
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List every command with one line, without loading the rooms."""
        del ctx
        told = {name: COMMANDS[name][1] for name in _ROOM_COMMANDS}
        told |= {name: command.get_short_help_str(80) for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(told.items()))


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
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True,
              help="Server processes.")  # fmt: skip
@click.pass_obj
def serve(found: Settings, workers: int) -> None:
    """Serve the desk and the REST API."""
    serving.check_free(found.host, found.port)
    db.addresses()  # Start and migrate once, before the workers ask together.
    serving.run(found.home, found.host, found.port, workers)


def main() -> None:
    """Run the command; a problem is one clear sentence and exit status 1."""
    try:
        cli.main(standalone_mode=True)
    except Problem as problem:
        _refuse(problem)
    except OSError as fault:
        _refuse(FileUnusable(
            f"{fault.filename or 'A file'}: {fault.strerror or fault}. Check the path, who may "
            "use it and the free space; what was committed stays."
        ))  # fmt: skip
    except Exception as fault:
        if isinstance(fault, UnicodeError) or db.is_unstorable(fault):
            _refuse(Invalid(
                "A value is too large or too long, or holds a character that cannot be stored: "
                "numbers are below 2^63, names of some hundred letters, and text is Unicode "
                "without NUL."
            ))  # fmt: skip
        cause = db.find_silence(fault)
        if cause is None:
            raise
        _refuse(db.DatabaseSilent(
            f"{cause.rstrip('.')}. What was committed stays; run the command again when the "
            "database answers (hovedbok db status)."
        ))  # fmt: skip


def _refuse(problem: Problem) -> NoReturn:
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


def _address_fault(url: str) -> str | None:
    """Say what is wrong with a database address; None where both readers of it accept it."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - only where an address is set
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        return "Only PostgreSQL is supported: postgresql://user:password@host:5432/database"
    try:
        conninfo_to_dict(f"postgresql://{rest}")
        make_url(_driver_url(url))
    except (ProgrammingError, ArgumentError, ValueError):
        # The reason of the parser is not repeated: it may quote the password.
        return "Not an address: postgresql://user:password@host:5432/database, with % escapes"
    return None


def _vault_fault(url: str) -> str | None:
    """Say why a vault address cannot be used; None where it can. Nothing is connected yet."""
    if not url:
        return "Empty; leave it unset for the folder in the home."
    if "://" not in url and "::" not in url:
        return None
    try:
        vault.Vault(url)
    except (ImportError, ValueError, TypeError, OSError) as fault:
        return f"fsspec cannot use this address: {fault}"
    return None


def _generated_secret(home: Path) -> str:
    """Give this home's cookie-signing secret, made on first use, readable by its owner only."""
    path = home / "secret-key"
    if not path.exists():
        places.make_once(path, secrets.token_urlsafe(48).encode())
    return path.read_text()


if __name__ == "__main__":
    main()
