"""Commands as processes of their own, forked from one that has the program in memory already.

Loading the program takes a second of a core, and whoever kills commands all day starts very many.
A forked command has its own session, working folder, environment and streams, and is killed like
any other; that a command loads what it needs is held by the tests that run `app.py` itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_LOADED = [
    "app", "ledger.cli.ledger", "mediation.demo.cli", "party.cli", "rating.cli",
    "reporting.cli.billing", "reporting.cli.month", "reporting.cli.rating", "reporting.cli.report",
    "reporting.service.documents",
]  # fmt: skip
_STREAMS = (0, 1, 2)


class Command:
    """A running command: what `subprocess.Popen` of it with two pipes would offer."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LOADED)
        self.words = list(words)
        self._folder = tempfile.TemporaryDirectory()
        self._said = tuple(Path(self._folder.name, name) for name in ("out", "err"))
        self._process = context.Process(
            target=_become, args=(self.words, folder, dict(environment), self._said)
        )
        self._process.start()
        with suppress(ProcessLookupError):  # It ended meanwhile.
            while os.getpgid(self.pid) != self.pid:
                time.sleep(0.001)  # Until then nobody could kill it with its children.

    @property
    def pid(self) -> int:
        """The number of the process, and of the group of it and its children."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended: its status, or the negative signal; none while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Look whether it ended; gives how."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end; raises `subprocess.TimeoutExpired` after so many seconds."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.words, timeout)
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end and give all it said to both streams."""
        self.wait(timeout)
        out, err = (said.read_text() for said in self._said)
        self._folder.cleanup()
        return out, err

    def send_signal(self, number: int) -> None:
        """Send the process, and not its children, a signal."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)


def _become(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], said: Sequence[Path]
) -> None:
    """Make this fork what a shell would have started, and run the command in it."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in zip(_STREAMS, (os.devnull, *said), strict=True):
        opened = os.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(opened, stream)
        os.close(opened)
    sys.argv = ["hovedbok", *words]
    sys.modules["app"].main()
