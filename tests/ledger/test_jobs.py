"""Jobs exist exactly if the facts do, and outlive the worker that began them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import text

import app
from ledger import jobs
from ledger.db import transaction

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


def test_a_dead_workers_job_is_done_by_the_next(db: str) -> None:
    """A job in the hands of a worker that stopped beating goes back to the queue."""
    with transaction() as session:
        jobs.defer(session, "note", number=3)
        session.execute(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat)"
                " VALUES (now() - interval '1 hour')"
            )
        )
        session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'doing',"
                " worker_id = (SELECT max(id) FROM procrastinate_workers)"
            )
        )
        assert jobs.pending(session) == {"doing": 1}
    jobs.work(wait=False)
    assert done == [3]


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


def test_every_job_of_the_door_can_be_loaded() -> None:
    """A name that leads nowhere would be found at night; what is periodic is a job."""
    functions = app.job_functions()
    assert all(callable(function) for function in functions.values())
    assert set(app.PERIODIC) <= functions.keys()
