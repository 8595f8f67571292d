"""The vault: write once, found by content.

Raw files, mediated usage, rated events and rendered documents lie here under the sha256 of their
bytes; rows in PostgreSQL point to them. Nothing is ever rewritten: the same bytes have the same
name, so a repeated command writes nothing new and a crash leaves at most an unreferenced file.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

import fsspec

from ledger.errors import NotFound, Problem
from ledger.places import write_whole

_RETENTIONS = ("primary", "traffic")


class VaultCorrupt(Problem):
    """What lies under a hash does not have that hash."""

    title = "Stored content is damaged"


@dataclass(frozen=True, slots=True)
class VaultRef:
    """What a row stores: the name by content, and the size. [octets]"""

    sha256: str
    size: int


class Vault:
    """A store at a folder or at any address that fsspec knows."""

    def __init__(self, root: str | Path) -> None:
        self._files, self._root = fsspec.core.url_to_fs(str(root))
        self._local = Path(self._root) if "file" in self._files.protocol else None

    def put(self, content: bytes, retention: str = "primary") -> VaultRef:
        """Store bytes; durable when this returns, and a no-op where they are there already.

        `retention` is the class that decides how long: primary (five years), traffic (call detail).
        """
        name = sha256(content).hexdigest()
        target = self._address(name, retention)
        if self._local is not None:
            _write_once(Path(target), content)
        elif not self._files.exists(target):
            self._files.pipe_file(target, content)
        return VaultRef(name, len(content))

    def get(self, name: str) -> bytes:
        """Read bytes back and check them.

        Raises
        ------
        NotFound : nothing lies under that hash.
        VaultCorrupt : the bytes changed since they were put.
        """
        with self.open(name) as stream:
            content = stream.read()
        if sha256(content).hexdigest() != name:
            raise VaultCorrupt(
                f"The stored object {name} no longer has that hash. Restore it from a backup.",
                sha256=name,
            )
        return content

    def open(self, name: str) -> BinaryIO:
        """Open for reading without the check, for formats that read parts."""
        for retention in _RETENTIONS:
            target = self._address(name, retention)
            if self._files.exists(target):
                return cast("BinaryIO", self._files.open(target, "rb"))
        raise NotFound(f"The vault holds no object {name}.", sha256=name)

    def has(self, name: str) -> bool:
        """Tell whether an object is there."""
        return any(self._files.exists(self._address(name, kept)) for kept in _RETENTIONS)

    def path(self, name: str) -> Path | None:
        """Give the local path of an object, for readers that map files; None where not local."""
        for retention in _RETENTIONS:
            target = Path(self._address(name, retention))
            if self._local is not None and target.exists():
                return target
        return None

    def _address(self, name: str, retention: str) -> str:
        return f"{self._root}/{retention}/{name[:2]}/{name[2:4]}/{name}"


def _write_once(target: Path, content: bytes) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, content, 0o440)


_current: Vault | None = None


def configure(root: str | Path) -> None:
    """Say where this process keeps its vault."""
    global _current  # noqa: PLW0603 - one vault per process, set at the door
    _current = Vault(root)


def vault() -> Vault:
    """Give the configured vault."""
    if _current is None:
        raise RuntimeError("ledger.vault.configure() has not been called by the door.")
    return _current
