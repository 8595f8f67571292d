"""Where this process finds what must not lie in the database: its keys, and anchors.

Set once at the door, before any room is loaded; nothing is read or made there. Beside it, how a
file is written that must be whole.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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
    with _draft(path, content, 0o600) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file in the place of any other of its name: all of it or, where that fails, nothing.

    Durable when this returns. The mode is what the umask leaves of it.
    """
    with _draft(path, content, mode) as draft:
        draft.replace(path)
    # The rename is durable only when the folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _draft(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """Write a durable draft beside a file; one that fails is removed, most of all on a full disk.

    A draft that a killed process left stays: nobody reads it.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield draft
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
