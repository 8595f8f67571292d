"""Queues of events before their pools: every fast order against Python's sort of tuples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating import parse_tariff
from rating.clock import clock_of, months
from rating.queues import event_order, in_stable_order, queue_of
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of

EARLY, LATE = -(2**63), 2**63 - 1
MARCH = 1_772_319_600  # 2026-03-01, 00:00 in Oslo
STARTS = st.one_of(st.integers(MARCH - 3, MARCH + 3), st.sampled_from([EARLY, -1, LATE]))


@given(st.lists(STARTS, max_size=20), st.randoms())
def test_event_order_is_that_of_start_and_key(starts: list[int], random: object) -> None:
    """Ties, garbled clocks and events that are in order already: as sorting tuples would do."""
    keys = list(range(len(starts)))
    random.shuffle(keys)  # type: ignore[attr-defined]
    call = Event(0, MARCH, 60, 1, "4790000001", 0, 0, 0)
    batch = batch_of([replace(call, key=k, start=s) for k, s in zip(keys, starts, strict=True)])
    order = event_order(batch)
    slow = sorted(range(len(starts)), key=lambda row: (starts[row], keys[row]))
    assert (list(range(len(starts))) if order is None else order.tolist()) == slow


@pytest.mark.parametrize("bits", [3, 61, 62])
def test_a_stable_order_keeps_equal_codes_in_place(bits: int) -> None:
    """Codes that leave no room for their places are ordered all the same."""
    codes = np.array([3, 1, (1 << bits) - 1, 1, 0, 3, (1 << bits) - 1, 0], np.int64)
    slow = sorted(range(len(codes)), key=lambda row: codes[row])
    ordered, order = in_stable_order(codes, bits)
    assert order.tolist() == slow
    assert ordered.tolist() == sorted(codes.tolist())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5)), min_size=1, max_size=20))
def test_pools_lie_together_in_order_of_owner_and_month(drawn: list[tuple[int, int]]) -> None:
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
    slow = sorted((e.subscription, int(month[e.key]), e.start, e.key) for e in events)
    assert queue.rows.tolist() == [key for *_, key in slow]
    pools = list(dict.fromkeys((owner, number) for owner, number, *_ in slow))
    assert list(zip(queue.owner.tolist(), queue.month.tolist(), strict=True)) == pools
    assert [pools[n] for n in queue.pool] == [(owner, number) for owner, number, *_ in slow]
    odd = queue.only(queue.rows % 2 == 1)
    assert odd.rows.tolist() == [key for *_, key in slow if key % 2]
    assert [odd.owner[n] for n in odd.pool] == [owner for owner, *_, key in slow if key % 2]
    assert odd.rows[odd.heads].tolist() == [
        odd.rows[odd.pool == n][0] for n in range(len(odd.owner))
    ]
    assert odd.rows[odd.tails].tolist() == [
        odd.rows[odd.pool == n][-1] for n in range(len(odd.owner))
    ]
