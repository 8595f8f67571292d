"""The second charging run against one call after the other: revenue, cost, margin, booking."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction as Q
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DoesNotTie
from rating.codes import codes_of
from rating.dated import Dated
from rating.margin_codes import check_margins, margin_codes
from rating.margins import Cost, cost_lines, costs, margins, second_run, sold_events
from rating.pipeline import rate
from rating.tariff import parse_tariff
from rating.usage import Reason, UsageBatch, check_usage
from rating.zones import encode_numbers
from tests.rating.oracle import round_half_away

RETAIL = """
format = "hovedbok-tariff/1"
name = "RETAIL"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
[[zone]]
id = "NORWAY"
prefixes = ["47"]
[[zone]]
id = "SWEDEN"
prefixes = ["46"]
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
  price = "0.50"
  per = 60
  [[offering.rate]]
  usage = "voice"
  zone = "SWEDEN"
  component = "voice"
  price = "1.25"
  per = 60
"""
WHOLESALE = """
format = "hovedbok-tariff/1"
name = "INTERCONNECT"
version = 1
valid_from = 2026-01-01
currency = "EUR"
time_zone = "Europe/Oslo"
sells = "wholesale"
[[zone]]
id = "TELIA"
prefixes = ["4740", "4746"]
[[zone]]
id = "ICE"
prefixes = ["4748"]
[[zone]]
id = "SE"
prefixes = ["46"]
[[component]]
id = "telia"
text = "Terminering Telia"
revenue = "interconnect"
vat = "6"
unit = "s"
partner = "TELIA"
[[component]]
id = "ice"
text = "Terminering Ice"
revenue = "interconnect"
vat = "6"
unit = "s"
partner = "ICE"
[[component]]
id = "transit"
text = "Transitt"
revenue = "roaming"
vat = "6"
unit = "s"
partner = "TELIA"
[[offering]]
id = "OUT"
name = "Utgående"
price_basis = "net"
  [[offering.rate]]
  usage = "voice"
  zone = "TELIA"
  component = "telia"
  price = "0.0057"
  per = 60
  [[offering.rate]]
  usage = "voice"
  zone = "ICE"
  component = "ice"
  price = "0.0061"
  per = 60
  [[offering.rate]]
  usage = "voice"
  zone = "SE"
  component = "transit"
  price = "0.02"
  per = 60
"""
BOOK, PARTNERS = parse_tariff(RETAIL.encode()), parse_tariff(WHOLESALE.encode())
RATES = Dated.of("rate of EUR", [(date(2026, 3, 2), 11_400_000), (date(2026, 3, 5), 11_600_000)])
OSLO = ZoneInfo("Europe/Oslo")
FIRST = int(datetime(2026, 3, 1, tzinfo=OSLO).timestamp())
NUMBERS = ("4740000001", "4748000001", "4791000001", "4670000001", "44200000")
PRICES = {0: ("TELIA", "interconnect", "0.0057"), 1: ("ICE", "interconnect", "0.0061"),
          3: ("TELIA", "roaming", "0.02")}  # fmt: skip


def calls(rows: list[tuple[int, int, int]]) -> UsageBatch:
    """Make calls of (start, seconds, which number)."""
    start, seconds, which = np.array(rows, np.int64).reshape(-1, 3).T.copy()
    count = len(rows)
    return check_usage(
        event_key=np.arange(count), started_at=start, quantity=seconds,
        usage_type=np.ones(count, np.int16),
        called=encode_numbers([NUMBERS[n] for n in which.tolist()]),
        rating_group=np.zeros(count, np.int32), subscription=np.zeros(count, np.int32),
        offering=np.zeros(count, np.int32),
    )  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(FIRST, FIRST + 8 * 86_400), st.integers(-5, 9000),
                  st.integers(0, 4)), max_size=25,
    )
)  # fmt: skip
def test_margins_agree_with_one_call_after_the_other(rows: list[tuple[int, int, int]]) -> None:
    """Known revenue less known cost; what has no cost price says why and costs nothing silently."""
    batch = calls(rows)
    retail = rate(batch, BOOK)
    asked, cost = second_run(batch, (), (), PARTNERS, "OUT", {})
    sold_to = sold_events(retail, batch, BOOK, {"3": 2500})
    told = margins(batch, sold_to, PARTNERS, cost, RATES)
    codes = codes_of(asked, cost, PARTNERS)
    check_margins(margin_codes(batch, sold_to, PARTNERS, codes, cost, RATES), told, batch)
    sums: dict[tuple[str, str], list[int]] = {}
    for row, (start, seconds, which) in enumerate(rows):
        day = datetime.fromtimestamp(start, OSLO).date()
        rate_of_day = next((r for first, r in [(5, "11.6"), (2, "11.4")] if day.day >= first), None)
        sold = seconds >= 0 and which != 4
        brings = 0
        if sold:
            gross = Q("1.25") if which == 3 else Q("0.5")
            exact = round_half_away(seconds * gross * 10**6 / 60)
            brings = round_half_away(Q(exact * 4, 5))
        known = seconds >= 0 and which in PRICES and rate_of_day is not None
        assert bool(told.revenue_reason[row] == 0) == sold
        assert bool(told.cost_reason[row] == 0) == known
        owed = costs_us = 0
        if known:
            partner, kind, price = PRICES[which]
            owed = round_half_away(seconds * Q(price) * 10**6 / 60)
            costs_us = round_half_away(owed * Q(str(rate_of_day)))
            at = sums.setdefault((partner, kind), [0, 0])
            at[0], at[1] = at[0] + owed, at[1] + 1
        assert int(told.cost_own_micro[row]) == owed
        assert int(told.cost_micro[row]) == costs_us
        assert int(told.revenue_micro[row]) == brings
        assert int(told.margin_micro[row]) == (brings - costs_us if sold and known else 0)
    assert costs(told, PARTNERS, cost) == [
        Cost(partner, kind, "EUR", micro, events)
        for (partner, kind), (micro, events) in sorted(sums.items())
    ]


@pytest.mark.parametrize("name", ["revenue_micro", "cost_micro", "cost_own_micro", "margin_micro"])
def test_a_margin_that_its_explanation_does_not_come_to_is_refused(name: str) -> None:
    """One millionth off, in any of its figures, is told by event."""
    batch = calls([(FIRST + 6 * 86_400, 60, 0), (FIRST + 6 * 86_400, 90, 1)])
    retail = rate(batch, BOOK)
    asked, cost = second_run(batch, (), (), PARTNERS, "OUT", {})
    sold = sold_events(retail, batch, BOOK, {"3": 2500})
    told = margins(batch, sold, PARTNERS, cost, RATES)
    codes = margin_codes(batch, sold, PARTNERS, codes_of(asked, cost, PARTNERS), cost, RATES)
    check_margins(codes, told, batch)
    assert int(codes.margin_micro[0])
    getattr(told, name)[1] += 1
    with pytest.raises(DoesNotTie, match=f"{name}.*1 of 2 events differ"):
        check_margins(codes, told, batch)


@pytest.mark.parametrize(
    ("which", "day", "reason"),
    [(2, 3, "NO_ZONE"), (4, 3, "NO_ZONE"), (0, 1, "NO_RATE"), (0, 2, "OK")],
)
def test_a_cost_that_is_not_known_says_why(which: int, day: int, reason: str) -> None:
    """No zone of a partner, no rate of exchange of the day."""
    batch = calls([(FIRST + (day - 1) * 86_400, 60, which)])
    _, cost = second_run(batch, (), (), PARTNERS, "OUT", {})
    sold = sold_events(rate(batch, BOOK), batch, BOOK, {"3": 2500})
    told = margins(batch, sold, PARTNERS, cost, RATES)
    assert Reason(int(told.cost_reason[0])).name == reason


@settings(deadline=None)
@given(st.lists(st.integers(-(10**9), 10**12), min_size=1, max_size=8))
def test_any_number_of_runs_books_the_rounding_of_the_whole(totals: list[int]) -> None:
    """Each run books what is owed in all, less what is booked; twice the same books nothing."""
    booked = 0
    for micro in totals:
        owed = Cost("TELIA", "interconnect", "EUR", micro, 1)
        for line in cost_lines(owed, booked, "4300", "2400")[:1]:
            booked += line.amount_minor
        assert booked == round_half_away(Q(micro, 10_000))
        assert cost_lines(owed, booked, "4300", "2400") == ()
    lines = cost_lines(Cost("T", "roaming", "XDR", 50_000, 1), 0, "4310", "2994")
    assert [(line.account, line.amount_minor, line.currency) for line in lines] == [
        ("4310", 5, "XDR"), ("2994", -5, "XDR")
    ]  # fmt: skip
