"""Roaming like at home, against fractions: the volume by formula, the surcharge beyond it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction as Q
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.dated import FigureNotDated
from rating.fair_use import (
    Surcharges,
    beyond_volumes,
    fair_use_volume,
    surcharges,
    wholesale_caps,
)
from rating.pipeline import rate
from rating.tariff import TariffBook, parse_tariff
from rating.tariff_terms import TariffInvalid
from rating.usage import MAX_QUANTITY, Int64, UsageBatch, check_usage
from tests.rating.oracle import round_half_away
from tests.rating.tariffs import GB

VAT = {"3": 2500}
TARIFF = """
format = "hovedbok-tariff/1"
name = "ROAM"
version = 1
valid_from = 2025-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
[[exchange]]
currency = "EUR"
valid_from = 2024-05-15
rate = "11.50"
[[exchange]]
currency = "EUR"
valid_from = 2026-03-15
rate = "12.00"
[[roaming_cap]]
valid_from = 2024-01-01
currency = "EUR"
gigabyte = "1.55"
[[roaming_cap]]
valid_from = 2026-01-01
currency = "EUR"
gigabyte = "1.10"
[[zone]]
id = "EEA"
rating_groups = [300]
[[component]]
id = "month"
text = "Abonnement"
revenue = "subscription"
vat = "3"
unit = "month"
[[component]]
id = "eea"
text = "Mobildata i EØS"
revenue = "data"
vat = "3"
unit = "octet"
[[component]]
id = "surcharge"
text = "Pristillegg for data i EØS"
revenue = "roaming"
vat = "3"
unit = "octet"
[[offering]]
id = "FRI"
name = "Fri data"
price_basis = "gross"
  [[offering.recurring]]
  component = "month"
  price = "499.00"
  [[offering.fair_use]]
  component = "eea"
  surcharge = "surcharge"
  [[offering.rate]]
  usage = "data"
  zone = "EEA"
  component = "eea"
  price = "0.00"
"""
NET = TARIFF.replace('"gross"', '"net"').replace(
    'surcharge = "surcharge"', 'surcharge = "surcharge"\n  price = "5.00"'
)
OSLO = ZoneInfo("Europe/Oslo")


def usage(rows: list[tuple[int, int, int, int]]) -> UsageBatch:
    """Make data events in the EEA of (key, start, octets, subscription)."""
    key, start, quantity, subscription = np.array(rows, np.int64).reshape(-1, 4).T.copy()
    count = len(rows)
    return check_usage(
        event_key=key, started_at=start, quantity=quantity,
        usage_type=np.full(count, 3, np.int16), called=np.zeros(count, np.int64),
        rating_group=np.full(count, 300, np.int32), subscription=subscription.astype(np.int32),
        offering=np.zeros(count, np.int32),
    )  # fmt: skip


def charged(book: TariffBook, batch: UsageBatch, agreed: Int64 | None = None) -> Surcharges:
    """Serve a batch and price what lies beyond, by one version."""
    rated = rate(batch, book)
    return surcharges(batch, rated, book, VAT, beyond_volumes(batch, rated, book, VAT, agreed))


def at(text: str) -> int:
    """Give a local time as UTC epoch seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=OSLO).timestamp())


def slow(book: TariffBook, rows: list[tuple[int, int, int, int]]) -> dict[int, tuple[int, int]]:
    """Serve one event after the other: octets beyond and surcharge by key."""
    offering = book.tariff.offerings[0]
    gross = offering.price_basis == "gross"
    left: dict[tuple[int, int, int], int] = {}
    found = {}
    for key, start, quantity, subscription in sorted(rows, key=lambda row: (row[1], row[0])):
        day = datetime.fromtimestamp(start, UTC).astimezone(OSLO).date()
        price = Q(offering.recurring[0].price_micro) / (Q(5, 4) if gross else 1)
        pool = (subscription, day.year, day.month)
        if pool not in left:
            exact = 2 * price / cap(book, day.replace(day=1)) * GB
            left[pool] = -(-exact.numerator // exact.denominator)
        within = min(left[pool], quantity)
        left[pool] -= within
        most = cap(book, day) * (Q(5, 4) if gross else 1)
        own = offering.fair_use[0].price_micro
        each = most if own is None else min(most, Q(own))
        found[key] = (quantity - within, round_half_away((quantity - within) * each / GB))
    return found


def cap(book: TariffBook, day: date) -> int:
    """Give the cap of a gigabyte on a day: whole millionths of a krone, rounded down."""
    caps = [c for c in book.tariff.roaming_caps if c.valid_from <= day]
    rates = [r for r in book.tariff.exchange if r.valid_from <= day]
    newest = max(caps, key=lambda each: each.valid_from)
    rate_of_day = max(rates, key=lambda each: each.valid_from)
    return int(Q(newest.gigabyte_micro * rate_of_day.rate_micro, 10**6))


events = st.lists(
    st.tuples(
        st.integers(at("2026-02-27T00:00"), at("2026-04-02T00:00")),
        st.integers(1, 60 * GB), st.integers(0, 2),
    ), max_size=30,
)  # fmt: skip


@settings(deadline=None)
@given(events, st.sampled_from([TARIFF, NET]), st.randoms())
def test_surcharges_agree_with_one_event_after_the_other(
    drawn: list[tuple[int, int, int]], tariff: str, random: object
) -> None:
    """Volumes of three months, caps and rates that change within, ties, any order of arrival."""
    book = parse_tariff(tariff.encode())
    rows = [(key, *row) for key, row in enumerate(drawn)]
    want = slow(book, rows)
    random.shuffle(rows)  # type: ignore[attr-defined]
    batch = usage(rows)
    found = charged(book, batch)
    got = dict(
        zip(
            batch.event_key.tolist(),
            zip(found.beyond.tolist(), found.amount_micro.tolist(), strict=True), strict=True,
        )
    )  # fmt: skip
    assert got == want
    surcharged = found.component == book.components.index("surcharge")
    assert (surcharged == (found.beyond > 0)).all()


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 10**13), max_size=10), st.sampled_from([0, 2500]),
    st.integers(1, 10**8), st.sampled_from([GB, 10**9]),
)  # fmt: skip
def test_the_volume_is_the_formula_rounded_up(
    prices: list[int], bp: int, cap_micro: int, octets: int
) -> None:
    """Never an octet less than the regulation grants."""
    got = fair_use_volume(np.array(prices, np.int64), bp, cap_micro, octets)
    for price, volume in zip(prices, got.tolist(), strict=True):
        exact = 2 * Q(price * 10_000, 10_000 + bp) / cap_micro * octets
        assert exact <= volume < exact + 1 or volume == MAX_QUANTITY < exact


def test_a_plan_of_499_has_a_volume_of_63_gigabytes() -> None:
    """2 x 399.20 / (1.10 x 11.50 = 12.65) is 63.1 GB; one more costs the cap, with VAT."""
    book = parse_tariff(TARIFF.encode())
    batch = usage([(1, at("2026-03-02T12:00"), 70 * GB, 0)])
    found = charged(book, batch)
    volume = 2 * Q(499 * 4, 5) / Q("12.65") * GB
    assert int(found.beyond[0]) == 70 * GB - -(-volume.numerator // volume.denominator)
    assert round(int(found.amount_micro[0]) / 10**6, 2) == 108.88


def test_an_agreed_price_has_a_volume_of_its_own() -> None:
    """Half the price, half the volume."""
    book = parse_tariff(TARIFF.encode())
    batch = usage([(1, at("2026-03-02T12:00"), 70 * GB, 0), (2, at("2026-03-02T12:00"), GB, 1)])
    agreed = np.array([249_500_000, -1])
    found = charged(book, batch, agreed)
    list_price = charged(book, batch)
    half = (70 * GB - int(list_price.beyond[0]) + 1) // 2
    assert abs(70 * GB - int(found.beyond[0]) - half) <= 1
    assert int(found.beyond[1]) == 0


def test_caps_begin_with_either_figure() -> None:
    """A new cap and a new rate each begin a new figure; before the first there is none."""
    caps = wholesale_caps(parse_tariff(TARIFF.encode()))
    days = [date(2024, 5, 15), date(2026, 1, 1), date(2026, 3, 14), date(2026, 3, 15)]
    assert [caps.on(day) for day in days] == [17_825_000, 12_650_000, 12_650_000, 13_200_000]
    with pytest.raises(FigureNotDated, match="no wholesale cap on roaming data on 2024-05-14"):
        caps.on(date(2024, 5, 14))


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ('gigabyte = "1.55"', 'gigabyte = "0"', "roaming_cap[1].gigabyte: must be above zero"),
        ('component = "eea"\n  surcharge', 'component = "x"\n  surcharge', "there is no component"),
        ('surcharge = "surcharge"', 'surcharge = "x"', "there is no component 'x'"),
        ("valid_from = 2024-01-01", "valid_from = 2025-06-01", "no wholesale cap on 2025-01-01"),
        ("valid_from = 2026-03-15", "valid_from = 2024-05-15", "from 2024-05-15 is given twice"),
    ],
)  # fmt: skip
def test_a_tariff_with_fair_use_must_state_what_it_needs(wrong: str, right: str, told: str) -> None:
    """A fault of the file, not of the first customer who travels."""
    assert wrong in TARIFF
    with pytest.raises(TariffInvalid) as refused:
        parse_tariff(TARIFF.replace(wrong, right, 1).encode())
    assert told in str(refused.value)
