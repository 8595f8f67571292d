"""Keys of this installation: files outside the database, made on first use, read by their owner."""

import os
import secrets
from pathlib import Path

_folder: Path | None = None


def configure(folder: Path) -> None:
    """Say where the keys of this process lie; nothing is read or made yet."""
    global _folder  # noqa: PLW0603 - one installation per process, set at the door
    _folder = folder


def key_bytes(name: str) -> bytes:
    """Give the 32 random bytes of a key; of two processes that make it at once, the first wins."""
    if _folder is None:
        raise RuntimeError("ledger.keys.configure() has not been called by the door.")
    path = _folder / name
    if not path.exists():
        make_once(path, secrets.token_bytes(32))
    return path.read_bytes()


def make_once(path: Path, content: bytes) -> None:
    """Write a key file, durable and with mode 0600, unless it is there by now."""
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
