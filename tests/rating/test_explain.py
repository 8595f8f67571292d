"""Explanations as people read them; that they sum is tested with the pipeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.errors import DoesNotTie
from rating import Reason, parse_tariff, rate
from rating.explain import explain_event
from rating.phrases import PHRASES
from tests.rating.oracle import Event
from tests.rating.tariffs import SMALL, batch_of

CALL = Event(1, 1_772_639_970, 90, 1, "4790000001", 0, 0, 0)  # 2026-03-04 16:59:30 in Oslo
BOOK = parse_tariff(SMALL.encode())


def test_a_call_over_two_bands_in_norwegian() -> None:
    """Zone and prefix, each portion with its price, the sum and whether VAT is in it."""
    batch = batch_of([CALL])
    assert explain_event(batch, rate(batch, BOOK), BOOK, 0).sentences == (
        "Anrop til 4790000001, sone HOME (prefiks 47), 2026-03-04 16:59:30, 1 min 30 s, En.",
        "Oppstartspris: 0,69.",
        "30 s i tidsrom day, betales som 60 s à 0,90 per 60 s: 0,90.",
        "1 min 00 s i tidsrom night, betales som 30 s à 0,60 per 60 s: 0,30.",
        "Sum 1,89 kr med mva.",
    )


def test_a_session_beyond_its_allowance_in_english() -> None:
    """What is included is told apart from what is paid."""
    surf = replace(CALL, usage=3, group=100, quantity=1200)
    batch = batch_of([surf])
    assert explain_event(batch, rate(batch, BOOK), BOOK, 0, "en").sentences == (
        "Data, zone DATA (rating group 100), 2026-03-04 16:59:30, 1200 B, En.",
        "1000 B is included in one-gb; the rest is paid for.",
        "Set-up fee: 0.10.",
        "200 B, charged as 200 B at 0.50 per 100 B: 1.00.",
        "Total 1.10 NOK including VAT.",
    )


def test_a_minimum_is_a_part_of_its_own() -> None:
    """What the minimum adds is told, so that the sum can be redone by hand."""
    batch = batch_of([replace(CALL, number="4782900", quantity=3)])
    explained = explain_event(batch, rate(batch, BOOK), BOOK, 0, "en")
    assert [part.amount_micro for part in explained.parts] == [995_000, 4_005_000]
    assert explained.parts[1].text == "Up to the minimum of 5.00"


def test_what_has_no_price_says_why() -> None:
    """A suspended event has no parts and one reason."""
    batch = batch_of([replace(CALL, number="1", start=-5)])
    explained = explain_event(batch, rate(batch, BOOK), BOOK, 0, "en")
    assert explained.parts == ()
    assert explained.sentences[-1].startswith("Not priced: the instant or the quantity")


def test_every_reason_has_its_words_in_both_languages() -> None:
    """No reason code is left without a sentence, and the languages say the same things."""
    assert set(PHRASES["nb"]) == set(PHRASES["en"])
    assert {reason.name for reason in Reason} - {"OK"} <= set(PHRASES["nb"])


def test_an_explanation_from_another_book_is_refused() -> None:
    """The wrong book would explain another amount than was charged."""
    batch = batch_of([CALL])
    dearer = parse_tariff(SMALL.replace('"0.90"', '"0.95"').encode())
    with pytest.raises(DoesNotTie):
        explain_event(batch, rate(batch, BOOK), dearer, 0)
