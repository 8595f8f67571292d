"""The formats of the world's usage files: recognised by signature, decoded into columns.

`recognise` looks at the first octets of a file and never at its name. `decode` gives the same
columns for every format, or refuses the file with a Problem that says where and what to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mediation.formats import (
    agreements_csv,
    csv_usage,
    damaged,
    msc,
    orders_csv,
    parked,
    subscriptions_csv,
    tgpp_file,
)
from mediation.formats.ber import Malformed
from mediation.formats.digests import payload_digests
from mediation.formats.problems import BrokenFile, EmptyFile, NoDecoder, UnknownFormat
from mediation.formats.table_lines import RowFile
from mediation.records import Decoded, FileHeader

__all__ = [
    "HEAD_OCTETS",
    "NETWORK",
    "NOT_USAGE",
    "ROW_FILES",
    "BrokenFile",
    "EmptyFile",
    "FormatMatch",
    "NoDecoder",
    "UnknownFormat",
    "decode",
    "payload_digests",
    "recognise",
]

# Files of rows, by the format they are registered with, and what reads them.
ROW_FILES: Mapping[str, Callable[[bytes, str], RowFile]] = {
    "order_csv": orders_csv.read,
    "subscription_csv": subscriptions_csv.read,
    "agreement_csv": agreements_csv.read,
}
NETWORK = ("tgpp", "msc")  # What network elements write; what counts its own records, or frames.
NOT_USAGE = (*ROW_FILES, "ocr_giro")
_PACKED = {b"\x1f\x8b": "gzip", b"PK\3\4": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2",
           b"\xfd7zX": "xz", b"7z\xbc\xaf": "7z"}  # fmt: skip
HEAD_OCTETS = 4096  # How much of a file `recognise` wants to see; a shorter file is shown whole.


@dataclass(frozen=True)
class FormatMatch:
    """What a file was recognised as."""

    format: str  # "tgpp", "msc", a layout's name, or the name of a parked format
    title: str
    name: str  # the file's name, without folders
    parked: str | None = None  # the reason why it waits: "no_decoder"


def recognise(name: str, head: bytes, size: int) -> FormatMatch:
    """Tell the format of a file from its first octets.

    Parameters
    ----------
    name : of the file, without folders; kept for messages and for layouts that need it.
    head : its first HEAD_OCTETS octets, or all of it.
    size : its length. [octets]

    Raises
    ------
    EmptyFile, UnknownFormat : with what to do.
    """
    if size == 0:
        raise EmptyFile(f"{name} is empty. Fetch it again from its source.", file=name)
    if tgpp_file.header_octets(head) is not None:
        return FormatMatch("tgpp", "3GPP TS 32.297 charging data file", name)
    waiting = parked.match_parked(head, size)
    if waiting:
        return FormatMatch(waiting.format, waiting.title, name, parked.NO_DECODER)
    if damaged.is_msc(head, size):
        return FormatMatch("msc", "3GPP TS 32.298 switch records, BER", name)
    layout = csv_usage.match_layout(head)
    if layout:
        return FormatMatch(layout.name, layout.title, name)
    packed = next((kind for mark, kind in _PACKED.items() if head.startswith(mark)), None)
    todo = (
        f"It is compressed ({packed}): unpack it, and take in what is in it."
        if packed
        else "Check that the file is whole, or add its layout to mediation/formats/layouts."
    )
    raise UnknownFormat(
        f"{name} has no known signature; it begins with {head[:8].hex(' ')}. {todo}",
        file=name,
        offset=0,
    )


def decode(source: Path | bytes, match: FormatMatch) -> Decoded:
    """Decode a whole file.

    Parameters
    ----------
    source : its path, or its octets.
    match : what `recognise` said about it.

    Raises
    ------
    NoDecoder : the format is parked.
    BrokenFile : the file cannot be framed; with the offset and what to do.
    """
    if match.parked:
        raise NoDecoder(
            f"{match.name} is recognised as {match.title}; there is no decoder for that yet. "
            "The file stays registered and parked.",
            file=match.name,
            reason=match.parked,
        )
    raw = source if isinstance(source, bytes) else source.read_bytes()
    try:
        return _decode(raw, match)
    except Malformed as why:
        raise BrokenFile(
            f"{match.name}, offset {why.offset}: {why} Nothing of the file is used. "
            "Fetch it again from its source.",
            file=match.name,
            offset=why.offset,
        ) from why
    except BrokenFile as why:
        raise BrokenFile(f"{match.name}: {why}", file=match.name, **why.facts) from why


def _decode(raw: bytes, match: FormatMatch) -> Decoded:
    """Choose the decoder."""
    if match.format == "tgpp":
        return tgpp_file.decode(raw)
    if match.format == "msc":
        return msc.decode_plain(raw, FileHeader(format="msc"))
    for layout in csv_usage.layouts():
        if layout.name == match.format:
            return csv_usage.decode(raw, layout, match.name)
    raise UnknownFormat(f"{match.format} is no format of this program.", file=match.name)
