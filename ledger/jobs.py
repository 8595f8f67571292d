"""Jobs: a row that commits with the business facts that caused it, and a worker that does it.

The queue is procrastinate's, in the same database. A job may run twice (its worker can be killed
after the work and before the mark), so every task is idempotent. One that fails is tried again,
ever more rarely, until it is done: what was accepted is not given up because a disk was full for a
while. This module knows no task: the door maps names to functions (`JOBS` in app.py, handed over by
`configure`).
"""

import asyncio
import json
import logging
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import addresses, engine, find_silence
from ledger.db.life import GONE, life

if TYPE_CHECKING:
    import procrastinate
    from procrastinate.jobs import Job
    from procrastinate.manager import JobManager

Task = Callable[..., None]

# A worker whose process is gone is known at once; this is for one that hangs, or has no life.
STALLED_SECONDS = 30
_PAUSE_SECONDS = 2.0
_WAITS_S = (1, 5, 30, 120, 600)  # After each failure of a job; the last one from then on.
_POOL_SECONDS = 5.0  # How soon a worker notices that its database is gone.
_SETTINGS: Mapping[str, Any] = {
    "install_signal_handlers": False,
    "delete_jobs": "never",
    "update_heartbeat_interval": 2,
    "fetch_job_polling_interval": 2,
    "stalled_worker_timeout": STALLED_SECONDS,
}


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
_periodic: tuple[str, ...] = ()


def configure(tasks: Callable[[], Mapping[str, Task]], periodic: tuple[str, ...] = ()) -> None:
    """Say which functions do the jobs of this process; they are loaded when the first is due.

    `periodic` names those that a worker does every minute, one after the other, unasked.
    """
    global _tasks, _periodic
    _tasks, _periodic = tasks, periodic


def work(*, wait: bool) -> None:
    """Run queued jobs: all that are due (wait=False), or for ever as a worker (wait=True).

    A worker that starts takes over the jobs of one that died, and looks for more all the time. Jobs
    that failed it tries at once: somebody may have put right what was in the way. One whose
    database goes away waits for it; a stop signal lets the job in hand be finished.
    """
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    if _tasks is None:
        raise RuntimeError("ledger.jobs.configure() has not been called by the door.")
    app = _app(_tasks())
    if not wait:
        with app.open():
            _begin_again(app)
        app.run_worker(wait=False, **_SETTINGS)
        return
    # The worker tells of a lost database by a trace per connection; one line of ours is enough.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    while not _work_until_stopped(app):
        _log().warning("the worker waits for the database")
        time.sleep(_PAUSE_SECONDS)


def _work_until_stopped(app: "procrastinate.App") -> bool:
    """Work until a stop signal (True), or until the database goes away (False)."""
    stopped = False

    async def go() -> None:
        async with app.open_async():
            work = app.run_worker_async(wait=True, **_SETTINGS)
            task = asyncio.ensure_future(work)

            def stop() -> None:
                nonlocal stopped
                stopped = True
                task.cancel()

            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            await task

    try:
        with engine().connect():  # Starts a private server that was killed.
            pass
        _begin_again(app)
        asyncio.run(go())
    except asyncio.CancelledError:
        return True
    except Exception as fault:
        if find_silence(fault) is None:
            raise
    return stopped


def pending(session: Session) -> dict[str, int]:
    """Count jobs by state, for the readiness page and the metrics."""
    rows = session.execute(
        text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
    )
    return {str(state): int(count) for state, count in rows}


def _app(tasks: Mapping[str, Task]) -> "procrastinate.App":
    import procrastinate  # noqa: PLC0415 - a third of a second that few commands need

    conninfo = addresses().service.replace("+psycopg", "", 1)
    connector = procrastinate.PsycopgConnector(conninfo=conninfo, timeout=_POOL_SECONDS)
    app = procrastinate.App(connector=connector)
    app.job_manager = _living(connector)
    for name, function in tasks.items():
        app.task(name=name, queue="default", retry=_patience())(function)

    if _periodic:

        @app.periodic(cron="* * * * *")
        @app.task(name="every_minute", queue="default", queueing_lock="every_minute")
        def every_minute(timestamp: int) -> None:  # noqa: ARG001 - procrastinate says when
            _do_each(tasks, _periodic)

    @app.periodic(cron="* * * * *")
    @app.task(name="take_over_stalled", queue="default", pass_context=True)
    async def take_over_stalled(_context: Any, timestamp: int) -> None:  # noqa: ARG001
        await app.connector.execute_query_async(_TAKE_OVER, finished=_NOBODY)

    return app


def _do_each(tasks: Mapping[str, Task], names: Sequence[str]) -> None:
    """Do tasks one after the other; one that fails does not keep those behind it from theirs."""

    def do(name: str) -> None:
        try:
            tasks[name]()
        except Exception:
            _log().exception("task failed", task=name)
            raise

    with ExitStack() as each:  # It calls all of them, the last one first, whatever they raise.
        for name in reversed(names):
            each.callback(do, name)


def _log() -> Any:
    """Give the log of jobs. Standard output is the command's: a month run as JSON does jobs too."""
    import structlog  # noqa: PLC0415 - a twentieth of a second that few commands need

    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr))


def _patience() -> "procrastinate.BaseRetryStrategy":
    """Let a job that failed be tried again after a while, and say why it failed."""
    import procrastinate  # noqa: PLC0415 - see _app

    class Patience(procrastinate.BaseRetryStrategy):
        def get_retry_decision(
            self, *, exception: BaseException, job: "Job"
        ) -> procrastinate.RetryDecision:
            wait_s = _WAITS_S[min(job.attempts, len(_WAITS_S) - 1)]
            _log().error(
                "job failed", task=job.task_name, job=job.id, again_in_s=wait_s,
                exception="".join(traceback.format_exception(exception)),
            )  # fmt: skip
            return procrastinate.RetryDecision(retry_in={"seconds": wait_s})

    return Patience()


def _living(connector: Any) -> "JobManager":
    """Let a worker be registered with the life of its process, and look out for the dead."""
    from procrastinate.manager import JobManager  # noqa: PLC0415 - see _app

    class LivingManager(JobManager):
        async def register_worker(self) -> int:
            row = await self.connector.execute_query_one_async(_REGISTER, life=life())
            return int(row["worker_id"])

        async def update_heartbeat(self, worker_id: int) -> None:
            await super().update_heartbeat(worker_id)
            await asyncio.to_thread(life)  # Where its connection was cut, the lock is taken again.
            await self.connector.execute_query_async(_TAKE_OVER, finished=_NOBODY)

    return LivingManager(connector)


_NOBODY = 0  # No life has this number.
_REGISTER = "INSERT INTO procrastinate_workers (life) VALUES (%(life)s) RETURNING id AS worker_id"
# Jobs in the hands of nobody go back to the queue: their worker is gone, or stopped beating, or was
# of this very process and is %(finished)s. Who else takes them over at this moment is passed by.
_TAKE_OVER = (
    "WITH orphan AS (SELECT j.id FROM procrastinate_jobs j WHERE j.status = 'doing'"
    "  AND NOT EXISTS (SELECT FROM procrastinate_workers w WHERE w.id = j.worker_id"
    f"   AND w.last_heartbeat > now() - interval '{STALLED_SECONDS} seconds'"
    "    AND w.life IS DISTINCT FROM %(finished)s::bigint"
    f"   AND NOT (w.life IS NOT NULL AND {GONE.format(number='w.life')}))"
    "  FOR UPDATE SKIP LOCKED)"
    " SELECT procrastinate_retry_job_v1(id, now(), NULL, NULL, NULL) FROM orphan"
)


# Jobs that failed are due at once: those that wait for their next try, and those that an earlier
# release gave up.
_TRY_NOW = (
    "WITH given_up AS (SELECT id FROM procrastinate_jobs"
    "  WHERE status = 'failed' AND task_name = ANY(%(tasks)s) FOR UPDATE SKIP LOCKED),"
    " waiting AS (UPDATE procrastinate_jobs SET scheduled_at = now() WHERE id IN"
    "  (SELECT id FROM procrastinate_jobs WHERE status = 'todo' AND attempts > 0"
    "   AND scheduled_at > now() AND task_name = ANY(%(tasks)s) FOR UPDATE SKIP LOCKED))"
    " SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM given_up"
)


def _begin_again(app: "procrastinate.App") -> None:
    """Give the jobs of dead workers, and failed ones, to the queue before the first is fetched.

    Those too that an earlier worker of this process began: it lost its database over them.
    """
    assert _tasks is not None
    names = list(_tasks())

    async def go() -> None:
        async with app.open_async():
            await app.connector.execute_query_async(_TAKE_OVER, finished=life())
            await app.connector.execute_query_async(_TRY_NOW, tasks=names)

    asyncio.run(go())
