"""The `hovedbok rating` commands, as typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.errors import Problem
from rating.cli import rating_cli
from tests.rating.staff import JUDGE, MAKER, hire
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
    hire()
    told = run("load", tariff, "--as", MAKER, "--approve-as", JUDGE).output
    assert told.startswith("Loaded SMALL/1, valid from 2026-01-01: 1 off")
    assert run("load", tariff).output.startswith("Already loaded: SMALL/1")
    (listed,) = json.loads(run("list", "--json").output)
    shown = json.loads(run("show", "--on", "2026-03-01", "--json").output)
    assert listed["content_hash"] == shown["content_hash"]
    assert "SMALL/1  from 2026-01-01" in run("list").output
    told = run("show", "--on", "2026-03-01").output
    assert "0.90 per 60 s  voice to HOME, day; " in told
    assert "299.00  Each month; by the days it is active; month" in told


def test_a_quote_from_the_loaded_book_equals_one_from_the_file(db: str, tariff: str) -> None:
    """The sum and each part, in words and for machines."""
    hire()
    run("load", tariff, "--approve-as", JUDGE)
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
        (("--month", "2026-3"), "write year and month as 2026-03"),
        (("--month", "9999-12"), "write year and month as 2026-03"),
    ],
)
def test_wrong_words_are_told_with_what_is_right(
    tariff: str, words: tuple[str, str], told: str
) -> None:
    """A time that is none, an offering that is none, a month that is none or has no next one."""
    with pytest.raises(Problem, match=told):
        run(*QUOTE, "--quantity", "1", "--file", tariff, *words)


def test_a_file_that_is_not_there_is_not_taken_for_a_version(tariff: str) -> None:
    """A mistyped path is answered as one."""
    with pytest.raises(FileNotFoundError, match="No such file"):
        run("diff", tariff, "nosuch.toml")


ROUND = (
    '{"id": "%s", "kind": "round", "expected": {"values": ["2"]}, "given": {"values": '
    '[{"value": "%s", "rounding": {"mode": "up", "scale": 0}}]}}'
)


def test_cases_are_answered_line_by_line(tmp_path: Path) -> None:
    """One line a case, in order, whatever is wrong with others; differences are told apart."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(ROUND % ("a", "1.5"))
    half = ROUND % ("\\ud800", "2.5")  # of a surrogate pair: no encoding holds it
    bad.write_text(f'{{"cases": [{half}, {ROUND % ("b", "2.5")}, 7, {ROUND % ("c", "?")}]}}')
    assert run("case", str(good)).exit_code == 0
    told = run("case", str(tmp_path / "none.json"), str(bad), str(good))
    assert told.exit_code == 1
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["id"] for line in lines] == ["\ud800", "b", None, "c", "a"]
    outcomes = [*({"result"} for _ in range(2)), {"error"}, {"error"}, {"result"}]
    assert [set(line) - {"id"} for line in lines] == outcomes
    assert '\\ud800: /expected/values/0 expected "2", got "3"\n' in told.stderr
    assert "none.json cannot be read: No such file or directory.\n" in told.stderr
    assert 'b: /expected/values/0 expected "2", got "3"\n' in told.stderr


def test_cases_need_no_database(tmp_path: Path) -> None:
    """The program itself starts no server and makes no folder; cases may come through a pipe."""
    home = tmp_path / "home"
    told = subprocess.run(
        [sys.executable, "app.py", "rating", "case", "-"],
        input=ROUND % ("a", "1.5"), capture_output=True, text=True, check=False,
        env={**os.environ, "HOVEDBOK_HOME": str(home), "DATABASE_URL": ""},
    )  # fmt: skip
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout) == {"id": "a", "result": {"values": ["2"]}}
    assert not home.exists()


def test_cases_load_no_room_above(tmp_path: Path) -> None:
    """What higher rooms add to the group is loaded when it is asked for, not by every command."""
    above = "[m for m in sys.modules if m.partition('.')[0] in ('mediation', 'reporting')]"
    code = f"import sys, app\ntry: app.main()\nfinally: print({above})"
    told = subprocess.run(
        [sys.executable, "-c", code, "rating", "case", "-"],
        input=ROUND % ("a", "1.5"), capture_output=True, text=True, check=True,
        env={**os.environ, "HOVEDBOK_HOME": str(tmp_path), "DATABASE_URL": ""},
    )  # fmt: skip
    assert told.stdout.splitlines()[1:] == ["[]"]
