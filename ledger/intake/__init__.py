"""Journal files: entries to post, as NDJSON, CSV or Parquet, read record by record.

A record that cannot be an entry is a `Fault` that says where and why; the file goes on. Nothing
here reads a clock or a database. The formats are told in docs/posting.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ledger.errors import Invalid
from ledger.intake.ndjson import read_ndjson
from ledger.intake.records import Defaults, Drafted, Fault, checked
from ledger.intake.tables import read_csv, read_parquet
from ledger.intake.together import drafted
from ledger.unstorable import NotUtf8

FORMATS = ("ndjson", "csv", "parquet")
_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zX": "xz"}

__all__ = ["FORMATS", "Defaults", "Drafted", "Fault", "format_of", "read_entries"]


class JournalFileUnreadable(Invalid):
    """A journal file as a whole cannot be read: its format is unknown or its bytes are not it.

    Raise as: f"{name}: {cause}. {what to do}.".
    """

    title = "Journal file cannot be read"


def format_of(path: Path) -> str:
    """Tell the format from a file's name; raises `JournalFileUnreadable` where it does not say."""
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise JournalFileUnreadable(
            f"{path.name}: the name does not end in {', '.join(_SUFFIXES)}. Say what it is with "
            f"--format {'|'.join(FORMATS)}.",
            file=path.name,
        )
    return found


def read_entries(
    stream: BinaryIO, file_format: str, name: str, defaults: Defaults
) -> Iterator[Drafted | Fault]:
    """Read the entries of a journal file in order; a fault takes the place of a bad one.

    Parameters
    ----------
    stream : the file, from its beginning; seekable.
    file_format : one of `FORMATS`.
    name : what the file is called in faults.
    defaults : what an entry has that does not say otherwise.

    Raises
    ------
    JournalFileUnreadable : the file as a whole is not of its format.
    """
    start = stream.read(4)
    stream.seek(0)
    if not start:
        return  # A file of nothing is of any format, and has no entries.
    for mark, packed in _PACKED.items():
        if start.startswith(mark):
            raise JournalFileUnreadable(
                f"{name}: it is compressed ({packed}). Unpack it first, for instance: "
                f"{packed} -dc FILE | hovedbok ledger post - --format {file_format}.",
                file=name,
            )
    try:
        if file_format == "ndjson":
            yield from drafted(read_ndjson(stream), defaults)
        else:
            read = read_csv if file_format == "csv" else read_parquet
            yield from checked(read(stream, defaults))
    except NotUtf8 as refusal:
        raise NotUtf8(f"{name}: {refusal}", file=name, **refusal.facts) from refusal
    except Invalid as refusal:
        raise JournalFileUnreadable(f"{name}: {refusal}", file=name, **refusal.facts) from refusal
