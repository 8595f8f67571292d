"""What rolls over and what is bought: the columns against a loop, and what the terms refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from rating import parse_tariff
from rating.allowance_terms import BOUGHT, name_at
from rating.allowances import Counters
from rating.clock import month_number
from rating.explain import explain_event
from rating.pipeline import rate
from rating.rollover import Remainder, remainder_of
from rating.tariff import TariffBook
from rating.tariff_terms import TariffInvalid
from rating.top_ups import TopUps
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of

MARCH = month_number("2026-03")
NOON = int(datetime(2026, 3, 10, 12, tzinfo=ZoneInfo("Europe/Oslo")).timestamp())


def book(**terms: object) -> TariffBook:
    """Give the small tariff, with terms for its allowance and an add-on for it."""
    said = "".join(f"  {key} = {value}\n" for key, value in terms.items())
    top_up = '[[offering]]\nid = "MORE"\nname = "Mer"\nprice_basis = "gross"\n'
    top_up += '  [[offering.top_up]]\n  allowance = "one-gb"\n  quantity = 500\n'
    included = "  quantity = 1000\n"
    return parse_tariff((SMALL.replace(included, included + said) + top_up).encode())


def surf(key: int, at: int, quantity: int, subscription: int = 0) -> Event:
    """A session of data so many seconds after noon."""
    return Event(key, NOON + at, quantity, 3, "", 100, subscription, 0)


@dataclass
class Pot:
    """A balance of the loop: what it holds, or what it will from some instants on."""

    holds: int
    coming: list[tuple[int, int]]

    def take(self, at: int, wanted: int, step: int) -> int:
        """Give whole steps of what is there at an instant."""
        self.holds += sum(more for since, more in self.coming if since <= at)
        self.coming = [(since, more) for since, more in self.coming if since > at]
        drawn = min(-(-wanted // step), self.holds // step) * step
        self.holds -= drawn
        return min(drawn, wanted)


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 900), st.integers(0, 2)), max_size=12),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 600), st.integers(0, 2)), max_size=6),
    st.sampled_from([0, 1, 7, 50]),
    st.sampled_from([("100", 100), ("50", 50), ("33.5", 33.5)]),
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(0, 900)),
)
def test_a_month_with_what_rolled_over_and_was_bought_is_what_a_loop_gives(
    data: st.DataObject, used: list[tuple[int, int, int]], orders: list[tuple[int, int, int]],
    increment: int, percent: tuple[str, float], months: int, most: int | None,
) -> None:  # fmt: skip
    """Any sessions, top-ups and remainders of three people; and what they leave to April."""
    first = data.draw(st.booleans())
    terms: dict[str, object] = {
        "increment": increment, "rollover": f'"{percent[0]}"', "rollover_months": months,
        "rollover_first": str(first).lower(),
    }  # fmt: skip
    if most is not None:
        terms["rollover_most"] = most
    tariff, step = book(**terms), max(increment, 1)
    rolled = {
        (who, age): data.draw(st.integers(0, 700)) for who in range(3)
        for age in range(1, months + 1)
    }  # fmt: skip
    pots = {
        who: {
            0: Pot(1000, []),
            BOUGHT: Pot(0, [(at, more) for at, more, owner in orders if owner == who]),
            **{age: Pot(rolled[who, age], []) for age in range(1, months + 1)},
        }
        for who in range(3)
    }
    ages = list(range(months, 0, -1))
    in_order = [*ages, 0, BOUGHT] if first else [0, BOUGHT, *ages]
    drawn = [surf(n, at, quantity, who) for n, (at, quantity, who) in enumerate(used)]
    expected = {}
    for event in sorted(drawn, key=lambda e: (e.start, e.key)):
        left = event.quantity
        for age in in_order:
            left -= pots[event.subscription][age].take(event.start - NOON, left, step)
        expected[event.key] = event.quantity - left
    places = {name: n for n, name in enumerate(tariff.allowances)}
    grants = [(who, places["one-gb"], 1000) for who in range(3)]
    grants += [(who, places[name_at("one-gb", age)], held) for (who, age), held in rolled.items()]
    owner, index, quantity = (np.array(column) for column in zip(*grants, strict=True))
    counters = Counters.grants(
        owner.astype(np.int32), index.astype(np.int32), np.full(len(owner), MARCH, np.int32),
        quantity,
    )  # fmt: skip
    bought = _top_ups(tariff, orders)
    rated = rate(batch_of(drawn), tariff, counters, top_ups=bought)
    assert dict(zip([e.key for e in drawn], rated.free_quantity.tolist(), strict=True)) == expected
    found = remainder_of(rated.counters, tariff, MARCH, bought)
    assert _rows(found) == _left(pots, percent[1], months, most)


def _top_ups(tariff: TariffBook, orders: list[tuple[int, int, int]]) -> TopUps:
    count = len(orders)
    return TopUps(
        np.array([who for _, _, who in orders], np.int32),
        np.full(count, tariff.allowances.index("one-gb/top-up"), np.int32),
        np.full(count, MARCH, np.int32),
        np.array([NOON + at for at, _, _ in orders], np.int64),
        np.array([more for _, more, _ in orders], np.int64),
    )


def _left(
    pots: dict[int, dict[int, Pot]], percent: float, months: int, most: int | None
) -> list[tuple[int, int, int]]:
    """Say by hand what each leaves: the month's own and what was bought, and the older rests."""
    rows = []
    for who, mine in pots.items():
        bought = mine[BOUGHT].holds + sum(more for _, more in mine[BOUGHT].coming)
        kept = int((mine[0].holds + bought) * int(percent * 10) // 1000)
        rows.append((who, 1, kept if most is None else min(kept, most)))
        rows += [(who, age + 1, mine[age].holds) for age in range(1, months)]
    return sorted(row for row in rows if row[2])


def _rows(left: Remainder) -> list[tuple[int, int, int]]:
    return sorted(
        zip(left.owner.tolist(), left.age.tolist(), left.quantity.tolist(), strict=True)
    )  # fmt: skip


def test_what_is_bought_serves_from_its_instant() -> None:
    """Sessions before the order pay; one at the very second of the order is covered."""
    tariff = book()
    drawn = [surf(1, 0, 1200), surf(2, 9, 100), surf(3, 10, 100), surf(4, 11, 500)]
    rated = rate(batch_of(drawn), tariff, top_ups=_top_ups(tariff, [(10, 500, 0)]))
    assert rated.free_quantity.tolist() == [1000, 0, 100, 400]


def test_an_explanation_says_what_rolled_over_and_what_was_bought() -> None:
    """A session over all three is told part by part, in both languages."""
    tariff = book(rollover='"100"', rollover_first="true", rollover_months=2)
    places = [tariff.allowances.index(name) for name in
              ("one-gb", "one-gb/rollover-1", "one-gb/rollover-2")]  # fmt: skip
    counters = Counters.grants(
        np.zeros(3, np.int32), np.array(places, np.int32), np.full(3, MARCH, np.int32),
        np.array([1000, 30, 20]),
    )  # fmt: skip
    batch = batch_of([surf(1, 10, 1500)])
    rated = rate(batch, tariff, counters, top_ups=_top_ups(tariff, [(0, 500, 0)]))
    told = [explain_event(batch, rated, tariff, 0, language).sentences for language in ("nb", "en")]
    assert (
        "1500 B er inkludert i one-gb overført fra 2 måneder siden (20 B), one-gb overført fra "
        "forrige måned (30 B), one-gb (1000 B), påfyll av one-gb (450 B); ingenting å betale."
    ) in told[0]
    assert any("carried over from the month before (30 B)" in line for line in told[1])
    assert any("a top-up of one-gb (450 B)" in line for line in told[1])


def test_a_top_up_cannot_take_away() -> None:
    """A negative quantity is no top-up."""
    tariff = book()
    with pytest.raises(Invalid, match="less than nothing"):
        rate(batch_of([surf(1, 0, 2000)]), tariff, top_ups=_top_ups(tariff, [(0, -1, 0)]))


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('allowance = "one-gb"', 'allowance = "on-gb"', "there is no allowance 'on-gb'"),
        ("  quantity = 1000", '  amount = "99"', "one-gb is money; a top-up adds"),
        ("  quantity = 1000", '  amount = "99"\n  rollover_most = 5', "counts units; money rolls"),
        ("  quantity = 1000", '  quantity = 1\n  shared = true\n  member_cap = 1\n  rollover = "1"',
         "what is capped per member does not roll over"),
        ("  quantity = 1000", '  quantity = 1000\n  rollover = "101"', "from 0 to 100"),
        ("  quantity = 1000", "  quantity = 1000\n  rollover_months = 13",
         "rollover_months: needs"),
        ("  [[offering.rate]]", ('  [[offering.allowance]]\n  id = "one-gb/rollover-1"\n'
         '  component = "surf"\n  quantity = 1\n  [[offering.rate]]'), "choose another"),
    ],
)  # fmt: skip
def test_terms_that_contradict_each_other_are_refused(good: str, bad: str, told: str) -> None:
    """Each with its place in the file."""
    top_up = '[[offering]]\nid = "MORE"\nname = "Mer"\nprice_basis = "gross"\n'
    top_up += '  [[offering.top_up]]\n  allowance = "one-gb"\n  quantity = 500\n'
    source = SMALL.replace("  quantity = 1000\n", '  quantity = 1000\n  rollover = "100"\n')
    source = (SMALL if "quantity = 1000" in good else source) + top_up
    assert good in source
    with pytest.raises(TariffInvalid) as refusal:
        parse_tariff(source.replace(good, bad, 1).encode())
    assert told in str(refusal.value)
