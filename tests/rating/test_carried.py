"""Prices that events bring, against fractions: converted, marked up, rounded once, never free."""

from __future__ import annotations

from datetime import date
from fractions import Fraction as Q

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.carried import (
    Carried,
    CarriedEvents,
    Markup,
    carried_prices,
    marked_up,
    sharing_by_component,
)
from rating.dated import Dated, Exchange, FigureNotDated, day_number, exchange_rates
from rating.revenue_shares import Sharing
from rating.rounding import Overflow
from rating.tariff import parse_tariff
from rating.tariff_terms import TariffInvalid
from rating.usage import NO_PRICE, Reason
from tests.rating.oracle import round_half_away
from tests.rating.tariffs import SMALL

DAY = date(2026, 3, 1)


def slow(price: int, rate: Q, markup: Markup) -> int:
    """One price by hand."""
    base = abs(price) * rate
    added = max(base * Q(*markup.rate) + markup.fixed, Q(markup.minimum))
    if markup.maximum is not None:
        added = min(added, Q(markup.maximum))
    return 0 if price == 0 else round_half_away((base + added) * (1 if price > 0 else -1))


markups = st.builds(
    lambda rate, fixed, least, room: Markup(
        (rate, 10**8), fixed, least, None if room is None else least + room
    ),
    st.integers(0, 10**10), st.integers(0, 10**9), st.integers(0, 10**8),
    st.none() | st.integers(0, 10**9),
)  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**12), 10**12) | st.integers(-(2**45), 2**45), max_size=20),
    st.integers(1, 10**9), markups,
)  # fmt: skip
def test_a_marked_up_price_agrees_with_fractions(
    prices: list[int], rate: int, markup: Markup
) -> None:
    """Any sign, any rate, limits or none: one rounding, half away from zero."""
    column = np.array(prices, np.int64)
    want = [slow(price, Q(rate, 10**6), markup) for price in prices]
    if any(abs(amount) >= 2**62 for amount in want):
        with pytest.raises(Overflow):
            marked_up(column, (rate, 10**6), markup)
        return
    assert marked_up(column, (rate, 10**6), markup).tolist() == want
    assert marked_up(-column, (rate, 10**6), markup).tolist() == [-amount for amount in want]


TERMS = (
    Carried("GAME", "content", date(2026, 1, 1), percent_micro=10_000_000),
    Carried("GAME", "content", date(2026, 3, 2), fixed_micro=500_000),
    Carried("TAP", "roaming", date(2026, 1, 1), minimum_micro=1_000_000, maximum_micro=2_000_000),
)
RATES = exchange_rates(
    [Exchange("EUR", date(2026, 2, 1), 11_500_000), Exchange("EUR", date(2026, 3, 1), 12_000_000)]
)


def priced(service: int, day: date, price: int, currency: int) -> tuple[str, int, int]:
    """Price one event: reason, amount, base."""
    event = CarriedEvents(
        np.array([service], np.int32), np.array([day_number(day)], np.int64),
        np.array([price], np.int64), np.array([currency], np.int32),
    )  # fmt: skip
    done = carried_prices(event, TERMS, ("GAME", "TAP"), RATES, ("NOK", "EUR", "XDR"))
    assert (done.terms[0] == -1) == bool(done.reason[0])
    return Reason(int(done.reason[0])).name, int(done.amount_micro[0]), int(done.base_micro[0])


@pytest.mark.parametrize(
    ("service", "day", "price", "currency", "outcome"),
    [
        (0, DAY, 10_000_000, 0, ("OK", 11_000_000, 10_000_000)),
        (0, DAY, -10_000_000, 0, ("OK", -11_000_000, -10_000_000)),
        (0, date(2026, 3, 2), 10_000_000, 0, ("OK", 10_500_000, 10_000_000)),
        (1, date(2026, 2, 28), 2_000_000, 1, ("OK", 24_000_000, 23_000_000)),
        (1, DAY, 2_000_000, 1, ("OK", 25_000_000, 24_000_000)),
        (1, DAY, 0, 1, ("OK", 0, 0)),
        (0, DAY, NO_PRICE, 0, ("NO_PRICE", 0, 0)),
        (1, DAY, NO_PRICE, 9, ("NO_PRICE", 0, 0)),
        (-1, DAY, NO_PRICE, 0, ("NO_RATE", 0, 0)),
        (0, date(2025, 12, 31), 10_000_000, 0, ("NO_RATE", 0, 0)),
        (-1, DAY, 10_000_000, 0, ("NO_RATE", 0, 0)),
        (1, date(2026, 1, 31), 2_000_000, 1, ("NO_RATE", 0, 0)),
        (1, DAY, 2_000_000, 2, ("NO_RATE", 0, 0)),
        (1, DAY, 2_000_000, 9, ("NO_RATE", 0, 0)),
        (0, DAY, 2**62 - 1, 0, ("OVERFLOW", 0, 0)),
    ],
)
def test_every_event_has_a_price_or_a_reason(
    service: int, day: date, price: int, currency: int, outcome: tuple[str, int, int]
) -> None:
    """Terms and rates by day; what has none is suspended, a price of zero is zero."""
    assert priced(service, day, price, currency) == outcome


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_events_changes_nothing(order: list[int]) -> None:
    """Each row stands alone."""
    day = day_number(DAY)
    rows = np.array(
        [(0, day, 5, 0), (1, day, 7, 1), (0, day + 1, -9, 1), (1, day - 40, 1, 1), (5, day, 1, 0),
         (0, day, 2**61, 1)]
    )  # fmt: skip

    def run(table: np.ndarray) -> np.ndarray:
        service, days, price, currency = table.T
        done = carried_prices(
            CarriedEvents(service.astype(np.int32), days, price, currency.astype(np.int32)),
            TERMS, ("GAME", "TAP"), RATES, ("NOK", "EUR"),
        )  # fmt: skip
        return np.stack([done.amount_micro, done.base_micro, done.terms, done.reason], axis=1)

    assert (run(rows[order]) == run(rows)[order]).all()


SECTIONS = """
[[exchange]]
currency = "EUR"
valid_from = 2026-01-01
rate = "11.5140"
[[carried]]
service = "1980"
component = "voice"
valid_from = 2026-01-01
percent = "2.5"
fixed = "0.50"
maximum = "10"
provider = "Spill AS"
fee_vat = "3"
  [[carried.share]]
  holder = "own"
  percent = "15"
"""


def test_a_tariff_file_states_rates_mark_ups_and_shares() -> None:
    """The sections are read, and a file without them hashes as it did before there were any."""
    tariff = parse_tariff((SMALL + SECTIONS).encode()).tariff
    assert tariff.exchange[0].rate_micro == 11_514_000
    assert tariff.carried[0].markup() == Markup((2_500_000, 10**8), 500_000, 0, 10_000_000)
    assert tariff.carried[0].sharing is not None
    assert tariff.carried[0].sharing.shares[0].percent_micro == 15_000_000
    plain = parse_tariff(SMALL.encode())
    assert plain.content_hash != parse_tariff((SMALL + SECTIONS).encode()).content_hash


AGAIN = '[[exchange]]\ncurrency = "EUR"\nvalid_from = 2026-01-01\nrate = "2"\n[[carried]]'


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ('rate = "11.5140"', 'rate = "0"', "exchange[1].rate: must be above zero"),
        ('rate = "11.5140"', "rate = 11.5", "exchange[1].rate: needs a text"),
        ('currency = "EUR"', 'currency = "NOK"', "exchange[1].currency: NOK is the tariff's own"),
        ('currency = "EUR"', 'currency = "euro"', "exchange[1].currency: needs a currency"),
        ('component = "voice"\nvalid', 'component = "x"\nvalid', "there is no component 'x'"),
        ('maximum = "10"', 'maximum = "1"\nminimum = "2"', "maximum: is below the minimum"),
        ('provider = "Spill AS"', "", "carried[1].provider: is missing"),
        ('fee_vat = "3"', "", "carried[1].fee_vat: is missing"),
        ('fee_vat = "3"', 'fee_vat = "3"\ncharity = true', "nobody takes a share of a gift"),
        ('percent = "15"', 'percent = "101"', "carried[1].share[1].percent: needs a text"),
        ('percent = "15"', 'prosent = "15"', "carried[1].share[1].prosent: is not a key here"),
        ("[[carried]]", AGAIN, "exchange[2]: EUR from 2026-01-01 is given twice"),
    ],
)  # fmt: skip
def test_a_wrong_section_says_where(wrong: str, right: str, told: str) -> None:
    """Key path and what is allowed there."""
    assert wrong in SECTIONS
    with pytest.raises(TariffInvalid) as refused:
        parse_tariff((SMALL + SECTIONS.replace(wrong, right, 1)).encode())
    assert told in str(refused.value)


def test_a_figure_before_the_first_is_not_known() -> None:
    """Nothing is taken for the first figure, or for zero."""
    dated = Dated.of("rate of EUR", [(date(2026, 2, 1), 7), (date(2026, 1, 1), 5)])
    assert [dated.on(date(2026, 1, 31)), dated.on(date(2026, 2, 1))] == [5, 7]
    with pytest.raises(FigureNotDated, match="states no rate of EUR on 2025-12-31; its first is"):
        dated.on(date(2025, 12, 31))


def test_two_providers_do_not_share_one_component() -> None:
    """Charges of a component are split as a whole."""
    second = SECTIONS[SECTIONS.index("[[carried]]") :].replace('"1980"', '"1990"')
    with pytest.raises(TariffInvalid, match="is shared as that of service 1980"):
        parse_tariff((SMALL + SECTIONS + second).encode())


def test_sharing_is_dated() -> None:
    """The last terms that have begun say who shares, or that nobody does."""
    games = Sharing("Spill AS", "NO")
    terms = (
        Carried("1980", "games", date(2026, 1, 1), sharing=games),
        Carried("1980", "games", date(2026, 3, 1)),
    )
    assert sharing_by_component(terms, date(2025, 12, 31)) == {}
    assert sharing_by_component(terms, date(2026, 2, 28)) == {"games": games}
    assert sharing_by_component(terms, date(2026, 3, 1)) == {}
