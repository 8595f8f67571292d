"""Kill -9 in mid-batch, mid-seal, mid-close and mid-job: run again, and the books are as if not."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger import service
from ledger.db import transaction
from ledger.service.intake import Sender
from ledger.service.requests import accept_request, request_state
from tests.flows.home import Home
from tests.flows.test_kill import Deed, kill_command, kill_server

KILLS = int(os.environ.get("HOVEDBOK_KILLS", "2"))
ENTRIES = 9_000  # of a file: two batches, or five steps of a job
JOB_PATIENCE_S = 300
CLOSE = ["ledger", "lock", "2026-01", "--module", "GL", "--level", "soft", "--reason", "test"]


def _entry(kind: str, number: int) -> str:
    day = f"2026-0{1 + number % 3}-1{number % 10}"
    lines = [{"account": "7830", "amount": f"{number}.00"},
             {"account": "1920", "amount": f"-{number}.00"}]  # fmt: skip
    return json.dumps({"effective_date": day, "text": "Bilag", "lines": lines,
                       "source_ref": f"{kind}-{number}"})  # fmt: skip


def _file(folder: Path, kind: str) -> Path:
    made = folder / f"{kind}.ndjson"
    made.write_text("".join(f"{_entry(kind, n)}\n" for n in range(1, ENTRIES + 1)))
    return made


def _run_to_its_end(home: Home, words: Sequence[str], kill: Deed, instants: Sequence[float]) -> int:
    """Run a command again and again; it is struck at each instant that it lives to see."""
    strikes = 0
    for instant in instants:
        command = home.start(*words)
        time.sleep(instant)
        if command.poll() is None:
            kill(home, command)
            strikes += 1
        command.communicate(timeout=120)
    home.run(*words)
    return strikes


def _work_to_the_end(home: Home, kill: Deed, pauses: Sequence[float], body: bytes) -> int:
    """Let workers be struck while they do a request; the last one takes over and finishes it.

    Each is struck a pause after it has taken the request up, so that it is in the midst of it.
    """
    with home.inside():
        with transaction() as session:
            sender = Sender("NO01", "REST:x", "x")
            number = accept_request(session, sender, "storm", "ndjson", body)
        strikes, before = 0, None
        for pause in pauses:
            worker = home.start("work")
            before = _begun_by_another(before)
            time.sleep(pause)
            kill(home, worker)
            strikes += 1
            kill_command(home, worker)
            worker.communicate(timeout=60)
        worker, deadline = home.start("work"), time.monotonic() + JOB_PATIENCE_S
        done = False
        while not done:
            assert time.monotonic() < deadline, "the request was never finished"
            time.sleep(0.5)
            with transaction() as session:
                state = request_state(session, number, "x")
            done = state.done
        worker.terminate()
        worker.communicate(timeout=60)
    assert (state.posted + state.replayed, state.refused) == (ENTRIES, 0)
    return strikes


def _begun_by_another(before: int | None) -> int:
    """Wait until a worker that is not the one before has a request in its hands; gives its number.

    It takes over what the one before was killed over as soon as it is there.
    """
    deadline = time.monotonic() + JOB_PATIENCE_S
    while True:
        with transaction() as session:
            worker: int | None = session.scalar(
                text("SELECT worker_id FROM procrastinate_jobs WHERE task_name = 'post_request'"
                     " AND status = 'doing' AND worker_id IS DISTINCT FROM :before"),
                {"before": before},
            )  # fmt: skip
        if worker is not None:
            return worker
        assert time.monotonic() < deadline, "no worker took the request up"
        time.sleep(0.05)


def _check(home: Home) -> None:
    """Every entry once, every number once, every batch told once, and every check of verify."""
    home.run("ledger", "seal")
    with home.inside():
        with transaction("auditor") as session:
            refs = session.scalars(text("SELECT source_ref FROM journal_entry")).all()
            level = service.period_states(session, "NO01")[0].level
            untold = session.scalar(
                text("SELECT count(*) FROM posting_batch b WHERE (SELECT count(*) FROM"
                     " event_outbox e WHERE e.batch_id = b.batch_id) <> 1")
            )  # fmt: skip
        kinds = ("each", "whole", "job")
        assert sorted(refs) == sorted(f"{k}-{n}" for k in kinds for n in range(1, ENTRIES + 1))
        assert (level, untold) == ("soft", 0)
    assert "without gaps" in home.run("ledger", "gaps")
    home.run("ledger", "verify")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kill", [kill_command, kill_server], ids=["process", "postgresql"])
def test_the_verbs_of_the_ledger_survive_kills(
    kill: Deed, home: Home, tmp_path: Path, seed: int
) -> None:
    """Each verb is struck at instants spread over its run; nobody repairs anything by hand."""
    chance = random.Random(seed)
    home.run("ledger", "init", "--year", "2026")
    each, whole, job = (_file(tmp_path, kind) for kind in ("each", "whole", "job"))
    commands = (
        (["ledger", "post", str(each), "--per-entry"], 6.0),
        (["ledger", "post", str(whole)], 6.0),
        (["ledger", "seal"], 2.0),
    )
    strikes = 0
    for words, longest in commands:
        times = [chance.uniform(0.5, longest) for _ in range(max(1, KILLS // 4))]
        strikes += _run_to_its_end(home, words, kill, times)
    # A fast machine does all of them within a second and a half: the last strike must find work.
    blows = max(2, KILLS // 4)
    pauses = [chance.uniform(0.0, 0.6 / blows) for _ in range(blows)]
    strikes += _work_to_the_end(home, kill, pauses, job.read_bytes())
    strikes += _run_to_its_end(home, CLOSE, kill, [chance.uniform(0.3, 1.5)])
    assert strikes >= len(pauses)
    _check(home)
