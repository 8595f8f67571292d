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
        "Pris etter SMALL/1, gyldig fra 2026-01-01.",
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
        "Priced by SMALL/1, in force from 2026-01-01.",
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


EXTRAS = SMALL.replace("version = 1", 'version = 1\nrefunds = "charged"', 1).replace(
    'minimum = "5.00"',
    """minimum = "5.00"
  max_charge = "20.00"
  round_to = "0.01"
  rounding = "up"
  [[offering.rate.step]]
  from = 60
  price = "0.31"
  per = 60""",
)


def test_steps_cap_rounding_and_refunds_are_told() -> None:
    """Each part of the amount has its sentence, in the order in which it is added."""
    book = parse_tariff(EXTRAS.encode())
    dear = replace(CALL, number="47829111", quantity=-61)
    batch = batch_of([dear])
    told = explain_event(batch, rate(batch, book), book, 0)
    assert told.sentences[2:] == (
        "En tilbakebetaling: det bruken ville ha kostet, med motsatt fortegn.",
        "1 min 00 s, betales som 60 s à 19,90 per 60 s: -19,90.",
        "1 s etter 1 min 00 s, betales som 1 s à 0,31 per 60 s: -0,005167.",
        "Avrunding til hele 0,01: -0,004833.",
        "Sum -19,91 kr med mva.",
    )
    long = batch_of([replace(dear, quantity=6000)])
    assert explain_event(long, rate(long, book), book, 0).sentences[-2:] == (
        "Ned til høyesteprisen 20,00: -30,59.",
        "Sum 20,00 kr med mva.",
    )


def test_a_continuation_says_why_it_pays_no_set_up_fee() -> None:
    """The first part of the session has paid it."""
    batch = batch_of([replace(CALL, continues=True)])
    assert (
        "Continues a session that has paid its set-up fee: 0.00."
        in explain_event(batch, rate(batch, BOOK), BOOK, 0, "en").sentences
    )
