"""What is read from the table of steps against what is walked through piece by piece."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import codes, rate
from rating.codes import codes_of
from rating.pieces import NO_PLAN, Sessions, walk
from rating.straight import StraightRows, price_straight, straight_rows
from rating.tariff import compile_tariff
from rating.tariff_tables import NEVER, Steps, StepTables
from rating.tariff_terms import NO_PRICE, SPLIT, SPLIT_CARRY, Tariff
from tests.rating.oracle import Event
from tests.rating.tariffs import batch_of, double_grants, events, many_events, tariffs

ROWS = st.lists(
    st.lists(
        st.tuples(st.integers(1, 90), st.sampled_from([NO_PRICE, 0, 1, 250_000]),
                  st.sampled_from([0, 1, 6, 30])),
        min_size=1, max_size=3,
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def steps_of(rows: list[list[tuple[int, int, int]]], *, whole: bool = False) -> Steps:
    """Lay rows of (length, price, increment) out as the tariff compiler does; the last is open."""
    width = max(len(row) for row in rows)
    starts = np.full((len(rows), width + 1), NEVER, np.int64)
    prices = np.full((len(rows), width), NO_PRICE, np.int64)
    increments = np.zeros((len(rows), width), np.int64)
    for number, row in enumerate(rows):
        starts[number, : len(row)] = np.cumsum([0, *(length for length, *_ in row[:-1])])
        prices[number, : len(row)] = [price for _, price, _ in row]
        increments[number, : len(row)] = [increment for *_, increment in row]
    return Steps(starts, prices, increments, np.full(len(rows), whole))


@given(ROWS, st.integers(1, 400), st.sampled_from([SPLIT_CARRY, SPLIT]))
def test_the_table_gives_what_the_walk_does(
    rows: list[list[tuple[int, int, int]]], quantity: int, split: str
) -> None:
    """Every straight row, any quantity: the same units x price, in as many pieces."""
    steps = steps_of(rows)
    table = straight_rows(steps)
    every = np.arange(len(rows))
    wanted = np.full(len(rows), quantity, np.int64)
    numerator, step = price_straight(table, every, wanted)
    tables = StepTables(every.astype(np.int32)[:, None], steps, split)
    sessions = Sessions(
        every.astype(np.int32), np.zeros(len(rows), np.int64), wanted, np.ones(len(rows), np.bool_)
    )
    cost, pieces = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for part in walk(tables, NO_PLAN, sessions, every):
        cost[part.event] += part.billed * part.price
        pieces[part.event] += 1
    straight = table.straight
    assert numerator[straight].tolist() == cost[straight].tolist()
    assert np.broadcast_to(step + 1, len(rows))[straight].tolist() == pieces[straight].tolist()


@pytest.mark.parametrize(
    ("row", "is_straight"),
    [
        ([(0, 5, 60)], True),  # one step, any increment
        ([(60, 5, 60), (0, 4, 1)], True),
        ([(90, 5, 60), (0, 4, 1)], False),  # the second minute reaches into the next step
        ([(60, 5, 60), (0, NO_PRICE, 0)], False),  # nothing is sold beyond a minute
        ([(2**50, 2**20, 1), (0, 4, 1)], False),  # the first step costs more than a sum can hold
    ],
)
def test_a_row_is_straight_where_nothing_paid_reaches_on(
    row: list[tuple[int, int, int]], is_straight: bool
) -> None:
    """And where what it costs fits; a price by the last step is never straight."""
    assert straight_rows(steps_of([row])).straight.tolist() == [is_straight]
    assert straight_rows(steps_of([row], whole=True)).straight.tolist() == [False]


def explain_both_ways(tariff: Tariff, drawn: list[Event], pools: int) -> None:
    """Explain events with and without the table: every code is the same."""
    book = compile_tariff(tariff)
    batch = batch_of(drawn)
    rated = rate(batch, book, double_grants(book, pools))
    fast = codes_of(batch, rated, book)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "straight_rows", _never_straight)
        slow = codes_of(batch, rated, book)
    for column in fields(codes.Codes):
        one, other = getattr(fast, column.name), getattr(slow, column.name)
        assert one.tolist() == other.tolist(), column.name


def _never_straight(steps: Steps) -> StraightRows:
    table = straight_rows(steps)
    return replace(table, straight=np.zeros_like(table.straight))


@settings(max_examples=60, deadline=None)
@given(tariffs(), events(30))
def test_explanations_are_the_same_with_and_without_the_table(
    tariff: Tariff, drawn: list[Event]
) -> None:
    """Bands, steps, refunds, continuations, roundings, limits: every code of every event."""
    explain_both_ways(tariff, drawn, 2)


@settings(max_examples=5, deadline=None)
@given(tariffs(), st.integers(0, 2**32))
def test_a_crowd_is_explained_the_same_with_and_without_the_table(
    tariff: Tariff, seed: int
) -> None:
    """Where no session goes on from another, most is read from the table, and nothing differs."""
    crowd = [replace(e, elapsed=0, continues=False) for e in many_events(seed, 600)]
    plain = replace(
        tariff,
        offerings=tuple(
            replace(
                offering, rates=tuple(replace(r, steps=(), whole_step=False, until=0)
                                      for r in offering.rates)
            )
            for offering in tariff.offerings
        ),
    )  # fmt: skip
    for one in (tariff, plain):
        explain_both_ways(one, crowd, 15)
