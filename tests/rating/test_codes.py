"""Codes of explanations: parts computed apart from the kernel, which must sum to its amounts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import DoesNotTie
from rating import parse_tariff, rate
from rating.codes import check_codes, codes_of
from rating.explain import explain_event
from rating.phrases import PHRASES
from rating.tariff import compile_tariff
from rating.tariff_terms import Tariff
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of, double_grants, events, tariffs

BOOK = parse_tariff(SMALL.encode())
CALL = Event(1, 1_772_639_970, 90, 1, "4790000001", 0, 0, 0)  # 2026-03-04 16:59:30 in Oslo


@settings(max_examples=60, deadline=None)
@given(tariffs(), events(), st.booleans())
def test_the_codes_of_every_event_sum_to_its_amount(
    tariff: Tariff, drawn: list[Event], refunds: bool
) -> None:
    """Bands, steps, allowances, minimum, most, roundings, refunds: the second opinion agrees."""
    book = compile_tariff(replace(tariff, refunds=refunds))
    if refunds:
        drawn = [replace(e, quantity=-e.quantity) if e.key % 3 == 0 else e for e in drawn]
    batch = batch_of(drawn)
    rated = rate(batch, book, double_grants(book))
    codes = codes_of(batch, rated, book)
    check_codes(codes, batch, rated, book)
    setup = PHRASES["en"]["setup"]
    for row in range(len(drawn)):
        parts = explain_event(batch, rated, book, row, "en").parts
        assert codes.setup_micro[row] == sum(p.amount_micro for p in parts if p.text == setup)
        assert (codes.pieces[row] > 0) == (rated.rate_row[row] >= 0)


def test_codes_name_band_step_and_limit() -> None:
    """A call over two bands begins in the day; a short one is lifted to the minimum."""
    batch = batch_of([CALL, replace(CALL, key=2, number="4782900", quantity=3)])
    rated = rate(batch, BOOK)
    codes = codes_of(batch, rated, BOOK)
    bands = [band.id for band in BOOK.tariff.bands]
    assert bands[codes.band[0]] == "day"
    assert codes.pieces.tolist() == [2, 1]
    assert codes.step.tolist() == [0, 0]
    assert codes.setup_micro.tolist()[0] == 690_000
    assert codes.usage_micro.tolist() == [1_200_000, 995_000]
    assert codes.limit_micro.tolist() == [0, 4_005_000]


def test_what_only_its_limit_makes_payable_is_explained_as_far_as_columns_go() -> None:
    """Data worth 10**20 millionths for at most five kroner: the parts still sum to the amount."""
    (offering,) = BOOK.tariff.offerings
    dear = [
        replace(one, price_micro=10**12, per=1, steps=(), max_charge_micro=5_000_000)
        for one in offering.rates
    ]
    book = compile_tariff(replace(BOOK.tariff, offerings=(replace(offering, rates=tuple(dear)),)))
    batch = batch_of([replace(CALL, usage=3, number="", group=100, quantity=10**8)])
    rated = rate(batch, book)
    codes = codes_of(batch, rated, book)
    check_codes(codes, batch, rated, book)
    assert rated.amount_micro.tolist() == [5_000_000]
    assert codes.usage_micro.tolist() == [2**62 - 1]


def test_an_amount_that_is_not_explained_is_refused() -> None:
    """One millionth too much on one event names the event and both sums."""
    batch = batch_of([CALL, replace(CALL, key=7)])
    rated = rate(batch, BOOK)
    codes = codes_of(batch, rated, BOOK)
    rated.amount_micro[1] += 1
    with pytest.raises(DoesNotTie, match=r"Event 7 was rated at 1890001.*sums to 1890000; 1 of 2"):
        check_codes(codes, batch, rated, BOOK)
