"""A command that a higher room adds to a group of a lower one, loaded when it is asked for.

Whoever asks for a price or a balance would else wait for all rooms to be loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class Deferred(click.Command):
    """Stands for a command in the list of its group; what is run is the command itself."""

    def __init__(self, name: str, told: str, load: Callable[[], click.Command]) -> None:
        super().__init__(name, short_help=told)
        self._load = load

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        """Load the command, which takes its place from here on."""
        return self._load().make_context(info_name, args, parent, **extra)
