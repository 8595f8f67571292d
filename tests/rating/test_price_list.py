"""Price lists: what `hovedbok rating show` and the page of a tariff say of it."""

from __future__ import annotations

import re
from pathlib import Path

from rating.price_list import price_lines, price_list, terms_for_all
from rating.tariff import parse_tariff
from rating.tariff_gaps import tariff_gaps
from tests.rating.test_conditions import TARIFF as CONDITIONS
from tests.rating.test_margins import WHOLESALE
from tests.reporting.test_pricing_page import FRAME

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pricing.md"


def test_the_sections_of_the_pricing_page_are_told() -> None:
    """What holds for all, and the price list of an offering, each with its terms by their keys."""
    shown = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    sections = "".join(toml for toml in shown if toml.startswith("[["))
    tariff = parse_tariff((FRAME + sections).encode()).tariff
    told = [line.strip() for line in price_lines(terms_for_all(tariff, "en"))]
    assert told[0] == "Exchange: EUR; currency EUR, valid_from 2026-03-01, rate 11.514"
    assert told[-1] == (
        "Frames: SKOLE; id SKOLE, parent KOMMUNE, terms component voice.national, percent 0.00, "
        "valid_from 2026-07-01"
    )
    assert [line.strip() for line in price_lines(price_list(tariff.offerings[1], "en"))] == [
        "499.00  Each month; by the days it is active; voice.national",
        (
            "Fair use: voice.national; components voice.national, surcharge voice.national; "
            "voice.national"
        ),
        "Bindings; component voice.national, months 12, charge 2400.00; voice.national",
    ]


def test_what_partners_ask_is_told_as_such() -> None:
    """A wholesale tariff says so, and its currency, before anything else."""
    listed = terms_for_all(parse_tariff(WHOLESALE.encode()).tariff)
    assert [one.what for one in listed] == ["Prices of partners", "Currency"]


def test_a_component_of_a_section_is_used() -> None:
    """A surcharge is no forgotten component."""
    told = [str(fault) for fault in tariff_gaps(parse_tariff(CONDITIONS.encode()).tariff)]
    assert not [line for line in told if "component" in line]
