"""Crowds of events over random tariffs: by hand, in any order and chunks, by workers, and late.

A long run: HOVEDBOK_RATING_CROWDS=2500, 400 events each. Every event is rated by hand once and in
columns seven times; none may differ.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from random import Random

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating import Counters, Rated, rate
from rating.rerating import Snapshot, rerate, result_of
from rating.tariff import compile_tariff
from rating.tariff_terms import Tariff
from rating.usage import UsageBatch
from tests.rating.oracle import rate_by_hand
from tests.rating.tariffs import SMALL, batch_of, double_grants, many_events, tariffs
from tests.rating.test_pipeline import COLUMNS, outcomes

CROWDS = int(os.environ.get("HOVEDBOK_RATING_CROWDS", "12"))
CROWD = 400
POOLS = 15
SLOW = settings(
    max_examples=CROWDS, deadline=None, suppress_health_check=[HealthCheck.data_too_large]
)


@SLOW
@given(tariffs(), st.integers(0, 2**32))
def test_a_crowd_is_rated_as_by_hand_whatever_way_it_comes(tariff: Tariff, seed: int) -> None:
    """The oracle, and the same bytes from a permuted batch, other chunks, and apart by pools."""
    drawn, book, random = many_events(seed, CROWD), compile_tariff(tariff), Random(seed)
    batch, granted = batch_of(drawn), double_grants(book, POOLS)
    whole = rate(batch, book, granted)
    assert outcomes(whole, book, drawn) == rate_by_hand(tariff, drawn)
    order = random.sample(range(CROWD), CROWD)
    shuffled = rate(batch.take(order), book, granted, chunk=random.randrange(1, CROWD))
    for name in COLUMNS:
        assert getattr(shuffled, name).tobytes() == getattr(whole, name)[order].tobytes(), name
    worker = batch.pool % random.randrange(2, 5)
    for number in range(int(worker.max()) + 1):
        rows = np.flatnonzero(worker == number)
        part = rate(batch.take(rows), book, granted)
        for name in COLUMNS:
            assert getattr(part, name).tobytes() == getattr(whole, name)[rows].tobytes(), name


@SLOW
@given(tariffs(), st.integers(0, 2**32))
def test_late_events_leave_what_a_punctual_crowd_would(tariff: Tariff, seed: int) -> None:
    """Some come late and some are corrected: after rating again every event is as if it had not."""
    drawn, book, random = many_events(seed, CROWD), compile_tariff(tariff), Random(seed)
    batch, granted = batch_of(drawn), double_grants(book, POOLS)
    charge = batch.subscription.astype(np.int64)
    punctual = np.flatnonzero([random.random() < 0.9 for _ in drawn])
    wrong = batch.take(punctual)
    wrong.quantity[: len(punctual) // 20] += 1
    old = Snapshot(wrong, book, granted, charge[punctual])
    new = Snapshot(batch, book, granted, charge)
    booked = result_of(rate(old.batch, book, granted), old)
    found = rerate(old, booked, new)
    due = result_of(rate(batch, book, granted), new)
    for name in ("event_key", "amount_micro", "free_quantity", "billed_units", "reason"):
        assert getattr(found.after, name).tobytes() == getattr(due, name).tobytes(), name
    # Python's integers: a crowd at fantastic prices comes to more than 64 bits hold.
    more, owed, was = (
        sum(x.tolist()) for x in (found.micro, due.amount_micro, booked.amount_micro)
    )
    assert more == owed - was
    assert len(rerate(new, found.after, new)) == 0


def test_processes_give_the_bytes_of_one_run() -> None:
    """Pools dealt to one, two or three processes: the rows and counters are those of one run."""
    book_source = SMALL.replace("quantity = 1000", "quantity = 1000\n  shared = true").encode()
    batch = batch_of(many_events(5, 4000))
    whole = _rate_apart(book_source, batch)
    for workers in (1, 2, 3):
        owner = batch.pool % workers
        parts = [np.flatnonzero(owner == number) for number in range(workers)]
        with ProcessPoolExecutor(workers) as processes:
            rated = list(
                processes.map(
                    _rate_apart, [book_source] * workers, [batch.take(rows) for rows in parts]
                )
            )
        for name in COLUMNS:
            joined = np.concatenate([getattr(part, name) for part in rated])
            back = joined[np.argsort(np.concatenate(parts))]
            assert back.tobytes() == getattr(whole, name).tobytes(), name
        used = sum(int(part.counters.used.sum()) for part in rated)
        # Every worker is given the grants of all pools, and leaves those of others unused.
        assert used == int(whole.counters.used.sum())


def _rate_apart(source: bytes, batch: UsageBatch) -> Rated:
    from rating.tariff import parse_tariff

    book = parse_tariff(source)
    granted: Counters = double_grants(book, POOLS)
    return rate(batch, book, granted)
