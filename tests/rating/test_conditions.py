"""Discounts that depend on what else a customer has, against a calendar walked day by day."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.conditions import Holdings, conditional_discounts
from rating.dated import day_number
from rating.recurring import recurring_charges
from rating.tariff import parse_tariff
from rating.tariff_terms import TariffInvalid
from tests.rating.oracle import round_half_away

TARIFF = """
format = "hovedbok-tariff/1"
name = "CONDITIONS"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
[[component]]
id = "month"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[component]]
id = "tv"
text = "TV"
revenue = "subscription"
vat = "3"
unit = "month"
[[discount]]
id = "BUNDLE"
text = "Mobil og bredbånd"
reduces = "month"
offerings = ["MOBIL"]
amount = "50.00"
with = ["BREDBAND"]
valid_from = 2026-03-05
valid_to = 2026-03-28
[[discount]]
id = "FAMILY"
text = "Familierabatt"
reduces = ["month", "tv"]
percent = "12.5"
subscriptions = 3
[[offering]]
id = "MOBIL"
name = "Mobil"
price_basis = "gross"
  [[offering.recurring]]
  component = "month"
  price = "299.00"
[[offering]]
id = "BREDBAND"
name = "Bredbånd"
price_basis = "gross"
  [[offering.recurring]]
  component = "month"
  price = "30.00"
  [[offering.recurring]]
  component = "tv"
  price = "99.00"
  proration = "none"
"""
BOOK = parse_tariff(TARIFF.encode())
MARCH = date(2026, 3, 1)


def slow(rows: list[tuple[int, int, int, int]]) -> dict[tuple[int, str, str], int]:
    """Walk through March: (row, component, discount) -> amount off."""
    days = [MARCH + timedelta(n) for n in range(31)]

    def had(account: int, day: date) -> list[str]:
        return [
            BOOK.offerings[offering] for whose, offering, begin, end in rows
            if whose == account and offering >= 0 and begin <= day_number(day) < end
        ] + ["?" for whose, offering, begin, end in rows
             if whose == account and offering < 0 and begin <= day_number(day) < end]  # fmt: skip

    found: dict[tuple[int, str, str], int] = {}
    for row, (account, offering, begin, end) in enumerate(rows):
        active = [day for day in days if begin <= day_number(day) < end]
        if offering < 0 or not active:
            continue
        for price in BOOK.tariff.offerings[offering].recurring:
            by_days = price.proration == "days"
            judged = active if by_days else active[:1]
            left = price.price_micro
            if by_days:
                left = round_half_away(Q(price.price_micro * len(active), 31))
            for terms in sorted(BOOK.tariff.discounts, key=lambda each: not each.percent_micro):
                if price.component not in terms.reduces or (
                    terms.offerings and BOOK.offerings[offering] not in terms.offerings
                ):
                    continue
                held = sum(
                    len(had(account, day)) >= terms.at_least
                    and all(name in had(account, day) for name in terms.with_offerings)
                    and (terms.valid_from is None or terms.valid_from <= day)
                    and (terms.valid_to is None or day < terms.valid_to)
                    for day in judged
                )
                if terms.percent_micro:
                    off = Q(left * terms.percent_micro * held, 10**8 * len(judged))
                else:
                    off = Q(terms.amount_micro * held, 31 if by_days else 1)
                taken = min(round_half_away(off), left)
                left -= taken
                if taken:
                    found[row, price.component, terms.id] = -taken
    return found


FIRST = day_number(MARCH)
stretches = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(-1, 1), st.integers(FIRST - 10, FIRST + 35),
        st.integers(FIRST - 5, FIRST + 60),
    ), max_size=10,
)  # fmt: skip


@settings(deadline=None)
@given(stretches, st.randoms())
def test_discounts_agree_with_a_calendar(
    rows: list[tuple[int, int, int, int]], random: object
) -> None:
    """Any holdings, any order of them; days, percentages, fixed amounts, first-day prices."""
    random.shuffle(rows)  # type: ignore[attr-defined]
    account, offering, begin, end = np.array(rows, np.int64).reshape(-1, 4).T.copy()
    codes = offering.astype(np.int32)
    charges = recurring_charges(BOOK, "2026-03", codes, begin, end)
    got = conditional_discounts(
        BOOK, "2026-03", charges, Holdings(account + 10**12, codes, begin, end)
    )
    table = {
        (row, BOOK.components[component], BOOK.tariff.discounts[discount].id): amount
        for row, component, discount, amount in zip(
            got.source.tolist(), got.component.tolist(), got.discount.tolist(),
            got.amount_micro.tolist(), strict=True,
        )
    }  # fmt: skip
    assert len(table) == len(got.source)
    assert table == slow(rows)


def test_a_family_of_three_has_an_eighth_off_from_the_day_it_is_three() -> None:
    """The third comes on the 17th: 15 of 31 days of an eighth, off each of them."""
    rows = [(1, 0, FIRST, FIRST + 31), (1, 0, FIRST, FIRST + 31), (1, 0, FIRST + 16, FIRST + 31)]
    account, offering, begin, end = np.array(rows, np.int64).T.copy()
    codes = offering.astype(np.int32)
    charges = recurring_charges(BOOK, "2026-03", codes, begin, end)
    got = conditional_discounts(BOOK, "2026-03", charges, Holdings(account, codes, begin, end))
    eighth = round_half_away(Q(299_000_000 * 15, 8 * 31))
    assert got.amount_micro.tolist() == [-eighth, -eighth, -eighth]
    assert got.days.tolist() == [15, 15, 15]


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ('percent = "12.5"', "", "discount[2].percent: needs a percentage, or in its place"),
        ('percent = "12.5"', 'percent = "1"\namount = "1"', "discount[2].percent: needs a percent"),
        ("subscriptions = 3", "", "discount[2].subscriptions: needs a condition"),
        ('with = ["BREDBAND"]', 'with = ["FIBER"]', "with: there is no offering 'FIBER'"),
        ('offerings = ["MOBIL"]', 'offerings = ["X"]', "offerings: there is no offering 'X'"),
        ('reduces = "month"', 'reduces = "mnd"', "reduces: there is no component 'mnd'"),
        ('id = "FAMILY"', 'id = "BUNDLE"', "discount[2].id: BUNDLE is given twice"),
    ],
)
def test_a_discount_that_says_too_little_is_a_fault(wrong: str, right: str, told: str) -> None:
    """With its key path."""
    assert wrong in TARIFF
    with pytest.raises(TariffInvalid) as refused:
        parse_tariff(TARIFF.replace(wrong, right, 1).encode())
    assert told in str(refused.value)
