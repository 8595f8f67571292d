"""The published schema: made from the reader, complete, and never stricter than the reader."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from rating.cli import rating_cli
from rating.reading import Reader
from rating.tariff_keys import MEANINGS
from rating.tariff_schema import _Describer, tariff_schema
from tests.rating.tariffs import SMALL
from tests.rating.test_explain import EXTRAS
from tests.rating.test_tariff import FAULTS

ROOT = Path(__file__).resolve().parents[2]
SOUND = {
    "small": SMALL,
    "extras": EXTRAS,
    "demo": (ROOT / "mediation/demo/nordlys.toml").read_text("utf-8"),
}
# What a schema cannot say: names that must exist, doubles, prices that contradict themselves.
BEYOND = (
    "time_zone", "is empty", "defined twice", "is defined", "there is no", "priced twice",
    "of unit", "is below", "must be in order", "last step", "not TOML", "did you mean DATA",
    "did you mean Europe", "did you mean sms?", "valid_from: needs", "prefix 47829", "component of",
)  # fmt: skip


def plain(source: str) -> Any:
    """Give a tariff as JSON holds it: dates are texts."""
    return json.loads(json.dumps(tomllib.loads(source), default=date.isoformat))


def keys(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """List the keys of a schema with their paths."""
    for key, terms in schema["properties"].items():
        yield f"{path}{key}"
        if terms.get("items", {}).get("type") == "object":
            yield from keys(terms["items"], f"{path}{key}.")


@pytest.mark.parametrize("name", SOUND)
def test_what_reading_accepts_the_schema_accepts(name: str) -> None:
    """An editor that uses the schema marks nothing in a sound file."""
    Draft202012Validator(tariff_schema()).validate(plain(SOUND[name]))


@pytest.mark.parametrize(
    ("good", "bad"),
    [(good, bad) for good, bad, told in FAULTS if not any(word in told for word in BEYOND)],
)
def test_what_one_key_may_not_be_the_schema_refuses(good: str, bad: str) -> None:
    """Misspelt keys, wrong types, values out of range, what is missing."""
    broken = plain(SMALL.replace(good, bad, 1))
    assert not Draft202012Validator(tariff_schema()).is_valid(broken)


def test_the_schema_is_itself_sound() -> None:
    """Of the draft it names."""
    schema = tariff_schema()
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_every_key_says_what_it_means() -> None:
    """A key that reading learns needs a sentence in rating/tariff_keys.py; none is left over."""
    assert set(keys(tariff_schema())) == set(MEANINGS)


def test_a_way_of_asking_that_cannot_be_described_is_told() -> None:
    """A reader that learns a new kind of value must teach it to the schema."""

    class Learned(_Describer):
        def percent(self, key: str) -> Any:
            return Reader.read(self, key, 0)

    table = Learned({})
    table.name("id")
    table.percent("share")
    with pytest.raises(LookupError, match="share"):
        table.schema()


def test_the_command_prints_the_schema() -> None:
    """Needs no database."""
    done = CliRunner().invoke(rating_cli, ["schema"], catch_exceptions=False)
    assert json.loads(done.output) == tariff_schema()
