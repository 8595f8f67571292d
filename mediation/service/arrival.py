"""A file as it lies before us, before anything of it is believed."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Arrival:
    """The bytes of a file, and the number it will be registered under."""

    path: Path
    raw: bytes
    sha256: str
    file_id: int
    source_system: str

    @property
    def name(self) -> str:
        """The file's name, without folders."""
        return printable_name(self.path)


def printable_name(path: Path) -> str:
    """Give the name of a file as it can be stored and shown; what is no text is escaped."""
    name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
