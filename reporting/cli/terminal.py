"""What several commands share of the terminal: a progress bar, and a check of paths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


def progress_bar(length: int, label: str) -> Any:
    """Give a progress bar on standard error; a bar of nothing would stand at 0 % and is hidden."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not length)


def in_a_folder(_ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file to be written whose folder does not exist, before any work is done."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{path.parent} is not a folder; make it first.")
    return path
