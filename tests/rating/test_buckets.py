"""Buckets: passes over columns against event by event, thousands of random pools."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from ledger.errors import Invalid
from rating.buckets import Served, serve
from rating.cases.rates import price_of
from rating.drawing import NO_CAP
from rating.pools import ALWAYS, NEVER, NOT_USED, Buckets, Demands, Inflows, order_of_use, pair
from rating.tariff_tables import Steps as StepColumns
from rating.tariff_tables import StepTables
from rating.tariff_terms import SPLIT_CARRY
from tests.rating.pool_oracle import Bucket, Steps, Want, serve_by_hand

RATES = ("v", "d", "none")
PEOPLE = ("p", "q", "r")
Pool = tuple[list[Bucket], list[Want]]


def whole(value: int) -> Fraction:
    """Write an integer as a fraction."""
    return Fraction(value)


def draw_rates(dice: random.Random) -> dict[str, Steps]:
    """Draw prices that may rise, fall or be nothing."""

    def steps() -> Steps:
        begins = sorted(dice.sample(range(1, 30), dice.randint(0, 2)))
        return [
            (whole(begin), whole(dice.choice([0, 1, 2, 5])), whole(dice.choice([0, 1, 3, 10])))
            for begin in (0, *begins)
        ]

    return {"v": steps(), "d": steps()}


def draw_pool(dice: random.Random, *, torn: bool) -> Pool:
    """Draw a pool; a torn one has orders, increments and top-ups that need the loop."""
    buckets = []
    for number in range(dice.randint(0, 4)):
        bucket = Bucket(
            f"b{number}", whole(dice.choice([-5, 0, 7, 25, 60])), dice.randint(0, 2),
            expires=dice.choice([None, 5, 9]), money=dice.random() < 0.3,
            increment=whole(dice.choice([0, 0, 1, 4, 10])),
            rates=dice.choice([None, {"v"}, {"v", "d"}, set()]),
            people=dice.choice([None, None, {"p"}, {"p", "q"}]),
            valid_from=dice.choice([None, 3]), valid_to=dice.choice([None, 7]),
        )  # fmt: skip
        if not bucket.money and dice.random() < 0.3:
            bucket.cap = whole(dice.choice([0, 5, 12]))
        if (torn or bucket.cap is None) and (torn or not bucket.money) and dice.random() < 0.4:
            ats = sorted(dice.sample(range(12), dice.randint(1, 3)))
            bucket.topups = [(at, whole(dice.randint(1, 20))) for at in ats]
        if torn:
            bucket.per_rate = {
                rate: (dice.randint(0, 2), whole(dice.choice([0, 3, 7]))) for rate in RATES
            }
            if dice.random() < 0.2:
                bucket.cap = whole(9)
        buckets.append(bucket)
    starts = sorted(dice.randint(0, 12) for _ in range(dice.randint(0, 12)))
    wants = [
        Want(whole(dice.choice([-3, 0, 1, 5, 13, 40])), dice.choice(RATES), dice.choice(PEOPLE), at)
        for at in starts
    ]
    return buckets, wants


def columns(pools: list[Pool], dtype: type = np.int64) -> tuple[Buckets, Demands, Inflows]:
    """Lay pools out in columns, events shuffled."""
    flat = [(number, b) for number, (buckets, _) in enumerate(pools) for b in buckets]
    pool = np.array([number for number, _ in flat], np.int64)
    drawn = [bucket for _, bucket in flat]
    ends = [min(x for x in (b.valid_to, b.expires, NEVER) if x is not None) for b in drawn]
    terms = [
        [b.per_rate.get(rate, (b.priority if b.per_rate else 0, b.increment)) for rate in RATES]
        for b in drawn
    ]
    may = [[b.rates is None or rate in b.rates for rate in RATES] for b in drawn]
    shape = (len(drawn), len(RATES))
    members = [
        int(pair(np.array([n]), np.array([PEOPLE.index(who)]))[0])
        for n, b in enumerate(drawn)
        for who in b.people or ()
    ]
    buckets = Buckets(
        pool=pool,
        balance=np.array([int(b.balance) for b in drawn], dtype),
        order=order_of_use(
            pool,
            np.array([0 if b.per_rate else b.priority for b in drawn], np.int64),
            np.array([NEVER if b.expires is None else b.expires for b in drawn], np.int64),
            [b.name for b in drawn],
        ),
        money=np.array([b.money for b in drawn], np.bool_),
        valid_from=np.array(
            [ALWAYS if b.valid_from is None else b.valid_from for b in drawn], np.int64
        ),
        valid_to=np.array(ends, np.int64),
        preference=np.where(
            np.array(may, np.bool_).reshape(shape),
            np.array([[p for p, _ in row] for row in terms], np.int64).reshape(shape), NOT_USED,
        ).astype(np.int32),
        increment=np.array([[int(i) for _, i in row] for row in terms], dtype).reshape(shape),
        restricted=np.array([b.people is not None for b in drawn], np.bool_),
        members=np.sort(np.array(members, np.int64)),
        cap=np.array([NO_CAP if b.cap is None else int(b.cap) for b in drawn], dtype),
    )  # fmt: skip
    events = [
        (number, want, n) for number, (_, wants) in enumerate(pools) for n, want in enumerate(wants)
    ]
    start = np.array([want.start for _, want, _ in events], np.int64)
    demands = Demands(
        pool=np.array([number for number, *_ in events], np.int64),
        start=start,
        key=np.array([n for *_, n in events], np.int64),
        at=start,
        quantity=np.array([int(want.quantity) for _, want, _ in events], dtype),
        kind=np.array([RATES.index(want.rate) for _, want, _ in events], np.int32),
        subscriber=np.array([PEOPLE.index(want.who) for _, want, _ in events], np.int64),
    )
    flows = [(n, at, int(amount)) for n, b in enumerate(drawn) for at, amount in b.topups]
    inflows = Inflows(
        np.array([n for n, *_ in flows], np.int64),
        np.array([at for _, at, _ in flows], np.int64),
        np.array([amount for *_, amount in flows], dtype),
    )
    return buckets, demands, inflows


class Prices:
    """The cost of events of a batch by the same steps that the oracle walks."""

    def __init__(self, rates: dict[str, Steps], demands: Demands) -> None:
        kind = demands.quantity.dtype
        starts, prices, increments = (np.zeros((2, width), kind) for width in (4, 3, 3))
        starts[:] = NEVER
        for row, steps in enumerate((rates["v"], rates["d"])):
            for place, (begin, unit, increment) in enumerate(steps):
                starts[row, place] = int(begin)
                prices[row, place], increments[row, place] = int(unit), int(increment)
        own = np.arange(2, dtype=np.int32)[:, None]
        steps_of_rates = StepColumns(starts, prices, increments, np.zeros(2, np.bool_))
        self.prices = StepTables(own, steps_of_rates, SPLIT_CARRY)
        self.kind = demands.kind.astype(np.int64)

    def __call__(self, rows: np.ndarray, quantity: np.ndarray) -> np.ndarray:
        """Price quantities; an event without a price cannot be paid for."""
        cost = np.where(quantity > 0, NEVER, 0).astype(quantity.dtype)
        priced = self.kind[rows] < 2
        cost[priced] = price_of(self.prices, self.kind[rows[priced]], quantity[priced])
        return cost


def rows(demands: Demands, which: np.ndarray) -> Demands:
    """Select events."""
    return Demands(*(getattr(demands, name)[which] for name in Demands.__slots__))


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("dtype", [np.int64, object])
def test_any_pools_are_served_as_by_hand(torn: bool, dtype: type) -> None:
    """Three thousand pools: what is free, and what every bucket has left."""
    looped = events = 0
    for seed in range(60):
        dice = random.Random(seed)
        rates = draw_rates(dice)
        pools = [draw_pool(dice, torn=torn) for _ in range(50)]
        buckets, demands, inflows = columns(pools, dtype)
        order = np.random.default_rng(seed).permutation(len(demands.key))
        served = serve(buckets, rows(demands, order), Prices(rates, rows(demands, order)), inflows)
        expected = [
            int(free) for b, wants in pools for free in serve_by_hand(b, wants, rates)
        ]  # fmt: skip
        got = np.zeros(len(order), dtype)
        got[order] = served.free
        assert got.tolist() == expected, seed
        late = [sum(int(a) for _, a in b.topups) for part, _ in pools for b in part]
        left = [int(b.balance) for part, _ in pools for b in part]
        assert served.balance.tolist() == [a + b for a, b in zip(left, late, strict=True)], seed
        looped, events = looped + served.looped, events + len(order)
    assert (looped > events // 4) if torn else not looped


def served_columns(served: Served) -> list[list[int]]:
    """Give what an outcome consists of, without what depends on the order of rows."""
    return [served.balance.tolist(), served.member.tolist(), served.member_drawn.tolist()]


def test_two_parts_are_one_run() -> None:
    """Balances and members' draws carried over a cut in time give what one run gives."""
    for seed in range(40):
        dice = random.Random(seed)
        rates = draw_rates(dice)
        pools = [draw_pool(dice, torn=seed % 2 == 1) for _ in range(20)]
        for part, _ in pools:
            for bucket in part:
                bucket.topups.clear()
        buckets, demands, _ = columns(pools)
        whole_run = serve(buckets, demands, Prices(rates, demands))
        early, late = np.flatnonzero(demands.start < 6), np.flatnonzero(demands.start >= 6)
        first = serve(buckets, rows(demands, early), Prices(rates, rows(demands, early)))
        carried = Buckets(
            *(
                first.balance if name == "balance" else getattr(buckets, name)
                for name in Buckets.__slots__
            )
        )
        second = serve(
            carried, rows(demands, late), Prices(rates, rows(demands, late)),
            drawn_before=(first.member, first.member_drawn),
        )  # fmt: skip
        free = np.zeros(len(demands.key), np.int64)
        free[early], free[late] = first.free, second.free
        assert free.tolist() == whole_run.free.tolist()
        assert served_columns(second) == served_columns(whole_run)


def test_takes_add_up_to_what_is_free_and_what_is_drawn() -> None:
    """The takes explain every event and every bucket."""
    dice = random.Random(7)
    rates = draw_rates(dice)
    buckets, demands, inflows = columns([draw_pool(dice, torn=False) for _ in range(200)])
    served = serve(buckets, demands, Prices(rates, demands), inflows)
    free, drawn = np.zeros_like(served.free), np.zeros_like(served.balance)
    np.add.at(free, served.row, served.covered)
    np.add.at(drawn, served.bucket, served.drawn)
    np.subtract.at(drawn, inflows.bucket, inflows.amount)
    assert free.tolist() == served.free.tolist()
    assert (buckets.balance - drawn).tolist() == served.balance.tolist()


def test_balances_beyond_64_bits_of_sums_do_not_wrap() -> None:
    """Four events of 2**60 on a balance of 2**61: two are served, exactly."""
    pool = Bucket("b", whole(2**61))
    wants = [Want(whole(2**60), start=n) for n in range(4)]
    buckets, demands, _ = columns([([pool], wants)])
    served = serve(buckets, demands)
    assert served.free.tolist() == [2**60, 2**60, 0, 0]
    topped = Bucket("b", whole(2**60), topups=[(2, whole(2**60))])
    served = serve(*columns([([topped], wants)])[:2], None, columns([([topped], wants)])[2])
    assert served.free.tolist() == [2**60, 0, 2**60, 0]


def test_floats_and_money_without_prices_are_refused() -> None:
    """A float has lost units already; nothing can be paid for without a price."""
    buckets, demands, _ = columns(
        [([Bucket("m", whole(1), money=True)], [Want(whole(1), start=0)])]
    )
    with pytest.raises(Invalid, match="prices"):
        serve(buckets, demands)
    broken = Demands(
        *(
            demands.quantity.astype(float) if name == "quantity" else getattr(demands, name)
            for name in Demands.__slots__
        )
    )
    with pytest.raises(Invalid, match="int64"):
        serve(buckets, broken)
