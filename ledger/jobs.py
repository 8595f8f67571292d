"""Jobs: a row that commits with the business facts that caused it, and a worker that does it.

The queue is procrastinate's, in the same database. A job may run twice (its worker can be killed
after the work and before the mark), so every task is idempotent. This module knows no task: the
door maps names to functions (`JOBS` in app.py, handed over by `configure`).
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import addresses

if TYPE_CHECKING:
    import procrastinate

Task = Callable[..., None]

STALLED_SECONDS = 30


def defer(session: Session, task: str, **arguments: object) -> int:
    """Queue a job in the session's own transaction: it exists exactly if the facts do.

    Returns the job's number. Arguments must be plain JSON values.
    """
    number = session.execute(
        text(
            "SELECT (procrastinate_defer_jobs_v1(ARRAY[ROW("
            "'default', :task, 0, NULL, NULL, CAST(:arguments AS jsonb), NULL"
            ")::procrastinate_job_to_defer_v1]))[1]"
        ),
        {"task": task, "arguments": json.dumps(arguments)},
    ).scalar_one()
    return int(number)


_tasks: Callable[[], Mapping[str, Task]] | None = None


def configure(tasks: Callable[[], Mapping[str, Task]]) -> None:
    """Say which functions do the jobs of this process; they are loaded when the first is due."""
    global _tasks  # noqa: PLW0603 - one job table per process, set at the door
    _tasks = tasks


def work(*, wait: bool, concurrency: int = 1) -> None:
    """Run queued jobs: all that are due (wait=False), or for ever as a worker (wait=True).

    A worker that starts takes over the jobs of one that died, and looks for more every minute.
    """
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    if _tasks is None:
        raise RuntimeError("ledger.jobs.configure() has not been called by the door.")
    app = _app(_tasks())
    with app.open():
        _take_over_stalled(app)
    app.run_worker(
        wait=wait,
        concurrency=concurrency,
        install_signal_handlers=wait,
        delete_jobs="never",
        update_heartbeat_interval=5,
        stalled_worker_timeout=STALLED_SECONDS,
    )


def pending(session: Session) -> dict[str, int]:
    """Count jobs by state, for the readiness page and the metrics."""
    rows = session.execute(
        text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
    )
    return {str(state): int(count) for state, count in rows}


def _app(tasks: Mapping[str, Task]) -> "procrastinate.App":
    import procrastinate  # noqa: PLC0415 - a third of a second that few commands need

    conninfo = addresses().service.replace("+psycopg", "", 1)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo))
    for name, function in tasks.items():
        app.task(name=name, queue="default", retry=5)(function)

    @app.periodic(cron="* * * * *")
    @app.task(name="take_over_stalled", queue="default", pass_context=True)
    async def take_over_stalled(_context: Any, timestamp: int) -> None:  # noqa: ARG001
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
            await app.job_manager.retry_job(job)

    return app


def _take_over_stalled(app: "procrastinate.App") -> None:
    """Give the jobs of dead workers back to the queue before the first one is fetched."""
    import asyncio  # noqa: PLC0415 - only here

    async def go() -> None:
        async with app.open_async():
            stalled = await app.job_manager.get_stalled_jobs(
                seconds_since_heartbeat=STALLED_SECONDS
            )
            for job in stalled:
                await app.job_manager.retry_job(job)

    asyncio.run(go())
