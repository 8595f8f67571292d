"""Posting into an open month that lies back, beside posting into the month that runs.

    python -m benchmarks.bench_backdating [LINES]

So many lines (120,000 unless said; a million takes minutes) are posted into the running month, and
as many, in turn with them, into an earlier month that is still open and holds postings. What was
posted first is sealed: the trial balances of both months at that position must be the same to the
øre after everything else came, or the program fails; as known now they must differ.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import date
from functools import partial
from pathlib import Path

from benchmarks.books import BOOK, USED, accruals, fresh_books, line_count, post, posting_backend
from benchmarks.measure import ROUNDS, spent, tell, tell_ratio
from ledger import db, service
from ledger.journal import BatchDraft
from ledger.service import sealing
from ledger.service.signing import Signer, open_signer

EARLIER = date(2026, 1, 20)
BATCH = 30_000  # Lines.
REPORTED = (date(2026, 1, 31), date(2026, 3, 31))


def main(lines: int = 120_000) -> None:
    """Load both months, then post into each in turn, and print the ratio."""
    with fresh_books(), tempfile.TemporaryDirectory() as folder:
        key = open_signer(Path(folder) / "key")
        for day in (EARLIER, USED):
            post(accruals(f"first-{day}", BATCH, day))
        known = _seal(key)
        told = [_balances(day, known) for day in REPORTED]
        found: dict[str, list[float]] = {}
        size = min(BATCH, max(6, lines // ROUNDS))
        batches = max(1, lines // ROUNDS // size)
        for number in range(ROUNDS):
            for name, day in (("now", USED), ("back", EARLIER)):
                drafts = [accruals(f"{name}-{number}-{n}", size, day) for n in range(batches)]
                work = partial(_post_all, drafts)
                clock, cpu = spent(work, posting_backend())
                held = sum(map(line_count, drafts))
                found.setdefault(name, []).append(held / clock)
                found.setdefault(f"{name} cpu", []).append(held / cpu)
        _seal(key)
        if [_balances(day, known) for day in REPORTED] != told:
            raise SystemExit(f"A report as known at position {known} has changed.")
        if [_balances(day, None) for day in REPORTED] == told:
            raise SystemExit("Nothing of what was posted is in the reports as known now.")
    print(
        f"backdating: {ROUNDS * batches * size:,} lines either way, batches of {size:,}; reports "
        f"of {' and '.join(map(str, REPORTED))} as known at position {known} are unchanged"
    )
    tell("into an earlier open month", found["back"], "lines/s")
    tell("into the running month", found["now"], "lines/s")
    tell_ratio("ratio", found["back"], found["now"], digits=2)
    tell_ratio("ratio of CPU", found["back cpu"], found["now cpu"], digits=2)


def _post_all(drafts: list[BatchDraft]) -> None:
    for draft in drafts:
        post(draft)


def _seal(key: Signer) -> int:
    """Seal what is posted; gives the last position."""
    with db.transaction() as session:
        block = sealing.seal(session, key).block
    assert block is not None
    return block.last_position


def _balances(day: date, known: int | None) -> list[tuple[str, int, int]]:
    with db.transaction("auditor") as session:
        found = service.trial_balance(session, BOOK, day, known)
    return [(one.account, one.debit_minor, one.credit_minor) for one in found]


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:2]))
