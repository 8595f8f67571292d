"""Jobs exist exactly if the facts do, and outlive the worker that began them."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import app
from ledger import jobs
from ledger.db import transaction
from ledger.db.life import life

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 7  # A life that ended: no process holds its lock.

done: list[int] = []


def _note(number: int) -> None:
    done.append(number)


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """A job table of one task, which notes what it did."""
    done.clear()
    jobs.configure(lambda: {"note": _note})
    yield
    done.clear()


def test_a_job_commits_with_its_cause(db: str) -> None:
    """What is rolled back leaves no job; what is committed leaves one."""
    with contextlib.suppress(ZeroDivisionError), transaction() as session:
        jobs.defer(session, "note", number=1)
        raise ZeroDivisionError
    with transaction() as session:
        jobs.defer(session, "note", number=2)
    jobs.work(wait=False)
    assert done == [2]


def _begun(number: int, life: int | None, silent_s: int = 0) -> None:
    """Put a job into the hands of a worker of some life that last beat some seconds ago."""
    with transaction() as session:
        job = jobs.defer(session, "note", number=number)
        worker = session.scalar(
            text(
                "INSERT INTO procrastinate_workers (life, last_heartbeat)"
                " VALUES (:life, now() - make_interval(secs => :silent)) RETURNING id"
            ),
            {"life": life, "silent": silent_s},
        )
        session.execute(
            text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :w WHERE id = :job"),
            {"w": worker, "job": job},
        )


def test_a_dead_workers_job_is_done_by_the_next(db: str) -> None:
    """One that is gone, though it beat just now, or stopped beating, or was of this process."""
    for number, (lived, silent_s) in enumerate(((NOBODY, 0), (None, 3600), (life(), 0))):
        _begun(number, lived, silent_s)
    _begun(3, None)  # Of before lives were written down: judged by its beat, which is fresh.
    jobs.work(wait=False)
    assert done == [0, 1, 2]
    with transaction() as session:
        assert jobs.pending(session)["doing"] == 1


def test_a_worker_at_work_takes_over_with_its_next_beat(db: str) -> None:
    """Nobody waits for the minute; what this process is doing itself stays where it is."""
    _begun(1, NOBODY)
    _begun(2, life())
    queue = jobs._app({"note": _note})

    async def beat() -> None:
        async with queue.open_async():
            worker = await queue.job_manager.register_worker()
            await queue.job_manager.update_heartbeat(worker)

    asyncio.run(beat())
    with transaction() as session:
        assert jobs.pending(session) == {"todo": 1, "doing": 1}


WORKER = """
import os, sys, time
from pathlib import Path
from ledger import db, jobs
from ledger.db.server import PrivateServer

def hang(number):
    print("begun", flush=True)
    time.sleep(600)

server = PrivateServer(Path(os.environ["HOVEDBOK_TEST_HOME"]))
db.configure(lambda: server.addresses(sys.argv[1]))
jobs.configure(lambda: {"note": hang})
jobs.work(wait=False)
"""


def test_the_job_of_a_killed_worker_is_done_at_once(db: str) -> None:
    """Not while it lives, however long it takes."""
    with transaction() as session:
        jobs.defer(session, "note", number=5)
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, db], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "begun\n"
        jobs.work(wait=False)
        assert done == []
    finally:
        worker.kill()
        worker.wait(30)
    killed_at = time.monotonic()
    while not done:  # Until its server has seen that the connection is gone.
        jobs.work(wait=False)
    assert (done, time.monotonic() - killed_at < jobs.STALLED_SECONDS) == ([5], True)


def test_done_jobs_stay_as_evidence(db: str) -> None:
    """The queue says what was done; a second round finds nothing."""
    with transaction() as session:
        jobs.defer(session, "note", number=4)
    jobs.work(wait=False)
    jobs.work(wait=False)
    assert done == [4]
    with transaction() as session:
        assert jobs.pending(session)["succeeded"] >= 1


def test_a_worker_does_what_is_due_every_minute(db: str) -> None:
    """In the order of the door's list, once each, and nothing else unasked."""
    tasks = {"note": _note, "first": lambda: done.append(1), "second": lambda: done.append(2)}
    jobs.configure(lambda: tasks, ("first", "second"))
    queue = jobs._app(tasks)
    scheduled = {name for name, _ in queue.periodic_registry.periodic_tasks}
    assert scheduled == {"every_minute", "take_over_stalled"}
    queue.tasks["every_minute"].func(timestamp=0)
    assert done == [1, 2]


def test_a_task_that_fails_does_not_keep_those_behind_it_from_theirs(db: str) -> None:
    """Books are sealed though a receiver cannot be told; that one failed is not hidden."""

    def fail() -> None:
        raise ZeroDivisionError

    tasks = {"first": fail, "second": lambda: done.append(2)}
    jobs.configure(lambda: tasks, ("first", "second"))
    with pytest.raises(ZeroDivisionError):
        jobs._app(tasks).tasks["every_minute"].func(timestamp=0)
    assert done == [2]


def test_a_job_that_failed_is_tried_until_it_is_done(
    db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often; not at once again and again, but with the next worker that starts."""
    tries: list[int] = []

    def fail(number: int) -> None:
        tries.append(number)
        if len(tries) <= 8:
            raise OSError("No space left on device")
        done.append(number)

    jobs.configure(lambda: {"note": fail})
    with transaction() as session:
        jobs.defer(session, "note", number=6)
    for left in range(8, 0, -1):
        jobs.work(wait=False)
        assert (len(tries), done) == (9 - left, [])
    with transaction() as session:
        wait_s = session.scalar(
            text(
                "SELECT extract(epoch FROM scheduled_at - now())::integer FROM procrastinate_jobs"
                " WHERE task_name = 'note' AND status = 'todo'"
            )
        )
    assert wait_s in range(590, 601)
    jobs.work(wait=False)
    assert done == [6]
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("job failed"), "No space" in printed.err) == (
        "",
        8,
        True,
    )


def test_a_job_that_was_given_up_is_done_by_the_next_worker(db: str) -> None:
    """An earlier release tried five times within a second; nobody could ask for a sixth."""
    with transaction() as session:
        jobs.defer(session, "note", number=8)
        session.execute(text("UPDATE procrastinate_jobs SET status = 'failed', attempts = 6"))
    jobs.work(wait=False)
    assert done == [8]


def test_every_job_of_the_door_can_be_loaded() -> None:
    """A name that leads nowhere would be found at night; what is periodic is a job."""
    functions = app.job_functions()
    assert all(callable(function) for function in functions.values())
    assert set(app.PERIODIC) <= functions.keys()
