"""Write the usage files of the month, and count what is in each by outcome."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from mediation.demo import pgw, wallclock
from mediation.demo.ber import Int64
from mediation.demo.msc import Switch, merge
from mediation.demo.plan import Plan
from mediation.demo.records import (
    FILES_PER_DAY,
    OUTCOMES,
    Parts,
    message_parts,
    packet_parts,
    voice_parts,
)
from mediation.demo.traffic import Traffic

Measures = dict[str, dict[str, int]]  # outcome → records, seconds, octets


@dataclass(frozen=True)
class Written:
    """One file as written."""

    name: str
    octets: int
    outcomes: Measures


def write_usage(plan: Plan, traffic: Traffic, folder: Path) -> Iterator[Written]:
    """Write all usage files into a folder, one by one."""
    yield from _write_switch(plan, traffic, folder)
    yield from _write_gateway(plan, traffic, folder)


def _write_switch(plan: Plan, traffic: Traffic, folder: Path) -> Iterator[Written]:
    """Write a file a day: calls and messages in the order in which they ended."""
    dice = plan.dice(3)
    calls = voice_parts(plan, dice, traffic.identities, traffic.voice)
    texts = message_parts(plan, dice, traffic.messages)
    switch = Switch(traffic)
    calls_by_day, texts_by_day = _rows_by_file(calls, plan.days), _rows_by_file(texts, plan.days)
    for day in range(plan.days):
        spoken, written = calls.take(calls_by_day[day]), texts.take(texts_by_day[day])
        content = merge(
            switch.calls(spoken),
            spoken.start + spoken.duration,
            switch.texts(written),
            written.start,
        )
        date = plan.first_day + timedelta(days=day)
        name = f"OSLMSC1_{day + 1:05d}_{date:%Y%m%d}.ber"
        (folder / name).write_bytes(content)
        none = np.zeros(len(written.session), np.int64)
        counted = _count(spoken, np.zeros(len(spoken.session), np.int64))
        yield Written(name, len(content), _sum(counted, _count(written, none)))


def _write_gateway(plan: Plan, traffic: Traffic, folder: Path) -> Iterator[Written]:
    """Write four files a day, closed a minute before 06, 12, 18 and 24 hours."""
    parts = packet_parts(plan, plan.dice(5), traffic.identities, traffic.packets)
    gateway = pgw.Gateway(traffic.identities, traffic.packets)
    by_file = _rows_by_file(parts, plan.days * FILES_PER_DAY)
    hours = 24 // FILES_PER_DAY
    first = plan.start + int(wallclock.offset_seconds(np.array([plan.start]))[0])
    edges = wallclock.from_wall(first + np.arange(len(by_file) + 1) * hours * 3_600).tolist()
    for place, rows in enumerate(by_file):
        chosen = parts.take(rows)
        sequence = pgw.FIRST_FILE + place
        closed = edges[place + 1] - 60
        content = gateway.file(chosen, sequence, edges[place], closed)
        name = pgw.file_name(sequence, closed)
        (folder / name).write_bytes(content)
        moved = pgw.volumes(traffic.packets, chosen)
        yield Written(name, len(content), _count(chosen, moved.total))


def _rows_by_file(parts: Parts, files: int) -> list[Int64]:
    edges = np.searchsorted(parts.file, np.arange(files + 1))
    return [np.arange(edges[i], edges[i + 1]) for i in range(files)]


def _count(parts: Parts, octets: Int64) -> Measures:
    """Sum records, seconds and octets per outcome; outcomes that do not occur are left out."""
    counted: Measures = {}
    for code, (bucket, reason) in enumerate(OUTCOMES):
        rows = parts.outcome == code
        if rows.any():
            counted[f"{bucket} {reason}".strip()] = {
                "records": int(rows.sum()),
                "seconds": int(parts.duration[rows].sum()),
                "octets": int(octets[rows].sum()),
            }
    return counted


def _sum(left: Measures, right: Measures) -> Measures:
    total = {outcome: dict(measures) for outcome, measures in left.items()}
    for outcome, measures in right.items():
        sums = total.setdefault(outcome, {})
        for measure, amount in measures.items():
            sums[measure] = sums.get(measure, 0) + amount
    return total


def sum_outcomes(files: list[Written]) -> Measures:
    """Add up all files."""
    total: Measures = {}
    for file in files:
        total = _sum(total, file.outcomes)
    return dict(sorted(total.items()))
