"""Queues of events before their pools: every fast order against Python's sort of tuples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rating import parse_tariff
from rating.clock import clock_of, months
from rating.queues import event_order, queue_of
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of

EARLY, LATE = -(2**63), 2**63 - 1
MARCH = 1_772_319_600  # 2026-03-01, 00:00 in Oslo
STARTS = st.one_of(st.integers(MARCH - 3, MARCH + 3), st.sampled_from([EARLY, -1, LATE]))


KEYS = st.one_of(st.integers(0, 40), st.integers(EARLY, LATE), st.sampled_from([EARLY, LATE]))


@given(
    st.lists(st.tuples(STARTS, KEYS), max_size=20, unique_by=lambda pair: pair[1]), st.booleans()
)
def test_event_order_is_that_of_start_and_key(drawn: list[tuple[int, int]], ordered: bool) -> None:
    """Ties, keys of all sizes, garbled clocks and events that are in order: as sorting tuples."""
    drawn = sorted(drawn) if ordered else drawn
    call = Event(0, MARCH, 60, 1, "4790000001", 0, 0, 0)
    batch = batch_of([replace(call, key=key, start=start) for start, key in drawn])
    order = event_order(batch)
    slow = sorted(range(len(drawn)), key=lambda row: drawn[row])
    assert (list(range(len(drawn))) if order is None else order.tolist()) == slow
    assert order is None or not ordered


def test_a_crowd_of_one_second_is_ordered_by_whole_keys() -> None:
    """Keys that begin alike are told apart by their ends, where the code has room for few bits."""
    random = np.random.default_rng(1)
    count = 5_000
    call = Event(0, MARCH, 60, 1, "4790000001", 0, 0, 0)
    batch = batch_of([call])
    keys = random.permutation(count).astype(np.int64) + random.integers(0, 2, count) * 2**61
    batch = replace(
        batch.take(np.zeros(count, np.int64)), event_key=keys,
        started_at=MARCH + random.integers(0, 3, count) * 10**9,
    )  # fmt: skip
    order = event_order(batch)
    assert order is not None
    slow = sorted(range(count), key=lambda row: (batch.started_at[row], keys[row]))
    assert order.tolist() == slow


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5)), min_size=1, max_size=20))
def test_pools_are_told_by_owner_and_month_and_their_events_by_time(
    drawn: list[tuple[int, int]],
) -> None:
    """Around the end of a month each owner has two pools, and each its events by time."""
    book = parse_tariff(SMALL.encode())
    call = Event(0, MARCH, 60, 1, "4790000001", 0, 0, 0)
    events = [
        replace(call, key=key, subscription=owner, start=MARCH + second)
        for key, (owner, second) in enumerate(drawn)
    ]
    batch = batch_of(events)
    cell = np.full(len(batch), np.flatnonzero(book.cells.allowances[:, 0] >= 0)[0], np.int32)
    order = event_order(batch)
    queue = queue_of(batch, cell, np.zeros(len(batch), np.int16), book, 0, order)
    month = months(clock_of("Europe/Oslo"), batch.started_at)
    pool_of = [(e.subscription, int(month[e.key])) for e in events]
    by_time = sorted(events, key=lambda e: (e.start, e.key))
    everybody = np.arange(len(queue))
    assert queue.rows_at(everybody).tolist() == [e.key for e in by_time]
    pools = list(zip(queue.owner.tolist(), queue.month.tolist(), strict=True))
    assert pools == sorted(set(pool_of))
    assert [pools[n] for n in queue.pool] == [pool_of[e.key] for e in by_time]
    together, places = queue.by_pool()
    slow = sorted(events, key=lambda e: (pool_of[e.key], e.start, e.key))
    assert together.rows_at(everybody).tolist() == [e.key for e in slow]
    assert queue.rows_at(places).tolist() == [e.key for e in slow]
    odd = queue.only(queue.rows_at(everybody) % 2 == 1)
    kept = odd.rows_at(np.arange(len(odd))).tolist()
    assert kept == [e.key for e in by_time if e.key % 2]
    last = {pool_of[key]: place for place, key in enumerate(kept)}
    assert odd.last().tolist() == [last.get(pool, -1) for pool in pools]
