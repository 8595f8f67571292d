"""A HOVEDBOK_HOME of its own, in which commands run as a user would run them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import app
from ledger import db as ledger_db
from ledger import jobs, vault
from ledger.db.server import PrivateServer
from reporting import reconciliation
from reporting.cli.month import _scope, _state
from tests.flows.forked import Command

ROOT = Path(__file__).resolve().parents[2]
MONTH = "2026-03"


def broken_ties() -> set[str]:
    """Tie the month in the current books as the command does, and name what does not hold."""
    return {tie.name for tie in reconciliation.broken(_state(_scope(MONTH)).ties)}


@dataclass(frozen=True)
class Home:
    """One HOVEDBOK_HOME: commands run in it as processes of their own."""

    folder: Path

    def start(self, *words: str) -> Command:
        """Start a command and leave it running."""
        environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        environment["HOVEDBOK_HOME"] = str(self.folder)
        return Command(words, ROOT, environment)

    def run(self, *words: str, status: int = 0) -> str:
        """Run a command to its end and give its standard output."""
        command = self.start(*words)
        out, err = command.communicate(timeout=240)
        assert command.returncode == status, f"{words} ended {command.returncode}:\n{out}\n{err}"
        return out

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this process use the database and the vault of the home."""
        ledger_db.configure(self.server.addresses, self.server.ensure_running)
        vault.configure(self.folder / "vault")
        jobs.configure(app.job_functions)
        try:
            yield
        finally:
            for role in ("owner", "service", "auditor"):
                ledger_db.engine(role).dispose()  # type: ignore[arg-type]

    @property
    def summary(self) -> dict[str, Any]:
        """What the last month run wrote."""
        found: dict[str, Any] = json.loads((self.folder / "out" / "summary.json").read_text())
        return found

    @property
    def server(self) -> PrivateServer:
        """The private server of this home."""
        return PrivateServer(self.folder)
