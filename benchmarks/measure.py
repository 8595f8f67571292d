"""Measuring side by side: the works alternate in one run, and each is told by median and spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

ROUNDS = 5


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Run a work once and give the seconds it took."""
    begun = clock()
    work()
    return clock() - begun


def spent(work: Callable[[], object], backend: int) -> tuple[float, float]:
    """Run a work once; give the seconds by the clock and those of CPU, ours and of a backend.

    The second resists whatever else the machine does. Linux tells it to the nanosecond, of any
    process by its id; elsewhere it is nan.
    """
    begun, used = time.perf_counter(), _cpu(backend)
    work()
    return time.perf_counter() - begun, _cpu(backend) - used


def _cpu(backend: int) -> float:
    told = Path(f"/proc/{backend}/schedstat")
    if not told.exists():
        return float("nan")
    return time.process_time() + int(told.read_text().split()[0]) / 1e9


def alternate(
    works: Sequence[tuple[int, Callable[[], object]]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
    *,
    warm: bool = False,
) -> list[list[float]]:
    """Run works in turn, so that whatever else the machine does meets them alike.

    Parameters
    ----------
    works : how many pieces a run handles, and the run.
    clock : gives seconds; `time.process_time` where all of a work is done in this process, since
        what else the machine does stretches those of the wall more.
    warm : run each work once more just before it is timed. While others worked for seconds, the
        machine may have taken back the memory that it lies in.

    Returns
    -------
    Pieces per second, a list of `rounds` for each work.
    """
    rates: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for found, (pieces, work) in zip(rates, works, strict=True):
            if warm:
                work()
            found.append(pieces / seconds(work, clock))
    return rates


def tell(name: str, rates: Sequence[float], unit: str) -> None:
    """Print the median of a work with its spread."""
    low, middle, high = (f"{round(r):,}" for r in (min(rates), median(rates), max(rates)))
    print(f"  {name:38} {middle:>12} {unit}  ({low} to {high})")


def tell_ratio(name: str, ours: Sequence[float], theirs: Sequence[float], digits: int = 1) -> None:
    """Print the ratio of two medians, and the least and the most of the rounds taken in pairs."""
    pairs = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    ratio = median(ours) / median(theirs)
    print(f"  {name:38} {ratio:>12.{digits}f} ×  ({pairs[0]:.{digits}f} to {pairs[-1]:.{digits}f})")
