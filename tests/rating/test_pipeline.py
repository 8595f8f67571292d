"""Rating against the scalar oracle, and its independence of order, chunks and batches."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import Counters, Rated, Reason, TariffBook, rate
from rating.allowances import NOT_STATED
from rating.explain import explain_event
from rating.tariff import compile_tariff, parse_tariff
from rating.tariff_terms import Tariff, TariffInvalid
from tests.rating.oracle import Event, Outcome, rate_by_hand
from tests.rating.tariffs import SMALL, batch_of, double_grants, events, tariffs

# A long run: HOVEDBOK_RATING_EXAMPLES=100000, some ten events each.
EXAMPLES = int(os.environ.get("HOVEDBOK_RATING_EXAMPLES", "100"))
COLUMNS = [name for name in Rated.__slots__ if name != "counters"]


@pytest.fixture(scope="module")
def book() -> TariffBook:
    """The small tariff that the tests below read aloud."""
    return parse_tariff(SMALL.encode())


def outcomes(rated: Rated, book: TariffBook, drawn: list[Event]) -> dict[int, Outcome]:
    """Write the columns as the oracle does."""
    return {
        event.key: Outcome(
            reason=Reason(int(rated.reason[row])).name,
            amount_micro=int(rated.amount_micro[row]),
            zone=book.zones[rated.zone[row]] if rated.zone[row] >= 0 else None,
            component=book.components[rated.component[row]] if rated.component[row] >= 0 else None,
            billed=int(rated.billed_units[row]),
            free=int(rated.free_quantity[row]),
        )
        for row, event in enumerate(drawn)
    }


def event(start: str, quantity: int, **changes: object) -> Event:
    """Write an event that starts at a UTC time."""
    instant = int(np.datetime64(start, "s").astype(np.int64))
    plain = Event(1, instant, quantity, 1, "4790000001", 0, 0, 0)
    return replace(plain, **changes)


def amounts(book: TariffBook, *drawn: Event) -> list[int]:
    """Rate events, numbering them in order, and give their amounts."""
    numbered = [replace(e, key=n) for n, e in enumerate(drawn)]
    return rate(batch_of(numbered), book).amount_micro.tolist()


@settings(max_examples=EXAMPLES, deadline=None)
@given(tariffs(), events())
def test_any_tariff_and_any_events_agree_with_the_oracle(
    tariff: Tariff, drawn: list[Event]
) -> None:
    """Columns and the hand calculation give the same amounts, reasons, zones and units."""
    book = compile_tariff(tariff)
    rated = rate(batch_of(drawn), book, double_grants(book))
    assert outcomes(rated, book, drawn) == rate_by_hand(tariff, drawn)


@settings(max_examples=60, deadline=None)
@given(tariffs(), events(40), st.randoms(use_true_random=False), st.integers(1, 50))
def test_the_order_of_rows_and_the_size_of_chunks_change_nothing(
    tariff: Tariff, drawn: list[Event], random: object, chunk: int
) -> None:
    """A permuted batch, priced in other chunks, gives every event the same bytes."""
    book, batch = compile_tariff(tariff), batch_of(drawn)
    order = list(range(len(drawn)))
    random.shuffle(order)  # type: ignore[attr-defined]
    granted = double_grants(book)
    plain = rate(batch, book, granted)
    shuffled = rate(batch.take(order), book, granted, chunk=chunk)
    for name in COLUMNS:
        expected = getattr(plain, name)[order]
        assert getattr(shuffled, name).tobytes() == expected.tobytes(), name
    for name in Counters.__slots__:
        assert getattr(plain.counters, name).tolist() == getattr(shuffled.counters, name).tolist()


@settings(max_examples=60, deadline=None)
@given(tariffs(), events(40), st.integers(0, 40))
def test_two_batches_in_order_of_time_equal_one(
    tariff: Tariff, drawn: list[Event], cut: int
) -> None:
    """Counters carry an allowance from one batch to the next exactly."""
    book = compile_tariff(tariff)
    ordered = sorted(drawn, key=lambda e: (e.start, e.key))
    whole = rate(batch_of(ordered), book, double_grants(book))
    early = rate(batch_of(ordered[:cut]), book, double_grants(book))
    late = rate(batch_of(ordered[cut:]), book, early.counters)
    for name in COLUMNS:
        joined = np.concatenate([getattr(early, name), getattr(late, name)])
        assert joined.tolist() == getattr(whole, name).tolist(), name
    for name in Counters.__slots__:
        assert getattr(late.counters, name).tolist() == getattr(whole.counters, name).tolist()


@settings(max_examples=50, deadline=None)
@given(tariffs(), events(30))
def test_two_batches_of_different_pools_equal_one(tariff: Tariff, drawn: list[Event]) -> None:
    """Pools share nothing, so they may be rated apart, in any order."""
    book = compile_tariff(tariff)
    counters = double_grants(book)
    whole = outcomes(rate(batch_of(drawn), book, counters), book, drawn)
    apart: dict[int, Outcome] = {}
    for pool in (1, 0):
        own = [e for e in drawn if e.pool == pool]
        rated = rate(batch_of(own), book, counters)
        counters = rated.counters
        apart |= outcomes(rated, book, own)
    assert apart == whole


@settings(max_examples=40, deadline=None)
@given(tariffs(), events())
def test_every_explanation_sums_to_the_amount(tariff: Tariff, drawn: list[Event]) -> None:
    """Set-up fee, portions and minimum of each event add up to what was stored."""
    book, batch = compile_tariff(tariff), batch_of(drawn)
    rated = rate(batch, book, double_grants(book))
    for row in range(len(drawn)):
        explained = explain_event(batch, rated, book, row, "en")
        assert sum(part.amount_micro for part in explained.parts) == rated.amount_micro[row]
        assert explained.amount_micro == rated.amount_micro[row]


def test_a_call_over_five_o_clock_carries_its_paid_minute_into_the_evening(
    book: TariffBook,
) -> None:
    """30 s of day are a whole paid minute; the evening starts to count 30 s later."""
    # Wednesday 16:59:30 in Oslo; 30 s day, 60 s night of which 30 s are paid already.
    call = event("2026-03-04T15:59:30", 90)
    assert amounts(book, call) == [690_000 + 900_000 + 30 * 10_000]


def test_the_set_up_fee_is_that_of_the_band_in_which_the_call_starts(book: TariffBook) -> None:
    """A call from night into day pays the night's set-up fee, once."""
    call = event("2026-03-04T06:59:50", 20)  # 07:59:50 in Oslo
    assert amounts(book, call) == [490_000 + 10 * 10_000 + 900_000]


def test_a_call_through_the_spring_night_is_cut_by_the_wall_clock() -> None:
    """At 02:00 the clock jumps to 03:00; a band that starts 02:30 starts there as well."""
    source = SMALL.replace('id = "day"\nfrom = "08:00"\nweekdays = [1, 2, 3, 4, 5]',
                           'id = "day"\nfrom = "02:30"')  # fmt: skip
    book = parse_tariff(source.encode())
    call = event("2026-03-29T00:59:00", 120)  # 01:59 to 03:01 on the wall
    assert amounts(book, call) == [490_000 + 60 * 10_000 + 900_000]


def test_a_call_through_the_autumn_night_meets_the_border_twice() -> None:
    """From 02:00 to 03:00 twice: 02:30 begins a band in the first and in the second hour."""
    source = SMALL.replace('id = "day"\nfrom = "08:00"\nweekdays = [1, 2, 3, 4, 5]',
                           'id = "day"\nfrom = "02:30"')  # fmt: skip
    book = parse_tariff(source.encode())
    call = event("2026-10-25T00:00:00", 7200)
    # Half an hour night, half an hour day, the clock goes back, and the same again.
    assert amounts(book, call) == [490_000 + 2 * (1800 * 10_000 + 30 * 900_000)]


@settings(max_examples=60, deadline=None)
@given(tariffs(), events())
def test_a_refund_mirrors_its_charge(tariff: Tariff, drawn: list[Event]) -> None:
    """With the sign turned, amount and units are turned too, allowances left out."""
    offerings = tuple(replace(offering, allowances=()) for offering in tariff.offerings)
    book = compile_tariff(replace(tariff, refunds=True, offerings=offerings))
    used = [replace(e, quantity=abs(e.quantity)) for e in drawn]
    charged = rate(batch_of(used), book)
    back = rate(batch_of([replace(e, quantity=-e.quantity) for e in used]), book)
    assert back.amount_micro.tolist() == [-amount for amount in charged.amount_micro.tolist()]
    assert back.billed_units.tolist() == [-units for units in charged.billed_units.tolist()]
    assert back.reason.tolist() == charged.reason.tolist()


def test_usage_beyond_the_last_step_has_no_price() -> None:
    """A bounded last step: up to 60 s there is a price, the 61st second suspends the call."""
    book = parse_tariff(SMALL.replace('minimum = "5.00"', "until = 60").encode())
    call = event("2026-03-04T15:00:00", 60, number="47829111")
    rated = rate(batch_of([call, replace(call, key=2, quantity=61)]), book)
    assert rated.reason.tolist() == [Reason.OK, Reason.NO_RATE]
    assert rated.amount_micro.tolist() == [19_900_000, 0]


def test_a_public_holiday_is_no_weekday() -> None:
    """On 1 May, a Friday, the day band of weekdays does not begin."""
    book = parse_tariff(
        SMALL.replace("version = 1", "version = 1\nholidays = [2026-05-01]").encode()
    )
    first_of_may = event("2026-05-01T10:00:00", 60)
    assert amounts(book, first_of_may) == [490_000 + 60 * 10_000]
    a_week_later = event("2026-05-08T10:00:00", 60)
    assert amounts(book, a_week_later) == [690_000 + 900_000]


def test_the_autumn_midnight_cuts_a_split_call_at_the_local_date() -> None:
    """22:00 UTC in summer time, 23:00 UTC after the change: the date on the wall decides."""
    source = SMALL.replace("version = 1", 'version = 1\nband_split = "split"')
    book = parse_tariff(source.replace("increment = 1", "increment = 60").encode())
    for midnight in ("2026-10-24T22:00:00", "2026-10-25T23:00:00"):
        start = int(np.datetime64(midnight, "s").astype(np.int64)) - 10
        call = Event(1, start, 20, 1, "4790000001", 0, 0, 0)
        assert amounts(book, call) == [490_000 + 2 * 600_000]


def test_nothing_used_costs_nothing(book: TariffBook) -> None:
    """Neither set-up fee nor minimum is charged at quantity zero."""
    free = event("2026-03-04T15:00:00", 0)
    assert amounts(book, free, replace(free, number="4782900")) == [0, 0]


def test_the_longest_prefix_decides_and_its_minimum_holds(book: TariffBook) -> None:
    """47829 is dear although 47 is home; three seconds cost the minimum."""
    call = event("2026-03-04T15:00:00", 3, number="47829111")
    assert amounts(book, call) == [5_000_000]


def test_an_allowance_that_ends_inside_an_event_leaves_the_rest_to_pay(book: TariffBook) -> None:
    """Of 1,000 octets two sessions of 600 leave 200 to pay, with a set-up fee."""
    first = event("2026-03-04T15:00:00", 600, usage=3, group=100)
    second = replace(first, start=first.start + 1)
    third = replace(first, start=first.start + 2)
    assert amounts(book, third, first, second) == [
        100_000 + 600 * 5_000, 0, 100_000 + 200 * 5_000,
    ]  # fmt: skip


def test_an_allowance_begins_anew_at_local_midnight_of_the_month(book: TariffBook) -> None:
    """23:30 UTC on 31 March is April in Oslo."""
    march = event("2026-03-31T21:00:00", 1000, usage=3, group=100)
    assert amounts(book, march, replace(march, start=march.start + 2 * 3600)) == [0, 0]


def test_simultaneous_events_are_served_in_order_of_their_keys(book: TariffBook) -> None:
    """Same subscription, same second: the lower key gets the allowance."""
    one = event("2026-03-04T15:00:00", 800, usage=3, group=100)
    two = replace(one, key=2)
    for drawn in ([one, two], [two, one]):
        rated = rate(batch_of(drawn), book)
        given = {e.key: int(rated.free_quantity[n]) for n, e in enumerate(drawn)}
        assert given == {1: 800, 2: 200}


def test_a_late_event_is_suspended_rather_than_served_out_of_order(book: TariffBook) -> None:
    """What came before the last event served would have changed it: rate the month again."""
    second = event("2026-03-04T15:00:00", 800, usage=3, group=100, key=2)
    first = replace(second, key=1)
    done = rate(batch_of([second]), book)
    again = rate(batch_of([first]), book, done.counters)
    assert again.reason.tolist() == [Reason.LATE]
    assert again.amount_micro.tolist() == [0]
    assert again.counters.used.tolist() == [800]


def test_a_prorated_allowance_needs_its_grant() -> None:
    """The book cannot know how long a subscription was active; the counters say it."""
    source = SMALL.replace("quantity = 1000", "quantity = 1000\n  prorate = true")
    book = parse_tariff(source.encode())
    surf = batch_of([event("2026-03-04T15:00:00", 800, usage=3, group=100)])
    assert rate(surf, book).reason.tolist() == [Reason.NO_GRANT]
    zero = np.zeros(1, np.int32)
    month = np.array([2026 * 12 + 2], np.int32)
    granted = Counters.grants(zero, zero, month, np.array([500]))
    rated = rate(surf, book, granted)
    assert rated.free_quantity.tolist() == [500]
    assert rated.counters.granted.tolist() == [500]
    assert Counters.none().granted.tolist() == []
    assert NOT_STATED < 0


def test_no_price_is_suspended_and_a_price_of_zero_is_free(book: TariffBook) -> None:
    """A zone without a row is no price; nothing is ever zero by accident."""
    rated = rate(
        batch_of([
            event("2026-03-04T15:00:00", 1, usage=2, number="47829000", key=1),
            event("2026-03-04T15:00:00", 1, usage=2, number="1", key=2),
            event("2026-03-04T15:00:00", 1, usage=3, group=7, key=3),
            event("2025-12-31T22:59:59", 1, key=4),
            event("2025-12-31T23:00:00", 1, key=5),
        ]),
        book,
    )  # fmt: skip
    expected = [Reason.NO_RATE, Reason.NO_ZONE, Reason.NO_ZONE, Reason.NOT_YET_VALID, Reason.OK]
    assert rated.reason.tolist() == expected
    assert rated.component.tolist()[:4] == [-1] * 4


def test_a_call_may_end_when_its_price_does_but_not_a_second_later() -> None:
    """With a price for the day band alone it holds until midnight: only priced bands count."""
    night = SMALL.index('  [[offering.rate]]\n  usage = "voice"\n  zone = "HOME"\n  band = "night"')
    after = SMALL.index("  [[offering.rate]]", night + 1)
    book = parse_tariff((SMALL[:night] + SMALL[after:]).encode())
    until_midnight = event("2026-03-04T22:59:00", 60)
    rated = rate(batch_of([until_midnight, replace(until_midnight, key=2, quantity=61)]), book)
    assert rated.reason.tolist() == [Reason.OK, Reason.NO_RATE]


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_overflow_border_is_exact(beyond: int) -> None:
    """2**62 - 1 millionths are priced, 2**62 are not, and nothing wraps."""
    source = SMALL.replace('price = "0.50"\n  per = 100', 'price = "0.000001"\n  per = 1')
    source = source.replace('setup_fee = "0.10"', 'setup_fee = "1000000000.00"')
    source = source.replace("quantity = 1000", "quantity = 0")
    book = parse_tariff(source.encode())
    # The largest quantity at 2**2 - odd millionths each comes close; the set-up fee closes the gap.
    dear = parse_tariff(source.replace('"0.000001"', '"0.000004"').encode())
    most = event("2026-03-04T15:00:00", 2**60 - (10**15 // 4) - 1 + beyond, usage=3, group=100)
    rated = rate(batch_of([most]), dear)
    if beyond:
        assert rated.reason.tolist() == [Reason.OVERFLOW]
    else:
        assert rated.amount_micro.tolist() == [2**62 - 4]
    assert rate(batch_of([most]), book).reason.tolist() == [Reason.OK]


def test_an_allowance_for_two_kinds_of_usage_is_used_in_the_order_of_events() -> None:
    """A call that passes its own minutes takes from the common ones before a later message does."""
    extra = """
  [[offering.allowance]]
  id = "minutes"
  component = "voice"
  quantity = 60
  [[offering.allowance]]
  id = "common"
  component = ["voice", "sms"]
  quantity = 10
  [[offering.rate]]
  usage = "sms"
"""
    source = SMALL.replace('  [[offering.rate]]\n  usage = "sms"\n', extra.lstrip("\n"))
    book = parse_tariff(source.encode())
    call = event("2026-03-04T15:00:00", 70)
    text = replace(call, key=2, start=call.start + 100, usage=2, quantity=1)
    rated = rate(batch_of([call, text]), book)
    assert rated.free_quantity.tolist() == [70, 0]


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        ('amount = "5.00"', "not both"),
        ("quantity = 1\n  member_cap = 5", "only what is shared"),
        ('amount = "5.00"\n  increment = 5', "not debited in increments"),
        ("quantity = 1\n  valid_from = 2026-02-01\n  valid_to = 2026-02-01", "later than"),
        ('quantity = 1\n  priority = "first"', "priority"),
    ],
)  # fmt: skip
def test_allowances_that_contradict_themselves_are_refused(terms: str, fault: str) -> None:
    """Each fault is told with its place."""
    source = SMALL.replace("  quantity = 1000", f"  {terms}")
    if fault == "not both":
        source = SMALL.replace("quantity = 1000", f"quantity = 1000\n  {terms}")
    with pytest.raises(TariffInvalid, match=fault):
        parse_tariff(source.encode())


def test_money_pays_for_usage_but_for_no_set_up_fee() -> None:
    """Five kroner pay for 1,000 octets at half an øre; 200 more cost their price and the fee."""
    source = SMALL.replace("quantity = 1000", 'amount = "5.00"')
    book = parse_tariff(source.encode())
    first = event("2026-03-04T15:00:00", 600, usage=3, group=100)
    second = replace(first, start=first.start + 1)
    assert amounts(book, first, second) == [0, 100_000 + 200 * 5_000]
