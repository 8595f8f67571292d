"""Pages made from the program: they are what the program makes, and leave nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import app
from ledger.cli.deferred import Deferred
from ledger.errors import Problem
from ledger.mending import MENDS
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
from tests.reporting.test_desk import make_app


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


def _named(command: str) -> click.Command:
    """The command that words name, as far as they are names of commands."""
    found: click.Command = app.cli
    for word in command.split()[1:]:
        if not isinstance(found, click.Group):
            break
        below = found.get_command(click.Context(found), word)
        assert below is not None, command
        found = below._load() if isinstance(below, Deferred) else below
    return found


def _options(command: click.Command) -> set[str]:
    """What may be said behind a command."""
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def _addresses(text: str) -> set[tuple[str, str]]:
    """The addresses of the API that a text names, with their method; what varies is `{}`."""
    named = re.findall(r"(GET|POST|PUT|PATCH|DELETE) (/api/v1/[a-z0-9/_{}-]+)", text)
    return {(method, re.sub(r"\{\w+\}|\b[0-9]+\b", "{}", path)) for method, path in named}


@cache
def _answered() -> set[tuple[str, str]]:
    """The addresses that there are, with each method."""
    return {
        (method, re.sub(r"<[^>]+>", "{}", rule.rule))
        for rule in make_app().url_map.iter_rules()
        for method in rule.methods or ()
    }


# In a sentence up to the closing mark, in a block up to what is not the command's own.
_WRITTEN_COMMAND = re.compile(
    r"`hovedbok ([^`]+)`|(?:^|^\$ |/bin/|&& )hovedbok ([^\n#&|]+)", re.MULTILINE
)
_PAGES = [
    PAGE.parents[1] / "README.md",
    *(
        page
        for page in sorted(PAGE.parent.glob("*.md"))
        if page.name not in {"errors.md", "tariff.md"}
    ),
]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_every_command_and_address_of_a_page_exists(page: Path) -> None:
    """With the options that the page gives it. The pages that the program makes are left out."""
    assert _addresses(page.read_text("utf-8")) <= _answered()
    for inline, line in _WRITTEN_COMMAND.findall(page.read_text("utf-8")):
        written = inline or line
        said = set(re.findall(r"(?<!\S)--[a-z-]+", written)) - {"--help"}
        assert said <= _options(_named(f"hovedbok {written}")), written


def test_every_variable_that_a_test_reads_is_told() -> None:
    """In tests/README.md, and none that no test reads any more."""
    tests = Path(__file__).parents[1]
    read = {
        name
        for path in tests.rglob("*.py")
        for name in re.findall(r'environ\.get\("(HOVEDBOK_\w+)"', path.read_text("utf-8"))
    }
    assert read == set(re.findall(r"HOVEDBOK_\w+", (tests / "README.md").read_text("utf-8")))


@pytest.mark.parametrize(("code", "mend"), MENDS.items())
def test_what_mends_a_refusal_exists(code: str, mend: str) -> None:
    """Each command can be run, with the options it names, and each address answers that method."""
    classes = {kind.code() for kind in _kinds()}
    assert code.partition("/")[0] in classes
    commands = re.findall(r"hovedbok(?: (?:[a-z-]+|\{\w+\}|[A-Z]+|--[a-z-]+))+", mend)
    for command in commands:
        found = _named(command)
        assert not isinstance(found, click.Group), command
        assert set(re.findall(r"--[a-z-]+", command)) <= _options(found), command
    addresses = _addresses(mend)
    assert addresses <= _answered()
    assert commands or addresses


# What is refused because of what was sent: to send it otherwise is all that there is to do.
MENDED_BY_THE_SENDER = {
    "access-reaches-back", "account-taken", "already-reversed", "amount-not-a-string",
    "anchor-invalid", "request-in-progress", "stage-refused", "vault-corrupt",
    "approved-by-creator", "assertion-differs", "attachment-refused", "body-cut-off", "books-busy",
    "condition-malformed", "conditions-not-met", "conflict", "csrf-token-missing",
    "cursor-invalid", "entries-refused", "entry-not-balanced", "entry-too-long",
    "idempotency-key-reused", "not-utf8", "number-too-large", "text-holds-nul",
    "text-holds-control", "text-too-long",
    "if-match-missing", "invalid", "journal-file-unreadable", "json-unreadable",
    "malformed-entry", "manual-posting-refused", "method-not-allowed", "not-found",
    "not-yet-known", "nothing-to-post", "open-item-mismatch", "party-required",
    "policy-reaches-back", "posting-request-malformed", "posting-rule-taken", "proof-invalid",
    "rate-fixed", "record-malformed", "request-too-large", "reversal-too-early",
    "schema-mismatch", "state-changed", "statement-moved", "tables-busy", "totals-differ",
    "totals-undeclared", "unauthorised", "undo-refused", "unsupported-media-type", "username-taken",
    "value-out-of-range", "webhook-address-refused",
}  # fmt: skip


def test_a_refusal_of_the_books_names_the_command_that_mends_it() -> None:
    """Or an address of the API, unless the sender mends it; no exception outlives its reason."""
    gallery = read_gallery()
    of_the_books = {e.code for e in problem_catalogue(ROOMS, OUTSIDERS) if e.room == "ledger"}
    silent = {
        code
        for code in of_the_books & gallery.keys()
        if not re.search("hovedbok |/api/v1/", gallery[code].sentence)
    }
    assert silent == MENDED_BY_THE_SENDER


# Why a problem has no example that a test provokes, by the reason.
WITHOUT_EXAMPLE = {
    "The machine, the database or the settings are not as they must be: tests/ledger has them.": {
        "address-taken", "anchor-place-unusable", "database-silent", "database-unavailable",
        "file-unusable", "migration-blocked", "role-not-granted", "schema-ahead",
        "settings-invalid",
    },
    "The server refuses before the program sees the request: tests/ledger/test_serve.py.": {
        "bad-request", "expectation-failed", "not-implemented", "request-entity-too-large",
        "request-header-fields-too-large", "uri-too-long",
    },
    "A fault of the program itself, behind checks that come before: nobody can ask for it.": {
        "batch-broken", "charge-keys-unknown", "charge-overflow", "internal-fault", "malformed",
        "unknown-dimensions", "usage-invalid",
    },
    "A family, whose members are refused under their own codes.": {"forbidden"},
    "A page of the desk, not a refusal of a call: tests/ledger/test_web.py.": {
        "too-many-attempts",
    },
}  # fmt: skip


def test_every_problem_has_an_example_or_a_reason() -> None:
    """A new code is shown in the gallery; no reason outlives its code."""
    codes = {entry.code for entry in problem_catalogue(ROOMS, OUTSIDERS)}
    assert codes - read_gallery().keys() == set().union(*WITHOUT_EXAMPLE.values())


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
