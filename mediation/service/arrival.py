"""A file as it lies before us, before anything of it is believed."""

import errno
import os
import stat
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

    @property
    def cut_alarms(self) -> tuple[tuple[str, str], ...]:
        """Give the alarm, as kind and sentence, about lines that nothing counts and no end ends.

        Of 1000 octets that are cut off after the 10 nobody can see that they were more.
        """
        if self.raw.endswith(b"\n"):
            return ()
        told = (
            "The last line has no line end. If the file was cut off, that line says less than it "
            "did: compare it with its source."
        )
        return (("NO_LINE_END", told),)


def read_whole(path: Path) -> bytes:
    """Read a file that lies still.

    Raises
    ------
    OSError : it cannot be read, is a folder, a pipe or a device, which may never end, or was
        written to meanwhile.
    """
    before = path.stat()
    if stat.S_ISDIR(before.st_mode):
        os.scandir(path).close()  # Says why, where it is a folder that may not be looked into.
        raise OSError(errno.EISDIR, "It is a folder, or a link to one; name the files in it")
    if not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, "It is a pipe or a device, and no file")
    raw = path.read_bytes()
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (len(raw), before.st_mtime_ns):
        raise OSError(errno.EBUSY, "It was written to while it was read")
    return raw


def printable_name(path: Path) -> str:
    """Give the name of a file as it can be stored and shown; what is no text is escaped."""
    name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
