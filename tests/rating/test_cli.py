"""The `hovedbok rating` commands, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.errors import Problem
from rating.cli import rating_cli
from tests.rating.tariffs import SMALL


@pytest.fixture
def tariff(tmp_path: Path) -> str:
    """A tariff file."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return str(path)


def run(*words: str) -> Result:
    """Run a command; problems come out as they are, the program's door words them."""
    return CliRunner().invoke(rating_cli, words, catch_exceptions=False)


QUOTE = ("quote", "--offering", "ONE", "--usage", "voice", "--start", "2026-03-04T16:59:30")


def test_a_tariff_is_loaded_listed_and_shown(db: str, tariff: str) -> None:
    """Loading twice says so; the list and the book show the same content."""
    assert run("list").output.startswith("No tariff book is loaded.")
    assert run("load", tariff).output.startswith("Loaded SMALL/1, valid from 2026-01-01: 1 off")
    assert run("load", tariff).output.startswith("Already loaded: SMALL/1")
    (listed,) = json.loads(run("list", "--json").output)
    shown = json.loads(run("show", "--on", "2026-03-01", "--json").output)
    assert listed["content_hash"] == shown["content_hash"]
    assert "SMALL/1  from 2026-01-01" in run("list").output
    told = run("show", "--on", "2026-03-01").output
    assert "0.90 per 60  voice to HOME in band day" in told
    assert "299.00 a month  month" in told


def test_a_quote_from_the_loaded_book_equals_one_from_the_file(db: str, tariff: str) -> None:
    """The sum and each part, in words and for machines."""
    run("load", tariff)
    words = (*QUOTE, "--called", "4790000001", "--quantity", "90", "--json")
    quoted = run(*words)
    assert json.loads(quoted.output) == json.loads(run(*words, "--file", tariff).output)
    answer = json.loads(quoted.output)
    assert (answer["amount"], answer["reason"]) == ("1.89", "OK")
    assert [part["amount"] for part in answer["parts"]] == ["0.69", "0.90", "0.30"]


def test_a_quote_without_a_price_says_why_and_fails(tariff: str) -> None:
    """No database is needed with a file; exit 1 tells scripts that there is no price."""
    words = (*QUOTE, "--called", "99", "--quantity", "1", "--file", tariff, "--language", "en")
    quoted = run(*words)
    assert quoted.exit_code == 1
    assert quoted.output.splitlines()[-1] == "Not priced: no zone matches."


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--start", "yesterday"), "write it as 2026-03-29T01:30"),
        (("--offering", "TWO"), "TWO is not in tariff book SMALL/1"),
    ],
)
def test_wrong_words_are_told_with_what_is_right(
    tariff: str, words: tuple[str, str], told: str
) -> None:
    """A time that is none and an offering that is none."""
    with pytest.raises(Problem, match=told):
        run(*QUOTE, "--quantity", "1", "--file", tariff, *words)
