"""A line to the database that is cut at a chosen exchange: before it, after it, or by the client.

Every exchange with the server goes through `psycopg.Connection.wait`: statements, the parts of a
COPY, BEGIN, savepoints, commit and rollback. Counting there counts every boundary that exists.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import psycopg
from sqlalchemy import event
from sqlalchemy.orm import Session

from ledger import db as ledger_db
from ledger.db import find_silence, transaction
from ledger.errors import Problem

# The server process ends before it sees the statement; it ends after it has done the statement and
# before the client has the answer; the client ends, and the server finds out by itself.
Cut = Literal["before", "after", "client"]
CUTS: tuple[Cut, ...] = ("before", "after", "client")
_PATIENCE_S = 30
_T = TypeVar("_T")


class Saboteur:
    """Counts exchanges and cuts the line at the one it is told; then it is harmless again."""

    def __init__(self, superuser_url: str) -> None:
        self._superuser = psycopg.connect(superuser_url, autocommit=True)
        self._at: int | None = None
        self._cut: Cut = "before"
        self.exchanges: list[str] = []  # since it was armed or disarmed, by name
        self.cuts = 0

    def arm(self, at: int, cut: Cut) -> None:
        """Cut at the n-th exchange from now, counted from 1."""
        self.exchanges, self._at, self._cut = [], at, cut

    def disarm(self) -> None:
        """Let everything pass, and count from the beginning."""
        self.exchanges, self._at = [], None

    def strikes(self, exchange: str) -> Cut | None:
        """Count an exchange; says how the line is to be cut at it, if it is."""
        self.exchanges.append(exchange)
        if len(self.exchanges) != self._at:
            return None
        self._at = None
        self.cuts += 1
        return self._cut

    def end(self, pid: int) -> None:
        """End a server process, and wait until it is gone.

        It leaves pg_stat_activity before its last word is on the line: until then the line looks
        sound to whoever takes it from the pool. The server itself would look ten times a second,
        and idly wait for a third of each history.
        """
        self._superuser.execute("SELECT pg_terminate_backend(%s)", (pid,))
        deadline = time.monotonic() + _PATIENCE_S
        while _lives(pid):
            assert time.monotonic() < deadline, f"server process {pid} lives on"
            time.sleep(0.0005)

    def close(self) -> None:
        """Close the saboteur's own connection."""
        self._superuser.close()


class Line(psycopg.Connection[Any]):
    """A connection whose exchanges a saboteur counts."""

    saboteur: Saboteur | None = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Exchange with the server, unless the line is cut."""
        cut = None if self.saboteur is None else self.saboteur.strikes(gen.__name__)
        if cut is None:
            return super().wait(gen, *args, **kwargs)
        assert self.saboteur is not None
        if cut == "after":
            super().wait(gen, *args, **kwargs)
        if cut != "client":
            self.saboteur.end(self.info.backend_pid)
        if cut != "before":
            self.pgconn.finish()
            raise psycopg.OperationalError("the connection is lost")
        return super().wait(gen, *args, **kwargs)


def _lives(pid: int) -> bool:
    """Tell whether a process of this machine is still there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def sabotage(superuser_url: str) -> Saboteur:
    """Let a saboteur count what the service of this process exchanges with its database."""
    saboteur = Saboteur(superuser_url)

    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Line:
        line = Line.connect(*arguments, **parameters)
        line.saboteur = saboteur
        return line

    engine = ledger_db.engine("service")
    engine.dispose()
    event.listen(engine, "do_connect", connect)
    return saboteur


class GaveUp(Exception):
    """A client lost its connection and did not try again."""


def insist(deed: Callable[[Session], _T], tries: int = 5) -> _T:
    """Do a deed in a transaction, again when the line is lost: what any client does.

    Raises `GaveUp` when the last try was lost too, and whatever the deed raises.
    """
    for _ in range(tries):
        try:
            with transaction() as session:
                return deed(session)
        except Problem:
            raise
        except Exception as fault:
            if find_silence(fault) is None:
                raise
    raise GaveUp
