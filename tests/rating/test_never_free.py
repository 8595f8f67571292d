"""Never a silent zero: what has no price has a reason, and what is free says so in the tariff."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction as Q
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Problem
from rating.clock import anchor_days
from rating.pipeline import rate
from rating.tariff import TariffBook, parse_tariff
from rating.tiers import PeriodPrice, Tier, price_quantities
from rating.usage import Reason, check_usage
from rating.zones import encode_numbers
from tests.rating.oracle import round_half_away

TARIFF = """
format = "hovedbok-tariff/1"
name = "EDGES"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
{refunds}
[[zone]]
id = "NORWAY"
prefixes = ["47"]
[[zone]]
id = "DEAR"
prefixes = [{dear}]
[[zone]]
id = "UNSOLD"
prefixes = ["881"]
[[band]]
id = "day"
from = "08:00"
[[component]]
id = "voice"
text = "Samtaler"
revenue = "voice"
vat = "3"
unit = "s"
[[offering]]
id = "MOBIL"
name = "Mobil"
price_basis = "gross"
  [[offering.rate]]
  usage = "voice"
  zone = "NORWAY"
  component = "voice"
  setup_fee = "0.69"
  price = "0.60"
  per = 60
  until = 7200
  [[offering.rate]]
  usage = "voice"
  zone = "DEAR"
  band = "day"
  component = "voice"
  price = "10.00"
  per = 60
"""


def book(refunds: str = "", dear: str = '"47829"') -> TariffBook:
    """Compile the tariff, with refunds or another long prefix where a test wants it."""
    return parse_tariff(TARIFF.format(refunds=refunds, dear=dear).encode())


BOOK = book()
NOON = "2026-03-03T12:00:00"


def call(number: str, seconds: int, at: str = NOON, tariff: TariffBook = BOOK, usage: int = 1
         ) -> tuple[str, int]:  # fmt: skip
    """Rate one call: reason and amount in millionths."""
    start = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Oslo"))
    batch = check_usage(
        event_key=np.array([1]), started_at=np.array([int(start.timestamp())]),
        quantity=np.array([seconds]), usage_type=np.array([usage], np.int16),
        called=encode_numbers([number]), rating_group=np.array([0], np.int32),
        subscription=np.array([0], np.int32), offering=np.array([0], np.int32),
    )  # fmt: skip
    rated = rate(batch, tariff)
    return Reason(int(rated.reason[0])).name, int(rated.amount_micro[0])


@pytest.mark.parametrize(
    ("number", "seconds", "at", "outcome"),
    [
        ("4790000001", 60, NOON, ("OK", 1_290_000)),
        ("4790000001", 0, NOON, ("OK", 0)),  # nothing used: no set-up fee, and no reason
        ("3390000001", 60, NOON, ("NO_ZONE", 0)),  # unknown zone
        ("3390000001", 0, NOON, ("NO_ZONE", 0)),  # unknown even for nothing
        ("8810000001", 60, NOON, ("NO_RATE", 0)),  # a zone that is not sold
        ("4782900001", 60, NOON, ("OK", 10_000_000)),
        ("4782900001", 60, "2026-03-03T07:59:30", ("NO_RATE", 0)),  # half of it before the band
        ("4782900001", 0, "2026-03-03T07:59:30", ("NO_RATE", 0)),
        ("4790000001", 7200, NOON, ("OK", 72_690_000)),
        ("4790000001", 7201, NOON, ("NO_RATE", 0)),  # beyond the bounded last step
        ("4790000001", -60, NOON, ("NEGATIVE", 0)),
        ("4790000001", 60, "2025-12-31T23:59:59", ("NOT_YET_VALID", 0)),
        ("4790000001", 400 * 86_400, NOON, ("OUT_OF_RANGE", 0)),
    ],
)
def test_what_has_no_price_has_a_reason(
    number: str, seconds: int, at: str, outcome: tuple[str, int]
) -> None:
    """The outcomes of the table in docs/pricing.md."""
    assert call(number, seconds, at) == outcome


def test_a_message_to_a_zone_of_calls_has_no_price() -> None:
    """Each kind of usage has rows of its own."""
    assert call("4790000001", 1, usage=2) == ("NO_RATE", 0)


def test_an_expired_prefix_falls_back_to_the_shorter_one_or_has_no_zone() -> None:
    """The next version knows the long prefix no more: the country's price, never the old one."""
    expired = book(dear='"47820"')
    assert call("4782900001", 60, tariff=expired) == ("OK", 1_290_000)
    gone = parse_tariff(TARIFF.format(refunds="", dear='"47829"').replace('"47"', '"46"').encode())
    assert call("4782900001", 60, tariff=gone) == ("OK", 10_000_000)
    assert call("4790000001", 60, tariff=gone) == ("NO_ZONE", 0)


def test_a_refund_is_the_negative_of_the_use_or_refused() -> None:
    """Where the tariff knows refunds."""
    assert call("4790000001", -60, tariff=book('refunds = "charged"')) == ("OK", -1_290_000)
    assert call("4790000001", -7201, tariff=book('refunds = "charged"')) == ("NO_RATE", 0)


@pytest.mark.parametrize("night", ["2026-03-29T01:30:00", "2026-10-25T02:30:00"])
def test_a_call_over_a_clock_change_is_paid_by_real_seconds(night: str) -> None:
    """The lost and the repeated hour change what the wall shows, not what is paid."""
    assert call("4790000001", 3600, night) == ("OK", 36_690_000)


def test_a_bounded_last_tier_is_an_error_beyond_and_never_zero() -> None:
    """Period prices refuse with the quantity."""
    price = PeriodPrice((Tier(up_to=10, unit_price=1),))
    with pytest.raises(Problem, match="11"):
        price_quantities(price, np.array([11]))


def test_an_anchor_on_the_31st_keeps_to_the_31st() -> None:
    """February ends it early; March has it back."""
    days = anchor_days(31, np.datetime64("2026-01-31"), 4).astype(str).tolist()
    assert days == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]


@settings(deadline=None)
@given(
    st.sampled_from(["4790000001", "4782900001", "3390000001", "8810000001", ""]),
    st.integers(-100, 9000), st.integers(0, 366 * 86_400),
)  # fmt: skip
def test_every_use_costs_something_or_says_why(number: str, seconds: int, after: int) -> None:
    """Of a tariff without a price of zero: an amount above zero, a reason, or nothing used."""
    at = datetime.fromtimestamp(1_767_222_000 + after, ZoneInfo("Europe/Oslo"))
    reason, amount = call(number, seconds, at.replace(tzinfo=None).isoformat())
    assert (reason != "OK") <= (amount == 0)
    if reason == "OK" and seconds:
        assert seconds > 0
        assert amount >= round_half_away(Q(seconds * 600_000, 60))
