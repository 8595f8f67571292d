"""Tariffs and events for tests: one small tariff to read, and random ones to be surprised by."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from rating.allowances import Counters
from rating.tariff import TariffBook
from rating.tariff_terms import (
    Allowance,
    Band,
    Component,
    Offering,
    OneOff,
    Rate,
    Recurring,
    Step,
    Tariff,
    Zone,
)
from rating.usage import UsageBatch, check_usage
from rating.zones import encode_numbers
from tests.rating.oracle import Event

GB = 2**30
WORKDAYS = (1, 2, 3, 4, 5)
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)

SMALL = """
format = "hovedbok-tariff/1"
name = "SMALL"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"

[[zone]]
id = "HOME"
prefixes = ["47"]
[[zone]]
id = "DEAR"
prefixes = ["47829", "4782900"]
[[zone]]
id = "DATA"
rating_groups = [100, 200]

[[band]]
id = "night"
from = "00:00"
[[band]]
id = "day"
from = "08:00"
weekdays = [1, 2, 3, 4, 5]
[[band]]
id = "night"
from = "17:00"
weekdays = [1, 2, 3, 4, 5]

[[component]]
id = "month"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[component]]
id = "start"
text = "Etablering"
revenue = "subscription"
vat = "3"
unit = "piece"
[[component]]
id = "voice"
text = "Samtaler"
revenue = "voice"
vat = "3"
unit = "s"
[[component]]
id = "sms"
text = "Meldinger"
revenue = "sms"
vat = "3"
unit = "message"
[[component]]
id = "surf"
text = "Mobildata"
revenue = "data"
vat = "3"
unit = "octet"

[[offering]]
id = "ONE"
name = "En"
price_basis = "gross"
  [[offering.recurring]]
  component = "month"
  price = "299.00"
  [[offering.one_off]]
  on = "add"
  component = "start"
  price = "99.00"
  [[offering.allowance]]
  id = "one-gb"
  component = "surf"
  quantity = 1000
  [[offering.rate]]
  usage = "voice"
  zone = "HOME"
  band = "day"
  component = "voice"
  setup_fee = "0.69"
  price = "0.90"
  per = 60
  increment = 60
  [[offering.rate]]
  usage = "voice"
  zone = "HOME"
  band = "night"
  component = "voice"
  setup_fee = "0.49"
  price = "0.60"
  per = 60
  increment = 1
  [[offering.rate]]
  usage = "voice"
  zone = "DEAR"
  component = "voice"
  price = "19.90"
  per = 60
  minimum = "5.00"
  [[offering.rate]]
  usage = "sms"
  zone = "HOME"
  component = "sms"
  price = "1.29"
  [[offering.rate]]
  usage = "data"
  zone = "DATA"
  component = "surf"
  setup_fee = "0.10"
  price = "0.50"
  per = 100
  increment = 0
"""

PREFIXES = ("", "4", "47", "478", "4782", "47829", "478290", "4782900", "0", "0112", "46", "9")
_BANDS = ("a", "b", "c")
_ZONES = ("X", "Y", "Z")
_T = TypeVar("_T")


# Strategies are made once: to make and check one anew for each of the hundreds of draws of a tariff
# takes as long as everything that is then done with the tariff.
_EITHER = st.booleans()
_PERS = ((1, 1), (60, 60), (60, 7), (1024, 1000))
_PRICES = st.tuples(
    st.sampled_from([0, 690_000, 1]),
    st.one_of(st.just(0), st.integers(0, 10**7), st.sampled_from([10**15, 333_333])),
)
_SECONDS = st.one_of(st.sampled_from([0, 120, 150, 480, 1020]), st.integers(0, 1439))


@lru_cache(None, typed=True)
def _any(*values: _T) -> st.SearchStrategy[_T]:
    return st.sampled_from(values)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """Draw a tariff: few zones and bands, but every feature of the format."""
    groups = draw(st.permutations([100, 200, 900]))
    owner = {prefix: draw(_any(*_ZONES)) for prefix in PREFIXES if draw(_EITHER)}
    zones = tuple(
        Zone(name, tuple(p for p in PREFIXES if owner.get(p) == name), (groups[n],) * (n < 2))
        for n, name in enumerate(_ZONES)
    )
    components = tuple(
        Component(f"{usage}-{name}", name, usage, "3", unit)
        for usage, unit in (("voice", "s"), ("sms", "message"), ("data", "octet"))
        for name in ("p", "q")
    )
    offerings = tuple(draw(_offerings(number, components)) for number in range(2))
    return Tariff(
        "RANDOM", 1, date(2026, 1, 1), "NOK", "Europe/Oslo",
        zones, draw(_bands()), components, offerings,
        holidays=draw(_any((), (date(2026, 3, 29), date(2026, 1, 1)))),
        band_split=draw(_any("split_carry", "split_carry", "split", "start_band")),
        refunds=draw(_EITHER),
    )  # fmt: skip


@st.composite
def _bands(draw: st.DrawFn) -> tuple[Band, ...]:
    bands: dict[tuple[int, int], Band] = {}
    for name in (*_BANDS, "a"):
        second = 60 * draw(_SECONDS)
        days = draw(_any(EVERY_DAY, WORKDAYS, (6, 7), (7, 8), (1, 3)))
        priority = draw(_any(0, 0, 0, 5))
        months, month_days = draw(_any(*[((), ())] * 3, ((1, 3), ()), ((), (1, 29))))
        bands[second, priority] = Band(name, second, days, priority, months, month_days)
    return tuple(bands.values())


@st.composite
def _offerings(draw: st.DrawFn, number: int, components: tuple[Component, ...]) -> Offering:
    rates = []
    for usage in ("voice", "sms", "data"):
        for zone in _ZONES:
            component = f"{usage}-{draw(_any('p', 'q'))}"
            pers = draw(_any(*_PERS))
            shape = draw(_any((), (None,), ("a", "b", "c"), ("a", None), ("b", "c")))
            rates += [
                Rate(
                    usage, zone, band, component, *draw(_PRICES),
                    per=draw(_any(*pers)),
                    increment=draw(_any(0, 1, 6, 30, 60, 100)),
                    minimum_micro=draw(_any(0, 0, 5_000_000)),
                    **draw(_EXTRAS[pers]),
                )
                for band in shape
            ]  # fmt: skip
    allowances = tuple(
        draw(_allowances(f"{number}-{n}", [c.id for c in components]))
        for n in range(draw(st.integers(0, 3)))
    )
    if any(rate.whole_step for rate in rates):  # Such a price may fall: no part of it is paid for.
        allowances = tuple(replace(allowance, money=False) for allowance in allowances)
    return Offering(
        f"O{number}", f"Offering {number}", draw(_any("gross", "net")),
        (), (), allowances, tuple(rates),
    )  # fmt: skip


@st.composite
def _extras(draw: st.DrawFn, pers: tuple[int, int]) -> dict[str, Any]:
    """Draw steps, a cap and a rounding, or mostly none of them."""
    if draw(_EITHER):
        return {}
    starts = sorted(draw(st.sets(st.sampled_from([30, 60, 90, 600, 5000]), max_size=2)))
    steps = tuple(
        Step(at, draw(_PRICES)[1], draw(_any(*pers)), draw(_any(0, 1, 60))) for at in starts
    )
    mode, unit = draw(_any(("half_up", 1), ("up", 10_000), ("half_even", 10_000),
                                       ("down", 1), ("half_up", 1_000_000)))  # fmt: skip
    return {
        "steps": steps,
        "whole_step": draw(_EITHER),
        "until": draw(_any(0, 0, 7200)),
        "max_charge_micro": draw(_any(None, None, 5_000_000, 12_345_678)),
        "rounding": mode,
        "round_to_micro": unit,
    }


@st.composite
def _allowances(draw: st.DrawFn, name: str, components: list[str]) -> Allowance:
    plain = Allowance(
        name,
        tuple(draw(st.sets(st.sampled_from(components), min_size=1))),
        draw(_any(0, 1, 90, 1000, 10**7, 10**15)),
        prorate=False,
        priority=draw(_any(0, 0, -1, 2)),
        shared=draw(_EITHER),
        valid_from=draw(_any(None, None, date(2026, 3, 29))),
        valid_to=draw(_any(None, None, date(2026, 4, 1))),
    )
    if draw(_any(False, False, True)):
        return replace(plain, money=True)
    return replace(
        plain,
        increment=draw(_any(0, 0, 1, 60, 100)),
        member_cap=draw(_any(None, 0, 95, 10**6)) if plain.shared else None,
    )


_EXTRAS = {pers: _extras(pers) for pers in _PERS}


def events(size: int = 12) -> st.SearchStrategy[list[Event]]:
    """Draw events that gather around clock changes, midnights, month ends and band borders."""
    instants = st.one_of(
        st.integers(-5400, 5400).map(lambda s: 1_774_746_000 + s),  # the spring change
        st.integers(-9000, 9000).map(lambda s: 1_792_890_000 + s),  # the autumn change
        st.integers(-3600, 3600).map(
            lambda s: 1_774_994_400 + s
        ),  # 2026-03-31 22:00 UTC, month end
        st.integers(-3600, 3600).map(lambda s: 1_767_222_000 + s),  # 2026-01-01 00:00 in Oslo
        st.integers(1_772_323_200, 1_772_323_300),
        st.sampled_from([-(2**40), 0, 2**40]),
    )
    quantities = st.one_of(
        st.sampled_from([0, 1, 59, 60, 61, 90, 100, 1000]),
        st.integers(0, 9000),
        st.integers(0, 10**8),
        st.integers(-9000, -1),
        st.sampled_from([-1, 2**52, 2**60, 2**60 + 1, 2**62]),
    )
    event = st.builds(
        Event,
        key=st.integers(0, 10**6),
        start=instants,
        quantity=quantities,
        usage=st.sampled_from([1, 1, 1, 2, 3, 3, 9]),
        number=st.one_of(
            st.sampled_from(["", "4790000001", "47829001", "4782900123", "0112", "99", "4" * 18]),
            st.text("0123456789", max_size=15),
        ),
        group=st.sampled_from([0, 100, 200, 900]),
        subscription=st.integers(0, 2),
        offering=st.sampled_from([0, 0, 1, 1, 7, -1]),
        elapsed=st.sampled_from([0, 0, 0, 59, 600, -1, 2**60 + 1]),
        continues=st.sampled_from([False, False, True]),
    )
    return st.lists(event, max_size=size, unique_by=lambda e: e.key).map(_as_it_comes)


def _as_it_comes(drawn: list[Event]) -> list[Event]:
    """Keep calls short where the oracle walks minute by minute; two of three share."""
    return [
        replace(
            e, pool=e.subscription // 2,
            quantity=e.quantity % 50_000 if e.usage == 1 and 0 < e.quantity < 2**50 else e.quantity,
        )
        for e in drawn
    ]  # fmt: skip


def batch_of(drawn: list[Event]) -> UsageBatch:
    """Put events into columns."""
    return check_usage(
        event_key=np.array([e.key for e in drawn], np.int64),
        started_at=np.array([e.start for e in drawn], np.int64),
        quantity=np.array([e.quantity for e in drawn], np.int64),
        usage_type=np.array([e.usage for e in drawn], np.int16),
        called=encode_numbers([e.number for e in drawn]),
        rating_group=np.array([e.group for e in drawn], np.int32),
        subscription=np.array([e.subscription for e in drawn], np.int32),
        offering=np.array([e.offering for e in drawn], np.int32),
        pool=np.array([e.pool for e in drawn], np.int32),
        **_optional(drawn),
    )


def _optional(drawn: list[Event]) -> dict[str, NDArray[Any]]:
    """Give the columns of sessions that go on, where one does."""
    if not any(e.elapsed or e.continues for e in drawn):
        return {}
    return {
        "elapsed_before": np.array([e.elapsed for e in drawn], np.int64),
        "continuation": np.array([e.continues for e in drawn], np.bool_),
    }


def many_events(seed: int, count: int) -> list[Event]:
    """Draw a crowd from a seed: as odd as `events`, but of thirty subscriptions in 15 pools."""
    random = Random(seed)
    around = (1_774_746_000, 1_792_890_000, 1_774_994_400, 1_767_222_000)

    def quantity(usage: int) -> int:
        if random.random() < 0.03:
            return random.choice([0, -1, -60, 2**52, 2**60, 2**60 + 1, 2**62])
        if usage == 1:
            return random.choice([1, 59, 60, 61, 90, random.randrange(900), random.randrange(7200)])
        return random.choice([1, 60, 100, 1000, random.randrange(10**5), random.randrange(10**8)])

    def event(key: int) -> Event:
        usage = random.choice([1, 1, 1, 2, 3, 3]) if random.random() < 0.99 else 9
        odd = random.random()
        start = random.choice(around) + random.randrange(-9000, 9000)
        subscription = random.randrange(30)
        return Event(
            key,
            start if odd > 0.01 else random.choice([-(2**40), 0, 2**40]),
            quantity(usage),
            usage,
            random.choice(PREFIXES) + f"{random.randrange(10**9)}"[: random.randrange(10)],
            random.choice([0, 100, 200, 900]),
            subscription,
            random.choice([0, 1]) if odd < 0.98 else random.choice([7, -1]),
            elapsed=0 if random.random() < 0.9 else random.choice([59, 600, -1, 2**60 + 1]),
            continues=random.random() < 0.05,
            pool=subscription // 2,
        )

    return [event(key) for key in random.sample(range(10 * count), count)]


def double_grants(book: TariffBook, pools: int = 2) -> Counters:
    """Grant pools 0 to `pools` twice what the tariff states of each shared allowance, any month."""
    shared = np.flatnonzero(book.included.shared)
    month = np.arange(2025 * 12, 2028 * 12)
    pool, allowance, at = (
        column.ravel().astype(np.int32) for column in np.meshgrid(np.arange(pools), shared, month)
    )
    return Counters.grants(pool, allowance, at, 2 * book.included.quantity[allowance])


def with_terms(
    tariff: Tariff, recurring: tuple[Recurring, ...], one_off: tuple[OneOff, ...]
) -> Tariff:
    """Give the first offering other flat prices."""
    first = replace(tariff.offerings[0], recurring=recurring, one_off=one_off)
    return replace(tariff, offerings=(first, *tariff.offerings[1:]))
