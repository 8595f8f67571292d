"""A month as files, made once per run, and a home in which to run it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.home import MONTH, ROOT, Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A new home, whose server is stopped afterwards."""
    made = Home(tmp_path / "home")
    yield made
    if made.server.root.exists():
        made.server.stop()


@pytest.fixture(scope="session")
def month_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of 50 subscribers as files."""
    folder = tmp_path_factory.mktemp("month") / "files"
    subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "demo", "make", "--month", MONTH,
         "--out", str(folder), "--subscribers", "50", "--days", "6", "--seed", "7"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return folder
