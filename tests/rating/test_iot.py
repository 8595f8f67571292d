"""Pools of machines against a loop over sessions: counts per card, one price per pool, no rest."""

from __future__ import annotations

from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.money import largest_remainder
from rating.iot import PoolTerms, counted_octets, pool_month
from tests.rating.oracle import round_half_away

terms_of = st.builds(
    PoolTerms, st.integers(0, 5000), st.integers(0, 10**9), st.integers(1, 2**20),
    st.integers(1, 1000), st.integers(1, 64), st.integers(0, 100),
)  # fmt: skip


@st.composite
def months(draw: st.DrawFn) -> tuple[dict[int, int], list[tuple[int, int]]]:
    """Cards with their pools, and sessions of them."""
    cards = draw(st.dictionaries(st.integers(0, 10**15), st.integers(0, 3), max_size=8))
    whose = st.sampled_from(sorted(cards)) if cards else st.nothing()
    sessions = st.lists(st.tuples(whose, st.integers(0, 3000)), max_size=40 if cards else 0)
    return cards, draw(sessions)


@settings(deadline=None)
@given(months(), terms_of, st.randoms())
def test_pools_agree_with_a_loop(
    month: tuple[dict[int, int], list[tuple[int, int]]], terms: PoolTerms, random: object
) -> None:
    """Any order of cards and sessions; the cards' parts are what their pool owes."""
    cards, sessions = month
    listed = sorted(cards)
    random.shuffle(listed)  # type: ignore[attr-defined]
    random.shuffle(sessions)  # type: ignore[attr-defined]
    told, pools = pool_month(
        terms, np.array(listed, np.int64), np.array([cards[card] for card in listed], np.int64),
        np.array([card for card, _ in sessions], np.int64),
        np.array([octets for _, octets in sessions], np.int64),
    )  # fmt: skip
    assert told.card.tolist() == sorted(cards)
    assert pools.pool.tolist() == sorted(set(cards.values()))
    for row, card in enumerate(told.card.tolist()):
        mine = [octets for whose, octets in sessions if whose == card]
        counted = [max(-(-n // terms.increment) * terms.increment, terms.minimum) for n in mine]
        assert (told.sessions[row], told.octets[row], told.counted[row]) == (
            len(mine), sum(mine), sum(counted)
        )  # fmt: skip
        assert pools.pool[told.pool[row]] == cards[card]
    for row, pool in enumerate(pools.pool.tolist()):
        members = np.flatnonzero(told.pool == row)
        used = int(told.counted[members].sum())
        beyond = max(used - terms.included * len(members), 0)
        beyond = -(-beyond // terms.step) * terms.step
        amount = round_half_away(Q(beyond * terms.price_micro, terms.per))
        assert (pools.used[row], pools.overage[row], pools.amount_micro[row]) == (
            used, beyond, amount
        )  # fmt: skip
        assert pools.cards[row] == len(members) == list(cards.values()).count(pool)
        if amount:
            parts = largest_remainder(amount, told.counted[members].tolist())
            assert told.amount_micro[members].tolist() == parts
        else:
            assert not told.amount_micro[members].any()


@pytest.mark.parametrize(
    ("card", "session_card", "octets", "told"),
    [
        ([1, 1], [1], [5], "listed twice"),
        ([1, 2], [3], [5], "belongs to no card"),
        ([], [3], [5], "belongs to no card"),
        ([1, 2], [1], [-5], "-5 octets cannot be"),
    ],
)
def test_what_cannot_be_is_refused(
    card: list[int], session_card: list[int], octets: list[int], told: str
) -> None:
    """A session that nobody pays for would be lost in a sum."""
    with pytest.raises(Invalid, match=told):
        pool_month(
            PoolTerms(10, 10), np.array(card, np.int64), np.zeros(len(card), np.int64),
            np.array(session_card, np.int64), np.array(octets, np.int64),
        )  # fmt: skip


def test_a_million_tiny_sessions_of_one_pool_come_to_what_they_are() -> None:
    """Each counts a kilobyte at least; 20,000 cards bring 4 MB each, the rest is one price."""
    dice = np.random.Generator(np.random.PCG64(20260301))
    card = np.arange(20_000) * 7 + 89_470_000
    whose = dice.choice(card, 1_000_000)
    octets = dice.integers(1, 200_000, 1_000_000)
    terms = PoolTerms(4 * 10**6, 90_000, per=2**20, step=2**20, increment=1024)
    told, pools = pool_month(terms, card, np.zeros(len(card), np.int64), whose, octets)
    counted = (-(-octets // 1024) * 1024).tolist()
    assert int(told.sessions.sum()) == 1_000_000
    assert int(told.octets.sum()) == sum(octets.tolist())
    assert int(pools.used[0]) == sum(counted)
    beyond = -(-(sum(counted) - 20_000 * 4 * 10**6) // 2**20)
    assert int(pools.amount_micro[0]) == beyond * 90_000 > 0
    assert int(told.amount_micro.sum()) == int(pools.amount_micro[0])


@given(months(), st.lists(st.tuples(st.integers(0, 5000), terms_of), min_size=1, max_size=4))
def test_plans_of_one_pool_bring_and_count_by_themselves(
    month: tuple[dict[int, int], list[tuple[int, int]]], plans: list[tuple[int, PoolTerms]]
) -> None:
    """What each card brings is its own plan's, and so is what its sessions count."""
    cards, sessions = month
    listed = sorted(cards, reverse=True)
    plan = {card: plans[card % len(plans)] for card in cards}
    octets = np.array([octets for _, octets in sessions], np.int64)
    counted = [
        int(counted_octets(plan[card][1], np.array([n]))[0]) for card, n in sessions
    ]  # fmt: skip
    told, pools = pool_month(
        plans[0][1], np.array(listed, np.int64),
        np.array([cards[card] for card in listed], np.int64),
        np.array([card for card, _ in sessions], np.int64), octets,
        np.array([plan[card][0] for card in listed], np.int64), np.array(counted, np.int64),
    )  # fmt: skip
    for row, pool in enumerate(pools.pool.tolist()):
        mine = [card for card in cards if cards[card] == pool]
        assert pools.included[row] == sum(plan[card][0] for card in mine)
        used = sum(n for (card, _), n in zip(sessions, counted, strict=True) if card in mine)
        assert pools.used[row] == used
        beyond = -(-max(used - int(pools.included[row]), 0) // plans[0][1].step) * plans[0][1].step
        assert pools.overage[row] == beyond
    assert told.amount_micro.sum() == pools.amount_micro.sum()
