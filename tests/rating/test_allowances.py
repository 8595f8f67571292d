"""Allowances: the columns against a loop, the wide path, and what counters refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from rating import drawing
from rating.allowances import Counters
from rating.drawing import first_come, in_increments, in_turn

POOLS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 100), st.sampled_from([0, 2**60, 10**15])),
        st.lists(st.one_of(st.integers(0, 50), st.integers(0, 2**60)), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)


@given(POOLS)
def test_the_running_sum_serves_as_a_loop_does(pools: list[tuple[int, list[int]]]) -> None:
    """Any balances, any wishes; sums beyond 64 bits included."""
    expected = []
    for balance, wishes in pools:
        left = balance
        for wish in wishes:
            expected.append(min(wish, left))
            left -= expected[-1]
    wanted = np.array([wish for _, wishes in pools for wish in wishes], np.int64)
    balance = np.array([balance for balance, _ in pools], np.int64)
    pool = np.repeat(np.arange(len(pools)), [len(wishes) for _, wishes in pools])
    assert first_come(wanted, balance, pool).tolist() == expected


@given(
    st.lists(st.one_of(st.integers(0, 200), st.sampled_from([0, 2**60])), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.one_of(st.integers(0, 90), st.just(2**60))),
             max_size=40),
    st.lists(st.sampled_from([0, 1, 7, 60]), min_size=4, max_size=4),
    st.integers(1, 9),
)  # fmt: skip
def test_buckets_that_mix_are_drawn_on_as_if_each_stood_alone(
    balances: list[int], wishes: list[tuple[int, int]], increments: list[int], stretch: int
) -> None:
    """In stretches of any length, with and without increments, beyond 64 bits: as put together."""
    balance = np.array(balances, np.int64)
    increment = np.array(increments[: len(balance)], np.int64)
    bucket = np.array([owner % len(balance) for owner, _ in wishes], np.int64)
    wanted = np.array([wish for _, wish in wishes], np.int64)
    order = np.argsort(bucket, kind="stable")
    slow, drawn = in_increments(wanted[order], balance, increment, bucket[order])
    lost = [int(drawn[bucket[order] == number].sum()) for number in range(len(balance))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "STRETCH", stretch)
        covered = wanted.copy()
        gone = in_turn(covered, balance, increment, bucket)
    assert covered[order].tolist() == slow.tolist()
    assert gone.tolist() == lost
    assert balance.tolist() == balances


def test_grants_are_refused_twice_or_below_zero() -> None:
    """A pool has one grant, and it is not a debt."""
    twice = np.array([1, 1], np.int32)
    with pytest.raises(Invalid, match="granted twice"):
        Counters.grants(twice, twice, twice, np.array([1, 2]))
    one = twice[:1]
    with pytest.raises(Invalid, match="less than nothing"):
        Counters.grants(one, one, one, np.array([-1]))
