"""Price lists: what `hovedbok rating show` and the page of a tariff say of it."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, date, datetime
from pathlib import Path

from rating import measures
from rating.price_list import price_lines, price_list, terms_for_all
from rating.tariff import parse_tariff
from rating.tariff_gaps import tariff_gaps
from rating.tmf620 import Listed, product_specifications
from tests.rating.tariffs import SMALL
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
    prices = price_lines(price_list(tariff, tariff.offerings[1], "en"))
    assert [line.strip() for line in prices] == [
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


ALLOWANCES = """  [[offering.allowance]]
  id = "talk"
  component = "voice"
  quantity = 18000
  shared = true
  member_cap = 90
  [[offering.allowance]]
  id = "both"
  component = ["voice", "sms"]
  quantity = 100
  [[offering.allowance]]
  id = "kroner"
  component = "sms"
  amount = "100.00"
"""
MORE = """[[offering]]
id = "MORE"
name = "Mer"
price_basis = "gross"
  [[offering.top_up]]
  allowance = "one-gb"
  quantity = 1048576
"""


def test_what_is_included_is_told_with_its_unit() -> None:
    """The terminal, the desk and the catalogue know what 18000 counts; money is money."""
    first_rate = "  [[offering.rate]]"
    source = SMALL.replace(first_rate, ALLOWANCES + first_rate, 1) + MORE
    tariff = parse_tariff(source.encode()).tariff
    told = {one.what: one for offer in tariff.offerings for one in price_list(tariff, offer, "en")}
    assert {name: one.price for name, one in told.items() if ":" in name or "Added" in name} == {
        "Included: one-gb": "1 000 octets",
        "Included: talk": "300 minutes",
        "Included: both": "100 seconds or messages",
        "Included: kroner": "100.00",
        "Added to one-gb": "1 MB",
    }
    assert told["Included: talk"].terms == "shared, member cap 90 seconds"
    listed = [Listed(tariff, "approved", None, datetime(2026, 3, 1, tzinfo=UTC))]
    specified = product_specifications(listed, date(2026, 3, 1))[0]["productSpecCharacteristic"]
    values = {one["name"]: one["productSpecCharacteristicValue"][0] for one in specified}
    assert values["both"] == {"value": 100, "unitOfMeasure": "s or message"}
    assert values["talk"] == {"value": 18000, "unitOfMeasure": "s"}


def test_the_examples_of_measures_hold() -> None:
    """A quantity is written exactly, in the largest unit that it is whole in."""
    told = doctest.testmod(measures)
    assert told.attempted == 2
    assert told.failed == 0
