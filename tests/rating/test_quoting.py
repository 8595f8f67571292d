"""Quotes: what an event, a bundle or a month costs is what the kernels that bill make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Invalid
from ledger.service import seed_book
from rating import service
from rating.quoted_allowances import Remaining
from rating.quoted_asking import Asked, Order
from rating.quoted_events import Event
from rating.quoting import quote
from rating.recurring import month_span
from rating.tariff import OfferingUnknown, parse_tariff
from rating.versions import InForce
from tests.flows.test_pools import TARIFF
from tests.flows.test_rollover import COMPONENT, OFFERINGS
from tests.rating.tariffs import SMALL
from tests.rating.test_cli import run

MARCH = "2026-03"
ALONE = [InForce(parse_tariff(SMALL.encode()), *month_span(MARCH))]
RATES = {"3": 2500}
SECOND = SMALL.replace("version = 1", "version = 2").replace("2026-01-01", "2026-03-15").replace(
    '"299.00"', '"599.00"'
)  # fmt: skip


def surf(day: int, octets: int) -> Event:
    """A session of data at noon."""
    return Event(
        "data", datetime.fromisoformat(f"2026-03-{day:02}T12:00"), octets, rating_group=100
    )


def test_a_bundle_draws_on_one_allowance_in_the_order_of_time() -> None:
    """The later event is asked for first; it pays for what the earlier one left over."""
    told = quote(ALONE, Asked("ONE", MARCH, (surf(9, 600), surf(8, 600))), "en")
    late, early = told.events
    assert (early.amount_micro, late.amount_micro) == (0, 100_000 + 200 * 5_000)
    assert "600 B is included in one-gb; nothing to pay." in early.explanation.sentences
    assert "Priced by SMALL/1, in force from 2026-01-01." in late.explanation.sentences
    (charge,) = told.charges
    assert (charge.component, charge.kind, charge.amount_minor) == ("surf", "usage", 1_10)
    assert told.net_minor is None


def test_a_month_has_its_prices_its_orders_and_its_vat() -> None:
    """299 by 17 of 31 days, 99 once, both with VAT inside, split as a bill splits them."""
    asked = Asked(
        "ONE", MARCH, (surf(20, 1200),), (Order("add", date(2026, 3, 15)),), date(2026, 3, 15)
    )
    told = quote(ALONE, asked, "nb", RATES)
    by_kind = {charge.kind: charge for charge in told.charges}
    assert by_kind["recurring"].amount_minor == 163_97
    assert by_kind["recurring"].sentences == (
        "Abonnement: 299,00 i måneden, 17 av 31 dager: 163,967742, etter SMALL/1.",
    )
    assert by_kind["one_off"].sentences == ("Etablering: 99,00 én gang, etter SMALL/1.",)
    amounts = [charge.amount_minor for charge in told.charges]
    assert told.gross_minor == sum(amounts) == 163_97 + 99_00 + 1_10
    assert told.net_minor == 131_18 + 79_20 + 88
    assert told.vat_minor == told.gross_minor - told.net_minor


def test_a_net_tariff_has_vat_on_the_sum() -> None:
    """299.00 and 99.00 without VAT carry 25 % of their sum."""
    net = parse_tariff(SMALL.replace('"gross"', '"net"').encode())
    asked = Asked("ONE", MARCH, (), (Order("add", date(2026, 3, 1)),), date(2026, 3, 1))
    told = quote([InForce(net, *month_span(MARCH))], asked, "en", RATES)
    assert (told.net_minor, told.vat_minor, told.gross_minor) == (398_00, 99_50, 497_50)


def test_a_month_of_two_versions_is_quoted_by_days() -> None:
    """14 days at 299 and 17 at 599; each sentence names its version."""
    first, after = month_span(MARCH)
    versions = [
        InForce(parse_tariff(SMALL.encode()), first, first + 14),
        InForce(parse_tariff(SECOND.encode()), first + 14, after),
    ]
    told = quote(versions, Asked("ONE", MARCH, active_from=date(2026, 1, 1)), "en")
    (charge,) = told.charges
    assert charge.sentences == (
        "Abonnement: 299.00 a month, 14 of 31 days: 135.032258, by SMALL/1.",
        "Abonnement: 599.00 a month, 17 of 31 days: 328.483871, by SMALL/2.",
    )
    assert charge.amount_minor == 463_52


def test_what_cannot_be_quoted_says_why() -> None:
    """An event of another month, an order that is none, a product not sold, no price."""
    with pytest.raises(Invalid, match="outside 2026-03"):
        quote(ALONE, Asked("ONE", MARCH, (Event("sms", datetime.fromisoformat("2026-04-01"), 1),)))
    with pytest.raises(Invalid, match="choose among add"):
        quote(ALONE, Asked("ONE", MARCH, orders=(Order("gift", date(2026, 3, 1)),)))
    with pytest.raises(OfferingUnknown):
        quote(ALONE, Asked("TWO", MARCH, active_from=date(2026, 3, 1)))
    lost = quote(
        ALONE, Asked("ONE", MARCH, (Event("voice", datetime.fromisoformat("2026-03-02"), 9, "99"),))
    )
    assert (lost.priced, lost.events[0].reason, lost.charges) == (False, "NO_ZONE", ())


def test_a_quote_keeps_nothing_and_may_be_of_a_proposal(session: Session) -> None:
    """What waits for approval is quoted by its label, as if it were in force all month."""
    seed_book(session, "NO01")
    service.load_tariff(session, SMALL.encode())
    service.propose_tariff(session, SECOND.encode(), actor="staff:maja")
    asked = Asked("ONE", MARCH, active_from=date(2026, 3, 1))
    assert service.quote(session, asked).gross_minor == 299_00
    assert service.quote(session, asked, tariff="SMALL/2").gross_minor == 599_00
    for table in ("charge_key", "charge_delta", "rating_run", "posting_batch"):
        assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


def test_the_command_quotes_bundles_and_months(tmp_path: Path) -> None:
    """From a file, without a database: events as the REST API takes them, and a month."""
    tariff, events = tmp_path / "small.toml", tmp_path / "events.json"
    tariff.write_text(SMALL)
    events.write_text(json.dumps([
        {"usage": "data", "start": "2026-03-08T12:00", "quantity": 1200, "rating_group": 100},
        {"usage": "sms", "start": "2026-03-09T12:00", "quantity": 2, "called": "4790000001"},
    ]))  # fmt: skip
    base = ("quote", "--file", str(tariff), "--offering", "ONE", "--language", "en")
    told = run(*base, "--month", MARCH, "--events", str(events), "--order", "add:2026-03-01")
    assert told.exit_code == 0
    assert "Abonnement (month, gross): 299.00" in told.output
    assert "Mobildata (surf, gross): 1.10" in told.output
    facts = json.loads(run(*base, "--events", str(events), "--json").output)
    assert [charge["component"] for charge in facts["charges"]] == ["surf", "sms"]
    events.write_text('[{"usage": "sms", "start": "2026-03-09T12:00", "quantty": 2}]')
    with pytest.raises(Invalid, match=r"event\[1\]\.quantity: needs an integer"):
        run(*base, "--events", str(events))
    with pytest.raises(Invalid, match="An event needs"):
        run(*base, "--usage", "sms")
    with pytest.raises(Invalid, match="is no order"):
        run(*base, "--month", MARCH, "--order", "add")


def _call(day: int, seconds: int) -> Event:
    start = datetime.fromisoformat(f"2026-04-{day:02}T10:00")
    return Event("voice", start, seconds, "4790000009")


APRIL = "2026-04"
KEPT = [InForce(parse_tariff((TARIFF + COMPONENT + OFFERINGS).encode()), *month_span(APRIL))]


def test_a_quote_of_a_real_subscription_knows_what_is_left_and_what_rolled_over() -> None:
    """As the run of `tests/flows/test_rollover.py`: 600 of its own, 250 from March, 300 bought."""
    calls = (_call(5, 700), _call(6, 300))
    alone = Asked("MOBIL", APRIL, calls)
    rolled = replace(alone, remaining=(Remaining("minutes", 250, 1),))

    def cost(asked: Asked) -> list[int]:
        return [event.amount_micro // 10_000 for event in quote(KEPT, asked).events]

    assert cost(alone) == [100, 300]
    assert cost(rolled) == [0, 150]
    (first, second) = quote(KEPT, rolled, "en").events
    told = " ".join(first.explanation.sentences)
    assert "minutes carried over from the month before (4 min 10 s), minutes (7 min 30 s)" in told
    assert cost(replace(alone, remaining=(Remaining("minutes", 20),))) == [680, 300]
    # Bought on the 6th: not for the call of the 5th; it costs what the add-on costs.
    topped = replace(rolled, orders=(Order("addon", date(2026, 4, 6), "EXTRA"),))
    assert cost(topped) == [0, 0]
    (extra,) = [one for one in quote(KEPT, topped).charges if one.kind == "one_off"]
    assert extra.amount_minor == 49_00
    late = replace(rolled, orders=(Order("addon", date(2026, 4, 7), "EXTRA"),))
    assert cost(late) == [0, 150]
    assert second.reason == "OK"


def test_what_cannot_be_left_is_refused() -> None:
    """A name the tariff has not, a month too long ago, twice the same."""
    for remaining, told in (
        ((Remaining("minuets", 1),), "Nothing of minuets from 0 months ago"),
        ((Remaining("minutes", 1, 2),), "Nothing of minutes from 2 months ago"),
        ((Remaining("minutes", 1), Remaining("minutes", 2)), "said twice"),
    ):
        with pytest.raises(Invalid, match=told):
            quote(KEPT, Asked("MOBIL", APRIL, (_call(5, 1),), remaining=remaining))


def test_what_is_prorated_is_quoted_by_the_days() -> None:
    """From the 16th on half of April's 600 seconds are there."""
    half = (
        TARIFF
        + COMPONENT
        + OFFERINGS.replace('rollover = "100"', "prorate = true").replace(
            "  rollover_most = 400\n  rollover_first = true\n", ""
        )
    )
    versions = [InForce(parse_tariff(half.encode()), *month_span(APRIL))]
    asked = Asked("MOBIL", APRIL, (_call(20, 400),), active_from=date(2026, 4, 16))
    assert quote(versions, asked).events[0].amount_micro == 1_000_000
    whole = replace(asked, active_from=None)
    assert quote(versions, whole).events[0].amount_micro == 0


def test_the_command_is_told_what_is_left(tmp_path: Path) -> None:
    """The same by options; what is not written so is refused."""
    tariff = tmp_path / "kept.toml"
    tariff.write_text(TARIFF + COMPONENT + OFFERINGS)
    base = (
        "quote", "--file", str(tariff), "--offering", "MOBIL", "--usage", "voice", "--called",
        "4790000009", "--start", "2026-04-06T10:00", "--quantity", "1000", "--json",
    )  # fmt: skip
    told = run(*base, "--remaining", "minutes:100", "--remaining", "minutes:250:1",
               "--order", "addon:2026-04-06:EXTRA")  # fmt: skip
    assert json.loads(told.output)["events"][0]["amount"] == "3.50"
    with pytest.raises(Invalid, match="does not say what is left"):
        run(*base, "--remaining", "minutes")
