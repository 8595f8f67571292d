"""Formats that are recognised and named, but not decoded yet: their files wait under a reason.

TAP files are told from NRTRDE by the first element inside: both begin with [APPLICATION 1].
"""

import json
from dataclasses import dataclass

from mediation.formats.ber import Malformed, read_header

NO_DECODER = "no_decoder"

_TRANSFER_BATCH = 0x61  # [APPLICATION 1], TAP and NRTRDE
_NOTIFICATION = 0x62  # [APPLICATION 2], TAP
_BATCH_CONTROL = 0x64  # [APPLICATION 4], first in a TAP TransferBatch
_SPECIFICATION_VERSION = 0x5F8149  # [APPLICATION 201], first in an NRTRDE file
_SENDER = 0x5F8144  # [APPLICATION 196], first in a TAP Notification
_RAP = {0x7F8416: "rap_return_batch", 0x7F8417: "rap_acknowledgement"}
_JASPER_COLUMNS = 30  # The report has 40; senders cut empty ones off the end.
_STREX_KEYS = {"transactionId", "merchantId", "shortNumber"}


@dataclass(frozen=True)
class Parked:
    """A format without a decoder."""

    format: str
    title: str


_TITLES = {
    "tap_transfer_batch": "TAP 3 TransferBatch (roaming)",
    "tap_notification": "TAP 3 Notification (roaming, no events)",
    "nrtrde": "NRTRDE (near real time roaming data)",
    "rap_return_batch": "RAP ReturnBatch (roaming, returned accounts)",
    "rap_acknowledgement": "RAP Acknowledgement (roaming)",
    "jasper_usage": "IoT data usage report, pipe-delimited",
    "strex_transactions": "Content purchases, JSON lines",
}


def match_parked(head: bytes, size: int) -> Parked | None:
    """Return the parked format whose signature the first octets of a file carry, if any."""
    name = _match_roaming(head, size) or _match_jasper(head) or _match_strex(head)
    return Parked(name, _TITLES[name]) if name else None


def _match_roaming(head: bytes, size: int) -> str | None:
    """Tell TAP, NRTRDE and RAP by their outer tag and the first tag inside."""
    try:
        # The file may be longer than its head: the outer element is bound by the file's size.
        tag, content, length = read_header(head, 0, max(size, len(head)))
        if length is not None and content + length != size:
            return None
        if tag in _RAP:
            return _RAP[tag]
        inner = read_header(head, content, max(size, len(head)))[0]
    except (Malformed, IndexError):
        return None
    if tag == _NOTIFICATION and inner == _SENDER:
        return "tap_notification"
    if tag != _TRANSFER_BATCH:
        return None
    return {_BATCH_CONTROL: "tap_transfer_batch", _SPECIFICATION_VERSION: "nrtrde"}.get(inner)


def _match_jasper(head: bytes) -> str | None:
    """Tell the report by a heading of many columns, the ICCID second."""
    columns = head.partition(b"\n")[0].split(b"|")
    found = len(columns) >= _JASPER_COLUMNS and columns[1].strip().upper() == b"ICCID"
    return "jasper_usage" if found else None


def _match_strex(head: bytes) -> str | None:
    """Tell transactions by the names in the first line's object."""
    line = head.partition(b"\n")[0]
    if not line.startswith(b"{"):
        return None
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return "strex_transactions" if first.keys() >= _STREX_KEYS else None
