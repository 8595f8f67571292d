"""Rating in columns beside loops, SQL and the memory itself: same tariff, same events, same sums.

    python -m benchmarks.bench_rating [EVENTS [A B C D]]

The workloads are those of `rating_workloads`; D is the month of C, closed, with one event in a
hundred late, and then with another price. Each runs in a process of its own, so that its peak
memory is its own. Ours is `rating.rate` (D: `rating.rerating.rerate`) on one core, all semantics
on: versions, zones, bands, steps, allowances, reasons; and once more with the codes that explain
each event, which must sum to its amount. The peers rate a sample of whole subscriptions or pools
(a naive script and tuned loops) or everything (DuckDB, one thread); sums over what they rate must
be identical, or the program fails. Below stand two floors, measured in the same rounds: the columns
read and written once, and as many random reads of a table of a million cells. Seconds are those of
CPU.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks import rating_peers as peers
from benchmarks.measure import alternate, tell, tell_ratio
from benchmarks.rating_script import Script
from benchmarks.rating_workloads import SEED, Workload, bundles, calls, device_tariff, devices
from rating import parse_tariff, rate
from rating.codes import check_codes, codes_of
from rating.rerating import Result, Snapshot, rerate, result_of

EVENTS = 2_000_000
SAMPLE = 40_000
WORKLOADS = {"A": calls, "B": bundles, "C": devices}
_READ, _TABLE = 5, 1 << 20


def main(count: int = EVENTS, names: tuple[str, ...] = ("A", "B", "C", "D")) -> None:
    """Run each workload in a process of its own."""
    for name in names:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.bench_rating", f"{count}", name], check=True
        )


def measure(name: str, count: int) -> None:
    """Measure one workload against its peers and floors, alternating."""
    work = WORKLOADS[name](count)
    rated = rate(work.batch, work.book, work.counters)
    peak = _peak_megabytes()
    total = int(rated.amount_micro.sum())
    print(
        f"rating {name}: {count:,} events, seed {SEED}, tariff {work.book.content_hash[:12]},"
        f" one core;\n  {total:,} millionths in all, {_told(work, rated)}; peak memory {peak:,} MB"
    )
    if rated.reason.any():
        raise SystemExit("Some events have no price; the peers know no reasons.")
    sample = _sample(work)
    rows = peers.rows_of(work, sample)
    expected = int(rated.amount_micro[sample].sum())
    loops = _loops(work, rows)
    works: list[tuple[str, int, Callable[[], object]]] = [
        ("in columns", count, lambda: rate(work.batch, work.book, work.counters)),
        ("in columns, each explained", count, lambda: _explained(work)),
        *((told, len(sample), loop) for told, loop in loops),
        *((told, count, floor) for told, floor in _floors(count)),
    ]
    checks: list[tuple[str, Any, int]] = [(told, loop(), expected) for told, loop in loops]
    if find_spec("duckdb"):
        query = peers.Sql(work)
        checks.append(("SQL in DuckDB", query(), total))
        # Behind both of ours, whose ratio is told: caches and memory are cold after it.
        works.insert(2, ("SQL in DuckDB, one thread", count, query))
    else:
        print("  duckdb cannot be imported; make bench installs it.")
    for told, found, due in checks:
        if found != due:
            raise SystemExit(f"{told} comes to {found}, ours to {due} over the same events.")
    _tell(works)


def _loops(
    work: Workload, rows: Sequence[tuple[Any, ...]]
) -> list[tuple[str, Callable[[], object]]]:
    """Give what rates event by event in Python: as one writes it first, and tuned."""
    tuned = {"in integers": peers.integer_loop, "in decimals": peers.decimal_loop}
    if work.name == "C":
        tuned = {"in integers": peers.octet_loop, "in decimals": peers.octet_decimals}
    return [
        ("naive script of objects and decimals", Script(work, rows)),
        *((f"tuned loop {kind}", partial(loop, work, rows)) for kind, loop in tuned.items()),
    ]


def _explained(work: Workload) -> None:
    """Rate, explain every event by a walk of its own, and check that both agree."""
    rated = rate(work.batch, work.book, work.counters)
    check_codes(codes_of(work.batch, rated, work.book), work.batch, rated, work.book)


def _tell(works: list[tuple[str, int, Callable[[], object]]]) -> None:
    ours, *others = alternate(
        [(count, run) for _, count, run in works], clock=time.process_time, warm=True
    )
    tell(works[0][0], ours, "events/s")
    for (told, *_), rates in zip(works[1:], others, strict=True):
        tell(told, rates, "events/s")
        tell_ratio("  ours to it", ours, rates, digits=1 if ours[0] > rates[0] else 3)


def _floors(count: int) -> list[tuple[str, Callable[[], object]]]:
    """Give the least that any rating of so many events does to memory."""
    columns = [np.arange(count) for _ in range(_READ)]
    written = np.empty(count, np.int64)
    table = np.arange(_TABLE, dtype=np.int32)
    places = np.random.default_rng(SEED).integers(0, _TABLE, count)

    def stream() -> None:
        for column in columns:
            column.sum()
        written.fill(1)

    return [(f"floor: {_READ} columns read, 1 written", stream),
            ("floor: one random read each", lambda: table[places])]  # fmt: skip


def _sample(work: Workload) -> np.ndarray:
    """Choose about so many events of whole pools, so that a loop meets used-up allowances."""
    batch = work.batch
    owner = batch.subscription if batch.pool is None else batch.pool
    # The pool of many members would be the whole sample, and more.
    crowd = np.argmax(np.bincount(owner)) if work.name == "B" else -1
    held = np.cumsum(np.bincount(owner[owner != crowd]))
    last = np.searchsorted(held, SAMPLE)
    found: np.ndarray = np.flatnonzero((owner <= last) & (owner != crowd))
    return found


def _told(work: Workload, rated: Any) -> str:
    """Say what kinds of events the workload met, so that a reader can judge it."""
    if work.name == "A":
        crossed = peers.crossing(work.batch.started_at, work.batch.quantity)
        return f"{crossed.mean():.1%} cross a band"
    return f"{(rated.free_quantity > 0).mean():.0%} draw on an allowance"


def corrections(count: int) -> None:
    """Workload D: late events, then another price, of a closed month; only differences count."""
    work = devices(count)
    batch, late = work.batch, np.random.default_rng(SEED).random(count) < 0.01
    charge = batch.subscription.astype(np.int64)
    dearer = parse_tariff(device_tariff("0.59").encode())
    snapshots = {
        "before": Snapshot(batch.take(~late), work.book, work.counters, charge[~late]),
        "late": Snapshot(batch, work.book, work.counters, charge),
        "dearer": Snapshot(batch, dearer, work.counters, charge),
    }
    booked = {name: _booked(snapshot) for name, snapshot in snapshots.items()}
    print(f"rating D: the month of C, {count:,} events; rated again and compared by component")
    works: list[tuple[str, int, Callable[[], object]]] = [
        ("the month in full, once", count, lambda: _booked(snapshots["late"]))
    ]
    for told, old, new in (("one in a hundred late", "before", "late"),
                           ("another price", "late", "dearer")):  # fmt: skip
        found = rerate(snapshots[old], booked[old], snapshots[new])
        again = rerate(snapshots[new], found.after, snapshots[new])
        if len(again):
            raise SystemExit(f"{told}: the second run would post {len(again)} differences.")
        due = int(booked[new].amount_micro.sum()) - int(booked[old].amount_micro.sum())
        if int(found.micro.sum()) != due:
            raise SystemExit(f"{told}: differences of {found.micro.sum()}, should be {due}.")
        changed = max(len(found.event_key), 1)
        print(
            f"  {told}: {found.micro.sum():,} millionths in {len(found):,} differences;"
            f" {found.rated_again:,} events rated again for {changed:,} that change"
            f" ({found.rated_again / changed:.1f} each); a second run finds none"
        )
        works.append((told, count, partial(rerate, snapshots[old], booked[old], snapshots[new])))
    print(f"  peak memory {_peak_megabytes():,} MB")
    _tell(works)


def _booked(snapshot: Snapshot) -> Result:
    return result_of(rate(snapshot.batch, snapshot.book, snapshot.counters), snapshot)


def _peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    words = sys.argv[1:]
    if len(words) == 2 and words[1] in WORKLOADS:
        measure(words[1], int(words[0]))
    elif len(words) == 2 and words[1] == "D":
        corrections(int(words[0]))
    else:
        main(*(int(word) for word in words[:1]), *((tuple(words[1:]),) if words[1:] else ()))
