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
        return self.path.name
