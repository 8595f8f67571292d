"""The tour is run as it is written: each command of docs/tour.md, in a home of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.home import ROOT, Home
from tests.flows.transcript import difference, fits, steps

TOUR = ROOT / "docs" / "tour.md"


def _environment(home: Home, folder: Path) -> dict[str, str]:
    """Give an environment in which `hovedbok` and `python` are ours and the home is new."""
    programs = folder / "bin"
    programs.mkdir()
    python, app = shlex.quote(sys.executable), shlex.quote(str(ROOT / "app.py"))
    for name, command in (("hovedbok", f"{python} {app}"), ("python", python)):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOVEDBOK_", "DATABASE_URL"))}
    # The width of tables and the letters of names must not depend on who runs this.
    return {**kept, "HOVEDBOK_HOME": str(home.folder), "PYTHONUTF8": "1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip


def test_the_tour_is_what_happens(home: Home, tmp_path: Path) -> None:
    """Every command of the tour ends well and prints what the page says it prints."""
    environment = _environment(home, tmp_path)
    told = list(steps(TOUR.read_text("utf-8")))
    assert len(told) >= 10, "The tour has lost its commands; are its blocks marked console?"
    for step in told:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", step.command], cwd=tmp_path, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
            timeout=120, check=False,
        )  # fmt: skip
        where = f"docs/tour.md:{step.line}: $ {step.command}"
        assert done.returncode == 0, f"{where}\nended {done.returncode}:\n{done.stderr}"
        assert fits(step.output, done.stdout), f"{where}\n{difference(step.output, done.stdout)}"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one\ntwo", "one\ntwo\n", True),
        ("one\ntwo", "one\n", False),
        ("one\ntwo", "one\ntwo\nthree\n", False),
        ("id …, 3 files", "id 77, 3 files\n", True),
        ("id …, 3 files", "id 77, 4 files\n", False),
        ("id …, 3 files", "id 77\n, 3 files\n", False),
        ("first\n…\nlast", "first\na\nb\nlast\n", True),
        ("first\n…\nlast", "first\nlast\n", True),
        ("first\n…\nlast", "first\na\nlast but not\n", False),
        ("first\n  …", "first\na\nb\n", True),
        ("1.50", "1x50\n", False),
        ("", "", True),
        ("", "something\n", False),
    ],
)
def test_an_ellipsis_stands_for_what_varies_and_nothing_else(
    shown: str, printed: str, same: bool
) -> None:
    """The comparison fails when either side changes anywhere but under an ellipsis."""
    assert fits(shown, printed) is same


def test_blocks_are_read_command_by_command() -> None:
    """Commands go on with `>`, output follows them, other blocks are prose."""
    page = "# T\n```console\n$ a\n1\n2\n\n$ b <<'E'\n> x\n> E\n3\n```\n```\n$ c\n```\n"
    found = [(step.command, step.output.strip(), step.line) for step in steps(page)]
    assert found == [("a", "1\n2", 3), ("b <<'E'\nx\nE", "3", 7)]
