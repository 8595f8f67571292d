"""How the desk is served: by gunicorn, on an address that was found free before."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import NoReturn

import click

from ledger.db import POOLED
from ledger.errors import Conflict

# Threads mostly wait: for the database, or for another that posts their entry with its own. So many
# single entries at most are posted together in a process; each thread finds a pooled connection.
THREADS = POOLED
# Octets that are read of an address with its parameters; gunicorn allows no more.
REQUEST_LINE = 8190
_ROOT = Path(__file__).resolve().parents[2]


class AddressTaken(Conflict):
    """The desk cannot listen where it is told to.

    Raise as: f"Nothing can listen on {host}, port {port}: {cause}. Set HOVEDBOK_PORT.".
    """

    title = "Address cannot be listened on"


def check_free(host: str, port: int) -> None:
    """Raise `AddressTaken` unless this process could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as fault:
        cause = (fault.strerror or str(fault)).partition(" (while")[0]
        raise AddressTaken(
            f"Nothing can listen on {host}, port {port}: {cause}. Stop what is there, or choose "
            "another with HOVEDBOK_PORT (and HOVEDBOK_HOST).",
            host=host,
            port=port,
        ) from None


def run(home: Path, host: str, port: int, workers: int) -> NoReturn:
    """Become the server: gunicorn with so many processes of `THREADS` threads."""
    _share_metrics(home / "metrics" / str(port))
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    click.echo(f"The desk is at http://{place} (stop with Ctrl-C).", err=True)
    os.execv(  # noqa: S606 - our own interpreter and arguments
        sys.executable,
        [sys.executable, "-m", "gunicorn", "app:create_app()", "--bind", place,
         "--workers", str(workers), "--threads", str(THREADS), "--worker-class",
         "ledger.web.worker.Worker", "--limit-request-line", str(REQUEST_LINE),
         "--chdir", str(_ROOT), "--log-level", "warning"],
    )  # fmt: skip


def _share_metrics(folder: Path) -> None:
    """Let the server processes count together: /metrics is answered by any one of them."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        shutil.rmtree(folder, ignore_errors=True)  # Counts start at zero with the server.
        folder.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
