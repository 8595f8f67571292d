"""Codes of charges that are no events: against the columns that make them, and as sentences."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.flat_codes import (
    NUMBERS,
    FlatCode,
    binding_code,
    discount_code,
    fair_use_code,
    frame_code,
    month_code,
    once_code,
    pool_codes,
    say_flat,
    surcharge,
)
from rating.frames import Frame, FrameTerm, frame_discounts, frame_percents
from rating.iot import PoolTerms, pool_month
from rating.phrases import PHRASES
from rating.rounding import share_of
from rating.tariff_terms import ConditionalDiscount

BOOK: Any = SimpleNamespace(label="NORDLYS/2")
MONEY = st.integers(0, 10**12)


@given(MONEY, st.integers(0, 31), st.integers(28, 31), st.integers(1, 10**8))
def test_codes_come_to_what_the_columns_do(amount: int, days: int, of: int, percent: int) -> None:
    """Days of a month and of a term, percentages of frames, and what lies beyond fair use."""
    column = np.array([amount], np.int64)
    for made in (month_code, binding_code):
        assert [made(BOOK, amount, days, of).amount_micro] == share_of(column, days, of).tolist()
    frames = (Frame("A", None, (FrameTerm("month", percent, date(2026, 1, 1)),)),)
    percents = frame_percents(frames, ("month",), date(2026, 3, 1))
    none = np.zeros(1, np.int64)
    for sign in (1, -1):
        off = frame_discounts(sign * column, none, none, percents).tolist()
        assert [-frame_code(BOOK, percent, sign * amount).amount_micro] == off
    assert [surcharge(amount, percent, 2**30)] == share_of(column, percent, 2**30).tolist()


@given(
    st.integers(0, 500),
    st.integers(0, 10**9),
    st.integers(1, 64),
    st.integers(1, 512),
    st.lists(st.integers(0, 5000), min_size=1, max_size=9),
)
def test_the_parts_of_a_pool_are_those_that_are_charged(
    included: int, price: int, per: int, step: int, octets: list[int]
) -> None:
    """Any terms and cards: totals and largest remainders agree."""
    terms = PoolTerms(included, price, per, step, 1, 0)
    card = np.arange(len(octets))
    cards, _ = pool_month(terms, card, np.zeros(len(octets), np.int64), card, np.array(octets))
    codes = pool_codes(BOOK, terms, cards.counted.tolist(), [included] * len(octets))
    assert [code.amount_micro for code in codes] == cards.amount_micro.tolist()


def test_a_discount_never_takes_more_than_is_left() -> None:
    """An amount above the price takes the price."""
    terms = ConditionalDiscount("A", "Rabatt", ("month",), amount_micro=50_000_000, at_least=1)
    assert discount_code(BOOK, terms, 20_000_000, 31, 31).amount_micro == -20_000_000
    assert discount_code(BOOK, terms, 60_000_000, 15, 30).amount_micro == -25_000_000


POOLED = pool_codes(BOOK, PoolTerms(1000, 2_000_000, 1000, 1000, 1, 0), [5050, 50], [1000] * 2)
SAID = [
    (month_code(BOOK, 299_000_000, 31, 31), "299.00 a month, 31 of 31 days: 299.00"),
    (month_code(BOOK, 299_000_000, 1, 1), "299.00 for the month"),
    (once_code(BOOK, 99_000_000), "99.00 once"),
    (binding_code(BOOK, 2_400_000_000, 146, 365), "146 of 365 days are left: 960.00"),
    (frame_code(BOOK, 12_500_000, 80_000_000), "12.5 % of 80.00: -10.00"),
    (fair_use_code(BOOK, 7, 2, 1_500_000), "7 B beyond fair use in 2 sessions"),
    (POOLED[1], "2 cards bring 2000 B and used 5100 B; 4000 B beyond at 2.00 per 1000 B are 8.00"),
]


@pytest.mark.parametrize(("code", "told"), SAID)
def test_a_code_is_a_sentence_in_both_languages(code: FlatCode, told: str) -> None:
    """Amount, numbers and the version of the tariff."""
    english, norwegian = (say_flat(code, "Tekst", language) for language in ("en", "nb"))
    assert told in english
    assert english.endswith(", by NORDLYS/2.")
    assert norwegian.endswith(", etter NORDLYS/2.")
    assert english != norwegian


def test_every_kind_has_its_sentences() -> None:
    """No code can be stored that nobody can read."""
    for phrases in PHRASES.values():
        assert set(NUMBERS) <= set(phrases)
