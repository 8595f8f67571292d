"""What `hovedbok rating show` says of the sections of a tariff."""

from __future__ import annotations

import re
from pathlib import Path

from rating.section_listing import contract_lines, section_lines
from rating.tariff import parse_tariff
from rating.tariff_gaps import tariff_gaps
from tests.rating.tariffs import SMALL
from tests.rating.test_conditions import TARIFF as CONDITIONS
from tests.rating.test_frames import TARIFF as FRAMES
from tests.rating.test_margins import WHOLESALE
from tests.reporting.test_pricing_page import FRAME

ROLLING = """  quantity = 1000
  rollover = "12.5"
  rollover_most = 300
  rollover_months = 2
"""
TOP_UP = """[[offering]]
id = "MORE"
name = "Mer"
price_basis = "gross"
  [[offering.top_up]]
  allowance = "one-gb"
  quantity = 500
"""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "pricing.md"


def test_every_section_of_the_pricing_page_is_told() -> None:
    """Rates, carried prices, caps, limits, terms, frames and discounts, as people read them."""
    shown = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    sections = "".join(toml for toml in shown if toml.startswith("[["))
    tariff = parse_tariff((FRAME + sections).encode()).tariff
    assert section_lines(tariff) == [
        "1 EUR is 11.514 NOK from 2026-03-01",
        "1 EUR is 11.50 NOK from 2025-05-15",
        (
            "service 1980: the event's own price, 10 %, 0.50, at least 1.00, at most 25.00 added, "
            "voice.national from 2026-01-01"
        ),
        "  of which STREX 3.5 % and 0.25; own 15 % and 0.00; Spill AS the rest",
        "wholesale cap on data abroad 1.10 EUR per gigabyte from 2026-01-01",
        (
            "limit data-roaming 50.00 EUR a month on voice.national from 2026-01-01, told at 80 %"
            ", stops"
        ),
        "consumers are bound 12 months at most, from 2025-01-01",
        "discount FAMILY 12.5 % off voice.national with 3 subscriptions",
        "discount BUNDLE 50.00 off voice.national with FRI",
        "frame KOMMUNE",
        "  20 % off voice.national from 2026-01-01",
        "frame SKOLE under KOMMUNE",
        "  list price voice.national from 2026-07-01",
    ]
    assert contract_lines(tariff.offerings[1]) == [
        "fair use of voice.national; beyond, the cap per gigabyte, voice.national",
        "   2400.00 falling over 12 months, voice.national",
    ]


def test_other_tariffs_tell_what_they_have() -> None:
    """A wholesale tariff says so; frames of offerings, and discounts by days."""
    assert section_lines(parse_tariff(WHOLESALE.encode()).tariff) == [
        "holds what partners ask of us; customers do not pay by it"
    ]
    assert contract_lines(parse_tariff(FRAMES.encode()).tariff.offerings[0]) == [
        "terms of frame SALG"
    ]
    offering = SMALL.replace("  quantity = 1000\n", ROLLING, 1) + TOP_UP
    own, more = parse_tariff(offering.encode()).tariff.offerings
    assert contract_lines(own) == [
        "12.5 % of what is left of one-gb rolls over, 300 at most, serves 2 more months"
    ]
    assert contract_lines(more) == ["adds 500 to one-gb until the month ends"]
    assert section_lines(parse_tariff(CONDITIONS.encode()).tariff)[0] == (
        "discount BUNDLE 50.00 off month of MOBIL with BREDBAND from 2026-03-05 before 2026-03-28"
    )


def test_a_component_of_a_section_is_used() -> None:
    """A surcharge is no forgotten component."""
    told = [str(fault) for fault in tariff_gaps(parse_tariff(CONDITIONS.encode()).tariff)]
    assert not [line for line in told if "component" in line]
