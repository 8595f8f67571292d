"""A tariff written anew says the same: it loads to the same content hash."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from jsonschema import Draft202012Validator

from rating.explain import kroner
from rating.tariff import compile_tariff, parse_tariff
from rating.tariff_diff import tariff_diff
from rating.tariff_references import wrong_references
from rating.tariff_schema import tariff_schema
from rating.tariff_terms import FORMAT, Tariff
from rating.tariff_writing import rewrite, write
from tests.rating.tariffs import SMALL, tariffs
from tests.rating.test_cli import run
from tests.rating.test_tariff_schema import SOUND, plain

# How a file calls what the frozen values call otherwise.
NAMES = {
    "zones": "zone", "bands": "band", "components": "component", "offerings": "offering",
    "allowances": "allowance", "rates": "rate", "steps": "step", "start": "from",
    "from_second": "from", "setup_micro": "setup_fee", "whole_step": "step_mode",
}  # fmt: skip


def content_of(value: Any) -> Any:
    """Write frozen values as a file holds them; what is at its default stays out."""
    content = {}
    for field in fields(value):
        found = getattr(value, field.name)
        key = NAMES.get(field.name, field.name.removesuffix("_micro"))
        if found is None or found == field.default or (key == "minimum" and not found):
            continue
        if field.name == "whole_step":
            found = "whole"
        elif field.name == "refunds":
            found = "charged"
        elif field.name.endswith("_micro"):
            found = kroner(found, "en")
        elif field.name == "from_second":
            found = f"{found // 3600:02}:{found // 60 % 60:02}"
        elif isinstance(found, tuple):
            found = [content_of(one) if hasattr(one, "__slots__") else one for one in found]
        content[key] = found
    if "money" in content:
        del content["money"]
        content["amount"] = kroner(content.pop("quantity"), "en")
    return content


@settings(max_examples=25, deadline=None)
@given(tariffs())
def test_what_is_written_reads_as_it_was(tariff: Tariff) -> None:
    """Random tariffs: written, read, and the hash is the same; the schema accepts every one."""
    zones = (
        zone if zone.prefixes or zone.rating_groups else replace(zone, rating_groups=(n,))
        for n, zone in enumerate(tariff.zones, 900)
    )
    # A file's holidays are in order, and something reaches each of its zones.
    tariff = replace(tariff, zones=tuple(zones), holidays=tuple(sorted(tariff.holidays)))
    assume(not wrong_references(tariff))
    source = write({"format": FORMAT, **content_of(tariff)})
    read = parse_tariff(source.encode())
    assert tariff_diff(tariff, read.tariff).changes == ()
    assert read.tariff == tariff
    assert read.content_hash == compile_tariff(tariff).content_hash
    assert rewrite(source) == source
    Draft202012Validator(tariff_schema()).validate(plain(source))


@pytest.mark.parametrize("name", SOUND)
def test_files_with_comments_are_written_anew(name: str) -> None:
    """The layout is another, the content is the same."""
    anew = rewrite(SOUND[name])
    assert "#" not in anew
    same = parse_tariff(SOUND[name].encode()).content_hash
    assert parse_tariff(anew.encode()).content_hash == same


def test_texts_that_need_care_survive() -> None:
    """Quotes, backslashes, control characters, and letters of other alphabets."""
    odd = 'a "b" \\ \x7f \t ø 漢 # ]'
    content = SMALL.replace('text = "Samtaler"', "text = 'T'")
    source = rewrite(content).replace('"T"', write({"name": odd}).partition(" = ")[2].strip())
    assert parse_tariff(source.encode()).tariff.components[2].text == odd


def test_the_command_gives_the_file_back(db: str, tmp_path: Path) -> None:
    """Byte for byte as it was loaded, or written anew; loading either changes nothing."""
    path = tmp_path / "small.toml"
    path.write_text(f"# Ours\n{SMALL}")
    run("load", str(path))
    assert run("export", "SMALL/1").output == f"# Ours\n{SMALL}"
    path.write_text(run("export", "SMALL/1", "--rewrite").output)
    assert run("load", str(path)).output.startswith("Already loaded: SMALL/1")
