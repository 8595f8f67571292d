"""Where this process finds what must not lie in the database: the sealing key, and anchors.

Set once at the door, before any room is loaded; nothing is read or made here.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The file of the private sealing key, and the place for anchors where one is set up."""

    seal_key: Path
    anchors: str | None = None


_current: Places | None = None


def configure(places: Places) -> None:
    """Say where this process looks."""
    global _current  # noqa: PLW0603 - one set of places per process, set at the door
    _current = places


def places() -> Places:
    """Give the configured places."""
    if _current is None:
        raise RuntimeError("ledger.places.configure() has not been called by the door.")
    return _current
