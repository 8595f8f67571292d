"""What rooms above the ledger add to its verification: it runs their checks and knows none. Pure.

A check takes a session and yields (where, what is wrong) for each fault that it finds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Check = Callable[[Any], Iterable[tuple[str, str]]]

_above: Callable[[], Mapping[str, Check]] = dict


def configure(checks: Callable[[], Mapping[str, Check]]) -> None:
    """Say which checks the rooms above bring, by name; they are loaded when they are needed."""
    global _above  # noqa: PLW0603 - the door wires it once
    _above = checks


def checks_above() -> Mapping[str, Check]:
    """Give the checks of the rooms above."""
    return _above()
