"""What a file was whose signature is damaged: known by what else it says of itself.

Who knows no more than that a file is of no known format keeps it and waits for nothing. What was
usage, orders or money is missed, so it is told from files that nobody here reads.
"""

import re
from collections.abc import Sequence

from mediation.formats import (
    agreements_csv,
    csv_usage,
    msc,
    orders_csv,
    subscriptions_csv,
    tgpp_file,
)
from mediation.formats.ber import Malformed, read_header

_HEADING_LINES = 3  # Above a heading may stand the line of an order file, or one that is empty.
_LINE_END = re.compile(rb"[\r\n]+")
_NAME = re.compile(rb"[a-z_]+")
_BANK_RECORD = re.compile(rb"(?:^|[\r\n])NY09[0-9]{4}")
_LISTS = {
    "order_csv": orders_csv.COLUMNS,
    "subscription_csv": subscriptions_csv.COLUMNS,
    "agreement_csv": agreements_csv.COLUMNS,
}


def resembles(head: bytes, size: int) -> str | None:
    r"""Give the format that a file without a signature was of, where it can still be told.

    A list is known by most of its column names, whatever separates them and in any encoding; a
    bank file by a record of its service; a file of TS 32.297 by the length that it begins with;
    records of a switch by those behind the first.

    Parameters
    ----------
    head, size : as `recognise` takes them.

    >>> resembles(b"Agreement;Parent;Billing_account;Valid_from\r\n", 45)
    'agreement_csv'
    """
    if len(head) >= tgpp_file.FIXED_OCTETS and int.from_bytes(head[:4], "big") == size:
        return "tgpp"
    plain = head.replace(b"\0", b"")  # UTF-16 has one beside every letter.
    if _BANK_RECORD.search(plain):
        return "ocr_giro"
    return _list_format(plain) or ("msc" if _goes_on_as_msc(head, size) else None)


def is_msc(head: bytes, size: int) -> bool:
    """Tell CallEventRecords: a kind of record we know, and inside it a context-specific element."""
    if head[0] not in msc.RECORD_TAGS:
        return False
    try:
        _, content, _ = read_header(head, 0, max(size, len(head)))
        read_header(head, content, max(size, len(head)))
    except (Malformed, IndexError):
        return False
    return head[content] & 0xC0 == 0x80


def _list_format(plain: bytes) -> str | None:
    """Give the list, or the layout of usage, of which most column names are in the first lines."""
    lines = _LINE_END.split(plain.lower().lstrip(b"\r\n"), _HEADING_LINES)[:_HEADING_LINES]
    said = {name.decode() for line in lines for name in _NAME.findall(line)}
    known: dict[str, Sequence[str]] = {layout.name: layout.header for layout in csv_usage.layouts()}
    shares = {
        name: len(said.intersection(columns)) / len(columns)
        for name, columns in (known | _LISTS).items()
    }
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.5 else None


def _goes_on_as_msc(head: bytes, size: int) -> bool:
    """Tell that behind the first element stands a record of a switch."""
    try:
        _, content, length = read_header(head, 0, max(size, len(head)))
    except (Malformed, IndexError):
        return False
    behind = content + (length or 0)
    return 0 < behind < len(head) and is_msc(head[behind:], size - behind)
