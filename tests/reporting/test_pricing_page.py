"""docs/pricing.md computes what it says: its Python, its quotes and its tariff keys."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from rating.cli import rating_cli
from rating.tariff import parse_tariff
from tests.flows.transcript import difference, fits, steps

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pricing.md"
FRAME = """format = "hovedbok-tariff/1"
name = "MOBIL"
version = 1
valid_from = 2026-01-01
currency = "NOK"
time_zone = "Europe/Oslo"
[[zone]]
id = "NORWAY"
prefixes = ["47"]
[[band]]
id = "night"
from = "00:00"
[[band]]
id = "day"
from = "08:00"
[[band]]
id = "night"
from = "17:00"
[[component]]
id = "voice.national"
text = "Samtaler i Norge"
revenue = "voice"
vat = "3"
unit = "s"
[[offering]]
id = "MOBIL"
name = "Mobil"
price_basis = "gross"
"""


def test_the_worked_examples_come_to_what_the_page_says() -> None:
    """Each `>>>` of the page gives the line below it, with the functions that bill customers."""
    told = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert told.attempted >= 15
    assert told.failed == 0


def test_the_quotes_come_to_what_the_page_says(tmp_path: Path) -> None:
    """The rates before each quote of the page, in a tariff, give the sentences below it."""
    page = PAGE.read_text("utf-8")
    rates = [toml for toml in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "rate]" in toml]
    quotes = list(steps(page))
    assert len(quotes) == len(rates) >= 2
    tariff = tmp_path / "tariff.toml"
    for step, toml in zip(quotes, rates, strict=True):
        tariff.write_text(FRAME + toml)
        program, room, *words = shlex.split(step.command)
        assert (program, room) == ("hovedbok", "rating")
        words = [str(tariff) if word == tariff.name else word for word in words]
        done = CliRunner().invoke(rating_cli, words, catch_exceptions=False)
        assert fits(step.output, done.output), difference(step.output, done.output)


def test_the_holidays_on_the_page_are_a_tariff_that_loads() -> None:
    """Keys of the top level stand before the first table, as on the page."""
    page = PAGE.read_text("utf-8")
    found = re.search(r"```toml\n(holidays.*?)\n(\[\[band.*?)```", page, re.DOTALL)
    assert found
    book = parse_tariff((FRAME.replace("[[zone]]", f"{found[1]}\n{found[2]}[[zone]]", 1)).encode())
    assert [band.weekdays for band in book.tariff.bands if band.id == "weekend"] == [(6, 7, 8)]
    assert len(book.tariff.holidays) == 2


def test_the_sections_on_the_page_are_a_tariff_that_loads() -> None:
    """Every section of a tariff that the page shows, in one file."""
    page = PAGE.read_text("utf-8")
    shown = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    sections = [toml for toml in shown if toml.startswith("[[")]
    assert sections
    parse_tariff((FRAME + "".join(sections)).encode())
