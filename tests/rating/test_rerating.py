"""Rating again: late and corrected events, other prices, other grants, and the other members."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DoesNotTie, Invalid
from rating import Counters, TariffBook, rate
from rating.rerating import Correction, Result, Snapshot, affected, rerate, result_of
from rating.tariff import compile_tariff, parse_tariff
from rating.tariff_terms import Tariff
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of, double_grants, events, tariffs

SHARED = SMALL.replace("quantity = 1000", "quantity = 1000\n  shared = true")
START = 1_772_636_400  # 2026-03-04 15:00 UTC


def snapshot(book: TariffBook, drawn: list[Event], counters: Counters | None = None) -> Snapshot:
    """Put events together with their book; the charge of an event is its subscription's."""
    batch = batch_of(drawn)
    granted = double_grants(book) if counters is None else counters
    return Snapshot(batch, book, granted, batch.subscription.astype(np.int64) + 100)


def booked(one: Snapshot) -> Result:
    """Rate a snapshot as it is booked at first."""
    return result_of(rate(one.batch, one.book, one.counters), one)


def surf(key: int, at: int, quantity: int, subscription: int, pool: int = 0) -> Event:
    """Make a data session."""
    return Event(key, START + at, quantity, 3, "", 100, subscription, 0, pool=pool)


def sums(result: Result) -> dict[tuple[int, str], int]:
    """Sum what is booked by charge and component."""
    total: dict[tuple[int, str], int] = {}
    rows = zip(result.charge, result.component, result.amount_micro, result.reason, strict=True)
    for charge, component, micro, reason in rows:
        if not reason:
            key = (int(charge), str(component))
            total[key] = total.get(key, 0) + int(micro)
    return {key: micro for key, micro in total.items() if micro}


def added(result: Result, correction: Correction) -> dict[tuple[int, str], int]:
    """Book a correction on top of what stands."""
    total = sums(result)
    rows = zip(correction.charge, correction.component, correction.micro, strict=True)
    for charge, component, micro in rows:
        key = (int(charge), str(component))
        total[key] = total.get(key, 0) + int(micro)
    return {key: micro for key, micro in total.items() if micro}


@settings(max_examples=40, deadline=None)
@given(tariffs(), tariffs(), events(25), events(8), st.booleans(), st.integers(0, 10**6))
def test_what_is_booked_and_the_difference_are_the_new_result(
    tariff: Tariff, other: Tariff, drawn: list[Event], late: list[Event], change: bool, gone: int
) -> None:
    """Any events that come, go or change, at old or new prices; the second time gives nothing."""
    book = compile_tariff(tariff)
    old = snapshot(book, drawn)
    kept = {e.key: e for e in drawn if e.key % 7 != gone % 7} | {e.key: e for e in late}
    new = snapshot(compile_tariff(other) if change else book, list(kept.values()))
    first = booked(old)
    correction = rerate(old, first, new)
    whole = booked(new)
    assert added(first, correction) == sums(whole)
    for name in Result.__slots__:
        assert getattr(correction.after, name).tolist() == getattr(whole, name).tolist(), name
    again = rerate(new, correction.after, new)
    assert (len(again), len(again.event_key), again.rated_again) == (0, 0, 0)


def test_another_member_of_the_pool_is_put_right() -> None:
    """A late session of one takes what another was given; strangers are not rated again."""
    book = parse_tariff(SHARED.encode())
    drawn = [surf(1, 10, 1500, 0), surf(2, 20, 500, 1), surf(3, 10, 900, 5, pool=1)]
    old = snapshot(book, drawn)
    new = snapshot(book, [*drawn, surf(9, 0, 1000, 0)])
    correction = rerate(old, booked(old), new)
    assert correction.rated_again == 3
    assert correction.event_key.tolist() == [1, 2, 9]
    # Two thousand are granted: the late one 1,000, the first then 1,000 of 1,500, the other none.
    micro = dict(zip(correction.charge.tolist(), correction.micro.tolist(), strict=True))
    assert micro == {100: 100_000 + 500 * 5_000, 101: 100_000 + 500 * 5_000}


def test_a_price_that_changes_rates_its_offering_alone() -> None:
    """Events of offerings on the same terms are not touched."""
    second = SMALL.split("[[offering]]")[1].replace("one-gb", "two-gb").replace('"ONE"', '"TWO"')
    source = f"{SMALL}[[offering]]{second}"
    old_book = parse_tariff(source.encode())
    dearer = source[: len(SMALL)].replace('"0.50"', '"0.60"') + source[len(SMALL) :]
    new_book = parse_tariff(dearer.replace("version = 1", "version = 2").encode())
    drawn = [surf(1, 0, 3000, 0), replace(surf(2, 0, 3000, 1), offering=1)]
    old, new = snapshot(old_book, drawn), snapshot(new_book, drawn)
    correction = rerate(old, booked(old), new)
    assert (correction.rated_again, correction.event_key.tolist()) == (1, [1])
    assert correction.micro.tolist() == [2000 * 1_000]


def test_another_grant_rates_its_owner_again() -> None:
    """Less is granted to one subscription: nobody else is concerned."""
    book = parse_tariff(SMALL.replace("quantity = 1000", "quantity = 9\n  prorate = true").encode())
    drawn = [surf(1, 0, 100, 0), surf(2, 0, 100, 1)]
    who, nothing = np.array([0, 1], np.int32), np.zeros(2, np.int32)
    month = np.full(2, 2026 * 12 + 2, np.int32)
    old, new = (
        snapshot(book, drawn, Counters.grants(who, nothing, month, np.array([100, second])))
        for second in (100, 40)
    )
    correction = rerate(old, booked(old), new)
    assert (correction.rated_again, correction.event_key.tolist()) == (1, [2])
    assert correction.free_quantity.tolist() == [-60]


def test_what_cannot_be_reproduced_stops_everything() -> None:
    """A booked amount that the old snapshot does not give is told with its event."""
    book = parse_tariff(SMALL.encode())
    old = snapshot(book, [surf(7, 0, 3000, 0)])
    new = snapshot(book, [surf(7, 0, 3001, 0)])
    wrong = booked(old)
    wrong.amount_micro[0] += 1
    with pytest.raises(DoesNotTie, match="Event 7 was booked with amount_micro"):
        rerate(old, wrong, new)
    with pytest.raises(Invalid, match="not of the events"):
        rerate(old, booked(new).take(np.zeros(0, np.int64)), new)


def test_a_subscription_that_changes_its_pool_joins_both() -> None:
    """Its private allowances tie the two pools together: both are rated again."""
    book = parse_tariff(SHARED.encode())
    drawn = [surf(1, 0, 1, 0), surf(2, 9, 1, 0, pool=1), surf(3, 0, 1, 1, pool=1)]
    drawn.append(surf(4, 0, 1, 2, pool=2))
    old, new = snapshot(book, drawn), snapshot(book, [*drawn, surf(5, 5, 1, 0)])
    old_rows, new_rows = affected(old, new)
    assert (old_rows.tolist(), new_rows.tolist()) == ([0, 1, 2], [0, 1, 2, 4])
