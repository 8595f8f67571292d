"""Pages made from the program: they are what the program makes, and leave nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.errors import Problem
from ledger.web import problem_catalogue
from reporting.cli.docs import (
    OUTSIDERS,
    PAGE,
    ROOMS,
    Example,
    PageOutdated,
    docs_cli,
    read_gallery,
    render_page,
)


def _kinds(base: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_the_page_is_what_the_command_makes() -> None:
    """`docs errors --check` ends well for the page that is there."""
    done = CliRunner().invoke(docs_cli, ["errors", "--check"], catch_exceptions=False)
    assert "as written" in done.output


def test_a_page_that_differs_is_refused_and_made_anew(tmp_path: Path) -> None:
    """Checking writes nothing; writing gives the page, whatever was there."""
    page = tmp_path / "errors.md"
    page.write_text("# Something else\n")
    with pytest.raises(PageOutdated):
        CliRunner().invoke(
            docs_cli, ["errors", "--check", "--page", str(page)], catch_exceptions=False
        )
    assert page.read_text() == "# Something else\n"
    CliRunner().invoke(docs_cli, ["errors", "--page", str(page)], catch_exceptions=False)
    assert page.read_text("utf-8") == PAGE.read_text("utf-8")


def test_the_tariff_pages_are_what_the_command_makes(tmp_path: Path) -> None:
    """Schema and page of the tariff file cannot drift from what is read, and each key is told."""
    words = ["tariff", "--check", "--folder"]
    done = CliRunner().invoke(docs_cli, words[:2], catch_exceptions=False)
    assert "as written" in done.output
    (tmp_path / "tariff.md").write_text("# Something else\n")
    with pytest.raises(PageOutdated, match=r"tariff\.schema\.json is not what"):
        CliRunner().invoke(docs_cli, [*words, str(tmp_path)], catch_exceptions=False)
    page = (PAGE.parent / "tariff.md").read_text("utf-8")
    silent = re.findall(r"^\| `\S+` .*\|  \|$", page, re.MULTILINE)
    assert not silent, f"Say in rating/tariff_keys.py what these mean: {silent}"


def test_every_problem_is_on_the_page() -> None:
    """Each class of a room has its section, with its title and status; no section has no class."""
    problem_catalogue(ROOMS, OUTSIDERS)  # Loads every module.
    page = PAGE.read_text("utf-8")
    sections = dict(re.findall(r"^### (\S+)\n\n\*\*(.*)\*\* · HTTP \d+", page, re.MULTILINE))
    classes = {
        kind.code(): kind.title
        for kind in _kinds()
        if kind.__module__.partition(".")[0] in ROOMS and not kind.__module__.startswith(OUTSIDERS)
    }
    assert len(classes) > 50
    assert classes.items() <= sections.items()
    framework = set(sections) - set(classes)
    assert framework == {
        "bad-request", "expectation-failed", "method-not-allowed", "not-implemented",
        "request-entity-too-large", "request-header-fields-too-large", "unsupported-media-type",
        "uri-too-long",
    }  # fmt: skip


def test_every_problem_says_what_it_means() -> None:
    """A section without a meaning helps nobody."""
    silent = [entry.code for entry in problem_catalogue(ROOMS, OUTSIDERS) if not entry.meaning]
    assert not silent, f"Give these classes a docstring: {silent}"


def test_an_example_of_no_problem_is_refused() -> None:
    """A misspelt code in the gallery does not vanish silently."""
    with pytest.raises(ValueError, match="no-such-code"):
        render_page(problem_catalogue(ROOMS, OUTSIDERS), {"no-such-code": Example("?")})


def test_the_examples_of_the_gallery_are_on_the_page() -> None:
    """With the sentence, and the way to it."""
    page = PAGE.read_text("utf-8")
    for code, shown in read_gallery().items():
        section = page.partition(f"### {code}\n")[2].partition("\n### ")[0]
        assert f"> {shown.sentence}" in section
        assert (shown.command or shown.when) in section
