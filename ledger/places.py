"""Where this process finds what must not lie in the database: its keys, and anchors.

Set once at the door, before any room is loaded; nothing is read or made there.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The files of the private keys, and the place for anchors where one is set up."""

    seal_key: Path  # signs blocks
    webhook_key: Path  # the secrets of webhooks are derived from it
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


def make_once(path: Path, content: bytes) -> None:
    """Write a key file, durable and with mode 0600, unless it is there.

    Of two processes that do so at once, the first one's stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
