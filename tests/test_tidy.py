"""Style that can be tested is tested: each rule says what to do instead."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("ledger", "party", "rating", "mediation", "reporting")
DOORS = {"models", "service", "api", "cli", "db", "web", "jobs", "vault"}
# What only a door may touch; everything else is plain Python that can be read and tried alone.
SHELL = {"flask", "flask_smorest", "flask_wtf", "marshmallow", "sqlalchemy", "psycopg", "click"}

LINES_MAX, TEST_LINES_MAX, FUNCTION_LINES_MAX = 400, 600, 60

BANNED_NAMES = {
    "utils": "name the module after its noun",
    "helpers": "name the module after its noun",
    "common": "name the module after its noun",
    "manager": "say what it does",
    "process": "use the trade's verb: post, rate, ingest, issue",
    "handle": "use the trade's verb: post, rate, ingest, issue",
    "data": "say which",
    "info": "say which",
}
BANNED_CALLS = {
    "datetime.now": "take the instant as an argument; doors read the clock",
    "datetime.today": "take the instant as an argument; doors read the clock",
    "date.today": "take the day as an argument; doors read the clock",
    "time.time": "take the instant as an argument; doors read the clock",
}
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def _python(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _is_door(path: Path) -> bool:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return bool(DOORS & set(parts[1:]))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _trees(paths: list[Path]) -> Iterator[tuple[Path, ast.Module]]:
    return ((path, _tree(path)) for path in paths)


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_only_doors_touch_the_world() -> None:
    """Modules that are not doors import no web, no database and no command line."""
    faults = []
    for path, tree in _trees(_python(*ROOMS)):
        if _is_door(path):
            continue
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            faults += [
                f"{_where(path, node.lineno)} imports {name}; move it to a door"
                for name in names
                if name.split(".")[0] in SHELL
            ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("room", ["rating", "ledger.journal", "ledger.money"])
def test_the_pure_core_loads_no_shell(room: str) -> None:
    """The core can be used in a notebook without a web framework or a database driver."""
    code = f"import sys, {room}; print([m for m in {sorted(SHELL)!r} if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["app", "ledger.cli.ledger", "reporting.cli.report"])
def test_a_command_starts_without_what_few_commands_need(module: str) -> None:
    """Logs, workbooks and servers are loaded by the command that writes or runs them."""
    rare = ("structlog", "openpyxl", "flask", "alembic", "procrastinate", "cryptography", "pandas")
    code = f"import sys, {module}; print([m for m in {rare!r} if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == "[]"


def test_functions_fit_a_screen() -> None:
    """A function of more than 60 lines (docstring apart) does more than one thing."""
    faults = []
    for path, tree in _trees([*_python(*ROOMS, "migrations", "benchmarks"), ROOT / "app.py"]):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node, clean=False) or ""
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno - docstring.count("\n")
                if length > FUNCTION_LINES_MAX:
                    faults.append(f"{_where(path, node.lineno)} {node.name}: {length} lines")
    assert not faults, "\n".join(faults)


def test_files_can_be_held_in_the_head() -> None:
    """A file that outgrows its limit is split by noun, with an unchanged import path."""
    faults = [
        f"{_where(path, length)}: the limit is {limit}"
        for folders, limit in (
            ((*ROOMS, "benchmarks", "migrations"), LINES_MAX),
            (("tests",), TEST_LINES_MAX),
        )
        for path in _python(*folders)
        if (length := len(path.read_text().splitlines())) > limit
    ]
    assert not faults, "\n".join(faults)


def test_names_say_something() -> None:
    """Modules and functions carry no filler names."""
    faults = []
    for path, tree in _trees(_python(*ROOMS)):
        if path.stem in BANNED_NAMES:
            faults.append(f"{_where(path, 1)}: {BANNED_NAMES[path.stem]}")
        faults += [
            f"{_where(path, node.lineno)} {node.name}: {BANNED_NAMES[node.name]}"
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in BANNED_NAMES
        ]
    assert not faults, "\n".join(faults)


def test_the_core_never_asks_what_day_it_is() -> None:
    """Clock calls stand in doors only."""
    faults = []
    for path, tree in _trees(_python(*ROOMS)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                faults += [
                    f"{_where(path, node.lineno)} {called}: {instead}"
                    for banned, instead in BANNED_CALLS.items()
                    if called.endswith(banned) and not _is_door(path)
                ]
                if called == "float" and path.is_relative_to(ROOT / "ledger"):
                    faults.append(f"{_where(path, node.lineno)} float: money is integers")
                if called == "print":
                    faults.append(f"{_where(path, node.lineno)} print: doors use click.echo")
    assert not faults, "\n".join(faults)


def test_nothing_is_left_for_later() -> None:
    """A promise in a comment is kept by nobody: do it, or file it."""
    faults = [
        f"{_where(path, number)}: {line.strip()}"
        for path in [*_python(*ROOMS, "tests", "migrations", "benchmarks"), ROOT / "app.py"]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if LEFTOVERS.search(line)
    ]
    assert not faults, "\n".join(faults)


def test_public_functions_explain_themselves() -> None:
    """What others may call says what it does, in the module as in the function."""
    faults = []
    for path, tree in _trees([*_python(*ROOMS), ROOT / "app.py"]):
        if tree.body and not ast.get_docstring(tree):
            faults.append(f"{_where(path, 1)}: the module needs a docstring")
        faults += [
            f"{_where(path, node.lineno)} {node.name} needs a docstring"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert not faults, "\n".join(faults)


def test_every_module_has_an_importer() -> None:
    """A module nobody imports is dead, unless it is an entry point."""
    named: set[str] = set()
    everything = [*_python(*ROOMS, "tests", "benchmarks", "migrations"), ROOT / "app.py"]
    for path, tree in _trees(everything):
        # A module may also be named in a text, as jobs are, to be imported when it is needed.
        for words in set(re.findall(r"\w+(?:\.\w+)+", path.read_text())):
            named.update(accumulate(words.split("."), "{}.{}".format))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                named.update(f"{node.module}.{alias.name}" for alias in node.names)
    faults = []
    for path in _python(*ROOMS):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem not in {"__init__", "__main__"} and dotted not in named:
            faults.append(f"{dotted} is imported by nobody")
    assert not faults, "\n".join(faults)


def test_documents_have_one_title() -> None:
    """A page of the documentation is about one thing."""
    faults = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        titles = re.findall(r"^# .+", text, re.MULTILINE)
        if len(titles) != 1:
            faults.append(f"{page.relative_to(ROOT)} has {len(titles)} titles")
    assert not faults, "\n".join(faults)


def test_a_source_can_be_opened() -> None:
    """A page that code names as its source is there, and has the heading that it names."""
    named = re.compile(r"(docs/\w+\.(?:md|toml|json))(?:,\s+\"([^\"]+)\")?")
    faults = []
    for path in [*_python(*ROOMS, "benchmarks"), ROOT / "app.py"]:
        for page, heading in named.findall(path.read_text()):
            lies = ROOT / page
            if not lies.is_file():
                faults.append(f"{_where(path, 1)}: there is no {page}")
            elif heading and f"\n## {' '.join(heading.split())}\n" not in lies.read_text():
                faults.append(f"{_where(path, 1)}: {page} has no heading {heading!r}")
    assert not faults, "\n".join(faults)


def test_the_lock_names_no_address() -> None:
    """The lock works with any mirror: it holds names, versions and hashes only."""
    assert "://" not in (ROOT / "requirements.lock").read_text()
