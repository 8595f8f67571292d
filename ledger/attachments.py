"""Attachments: which files may prove a journal, by their bytes, not by their names.

Pure: the bytes come from a door and go to the vault.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from ledger.errors import Invalid

SIZE_MAX = 10 * 2**20  # octets
NAME_LENGTH_MAX = 120

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# The kinds that are taken, with the endings a name of that kind may have; the first is usual.
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "application/pdf": (".pdf",),
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    XLSX: (".xlsx",),
    "application/xml": (".xml",),
    "text/csv": (".csv",),
    "text/plain": (".txt",),
}
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class AttachmentRefused(Invalid):
    """A file cannot be attached: it is empty, too large, or of a kind that is not taken.

    Raise as: f"{name} is {size} octets; an attachment has at most {SIZE_MAX}.".
    """

    title = "Attachment is refused"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a draft, by the hash under which the vault keeps its bytes."""

    sha256: str
    name: str
    size: int
    media_type: str


def check_file(name: str, content: bytes) -> tuple[str, str]:
    """Give the safe name and the media type of a file.

    Raises `AttachmentRefused` for an empty or too large file, and for a kind that is not taken.
    """
    safe = safe_name(name)
    if not content:
        raise AttachmentRefused(f"{safe} is empty.", name=safe)
    if len(content) > SIZE_MAX:
        raise AttachmentRefused(
            f"{safe} is {len(content)} octets; an attachment has at most {SIZE_MAX}.", name=safe
        )
    media_type = sniff(content, safe)
    if media_type is None:
        raise AttachmentRefused(
            f"{safe} is not of a kind that is taken: PDF, PNG, JPEG, Excel (.xlsx without macros), "
            "XML, CSV or plain text in UTF-8.",
            name=safe,
        )
    endings = ENDINGS[media_type]
    if not safe.lower().endswith(endings):
        safe = f"{safe[: NAME_LENGTH_MAX - len(endings[0])]}{endings[0]}"
    return safe, media_type


def safe_name(name: str) -> str:
    r"""Reduce a name to its last part, printable, without what file systems and headers trip over.

    >>> safe_name("C:\\\\bilag\\\\..\\\\faktura 17.pdf")
    'faktura 17.pdf'
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(
        "_" if letter in '<>:"|?*;%' else letter
        for letter in last
        if unicodedata.category(letter)[0] != "C"
    )
    stem = " ".join(kept.split()).strip(". ") or "attachment"
    if len(stem) <= NAME_LENGTH_MAX:
        return stem
    head, dot, ending = stem.rpartition(".")
    tail = f"{dot}{ending}" if head and len(ending) <= len("xlsx") else ""
    return stem[: NAME_LENGTH_MAX - len(tail)] + tail


def sniff(content: bytes, name: str) -> str | None:
    """Tell the media type from the bytes; the name decides only between kinds of text."""
    for magic, media_type in _MAGIC:
        if content.startswith(magic):
            return media_type
    if content.startswith(b"PK\x03\x04"):
        return XLSX if _is_workbook(content) else None
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        return None
    if _CONTROL.search(text):
        return None
    if text.lstrip().startswith("<?xml"):
        return "application/xml"
    if text.lstrip().startswith("<"):
        return None  # HTML and its kin, which a browser might run.
    return "text/csv" if name.lower().endswith(".csv") else "text/plain"


def _is_workbook(content: bytes) -> bool:
    """Look into the list of parts only; nothing is unpacked."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as parts:
            names = set(parts.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return {"[Content_Types].xml", "xl/workbook.xml"} <= names and not any(
        name.lower().endswith("vbaproject.bin") for name in names
    )
