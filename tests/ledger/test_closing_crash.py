"""A close that dies between any two statements leaves nothing, and is simply done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from ledger import db, service
from ledger.db import transaction
from ledger.service import closing, year_end
from ledger.service.signing import signer
from tests.ledger.conftest import seal_all

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

BOOK = "NO01"
TABLES = (
    "close_checklist",
    "check_waiver",
    "period_lock_event",
    "posting_batch",
    "voucher_counter",
)
ROOT = Path(__file__).resolve().parents[2]


class Crash(BaseException):
    """What no code of ours catches."""


def close_march() -> None:
    """Close March, letting the money in clearing pass."""
    with transaction() as session:
        closing.close_period(
            session, BOOK, "2026-03", level="soft", actor="chief", waive={"suspense": "known"}
        )


def close_2026() -> None:
    """Close the year."""
    with transaction() as session:
        year_end.close_year(session, BOOK, 2026, actor="chief")


@contextmanager
def dies_at(step: int) -> Iterator[list[int]]:
    """Let the step-th statement or commit of this process crash before it is sent."""
    seen = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen[0] += 1
            if seen[0] == step:
                raise Crash
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for kind, name in ((psycopg.Cursor, "execute"), (psycopg.Connection, "commit")):
            patch.setattr(kind, name, counted(getattr(kind, name)))
        yield seen


def state() -> list[Any]:
    """How many rows the tables have that a close writes to, and how the months stand."""
    with transaction() as session:
        counts = [session.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES]
        return [*counts, [one.level for one in service.period_states(session, BOOK)]]


def crash_everywhere(do: Callable[[], None]) -> int:
    """Crash at every step in turn; each time all is as before. Gives the number of steps."""
    before, step = state(), 0
    while True:
        step += 1
        with dies_at(step) as seen:
            try:
                do()
            except Crash:
                pass
            else:
                assert seen[0] < step
                return step - 1
        db.engine().dispose()
        assert state() == before, f"step {step} left something behind"


@pytest.fixture
def ready(books: str, drafts: Drafts) -> str:
    """Books with a result and money in clearing; February closed, everything sealed."""
    with transaction() as session:
        service.post_batch(
            session, drafts.batch("b-1", drafts.journal("j-1", ("1940", 5_00), ("3010", -5_00)))
        )
        service.lock_period(session, BOOK, "2026-02", module="GL", level="soft", actor="x",
                            reason="x")  # fmt: skip
    seal_all(signer())
    return books


def lock_all() -> None:
    """Soft-close the ledger of every month of the year."""
    with transaction() as session:
        for month in range(1, 13):
            service.lock_period(session, BOOK, f"2026-{month:02d}", module="GL", level="soft",
                                actor="x", reason="x")  # fmt: skip


def test_a_month_end_may_crash_between_any_two_statements(ready: str) -> None:
    """Waiver, evidence and locks come together or not at all."""
    assert crash_everywhere(close_march) > 15
    after = state()
    assert after[:3] == [2, 1, 5]
    close_march()
    assert state() == after
    with transaction() as session:
        assert service.verify(session) == []


def test_a_year_end_may_crash_between_any_two_statements(ready: str) -> None:
    """The entry and its number come together or not at all."""
    lock_all()
    assert crash_everywhere(close_2026) > 10
    after = state()
    close_2026()
    assert state() == after
    with transaction() as session:
        assert str(year_end.read_year(session, BOOK, 2026).closed_by) == "YEC/2026/1"
        assert service.verify(session) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import psycopg
from ledger import db
from ledger.db.server import PrivateServer
from tests.ledger import test_closing_crash as t

server = PrivateServer(Path(os.environ["HOVEDBOK_TEST_HOME"]))
db.configure(lambda: server.addresses(sys.argv[1]))
steps, real, last = [0], psycopg.Cursor.execute, int(sys.argv[3])

def execute(*args, **kwargs):
    steps[0] += 1
    if steps[0] == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

psycopg.Cursor.execute = execute
getattr(t, sys.argv[2])()
"""


@pytest.mark.parametrize("verb", ["close_march", "close_2026"])
def test_a_close_may_be_killed_and_is_done_again(ready: str, verb: str) -> None:
    """SIGKILL in the middle and near the end: no lock outlives it, nothing is half done."""
    if verb == "close_2026":
        lock_all()
    before = state()
    for step in (4, 9, 14):
        told = subprocess.run(
            [sys.executable, "-c", KILLED, ready, verb, str(step)], cwd=ROOT, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
        )  # fmt: skip
        assert told.returncode == -signal.SIGKILL
        assert state() == before
    {"close_march": close_march, "close_2026": close_2026}[verb]()
    assert state() != before
    with transaction() as session:
        assert service.verify(session) == []
