"""Lists of subscriptions that exist elsewhere, one a row; known by their line of column names.

`valid_to` is written in two ways: as the last second that counts, which ends in :59, or as the
first instant that does not. Both become the end of a half-open interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import Invalid
from mediation.formats.problems import BrokenFile
from mediation.formats.table_lines import (
    BOM,
    NOTHING_CORRECTED,
    BadCell,
    Corrections,
    RowFault,
    one_of,
    read_imsi,
    read_instant,
    read_phone,
    read_text,
    required,
    rows_of,
)
from party.identifiers import encode_iccid
from party.orders import SubscriptionRecord

COLUMNS = (
    "subscription_id", "imsi", "msisdn", "iccid", "product", "billing_account",
    "usage_split_account", "user_party", "valid_from", "valid_to",
)  # fmt: skip
_WITH_SEGMENT = (*COLUMNS, "segment")


@dataclass(frozen=True, slots=True)
class SubscriptionFile:
    """The rows that could be read, and faults of the others."""

    rows: tuple[SubscriptionRecord, ...]
    faults: tuple[RowFault, ...]


def recognises(head: bytes) -> bool:
    """Tell a list of subscriptions by its first line."""
    first = head.removeprefix(BOM).partition(b"\n")[0].decode("utf-8", "replace")
    return _named(first.split(",")) in {COLUMNS, _WITH_SEGMENT}


def read(raw: bytes, name: str, corrections: Corrections = NOTHING_CORRECTED) -> SubscriptionFile:
    """Read a list of subscriptions.

    The column `segment` may follow the others; without it the accounts are consumers'.

    Raises
    ------
    EmptyFile, BrokenFile : it is no text, or its first line does not name the columns.
    """
    text = read_text(raw, name)
    columns = _named(text.partition("\n")[0].split(","))
    if columns not in {COLUMNS, _WITH_SEGMENT}:
        raise BrokenFile(
            f"{name}: line 1 does not name the columns {','.join(COLUMNS)}[,segment]. "
            "Nothing of the file is used. Send it again as text separated by commas.",
            file=name,
            line=1,
        )
    return SubscriptionFile(*rows_of(text, columns, _subscription, corrections))


def _named(cells: list[str]) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in cells)


def _subscription(row: Mapping[str, str], line_no: int) -> SubscriptionRecord:
    """Read a row; raises `BadCell`."""
    required(row, "subscription_id", "product", "billing_account", "valid_from")
    segment = "consumer"
    if row.get("segment"):
        segment = one_of(row, "segment", ("consumer", "business"))
    numbers = {
        "imsi": read_imsi(row, "imsi"),
        "msisdn": read_phone(row, "msisdn"),
        "iccid": _iccid(row),
    }
    valid_from, valid_to = read_instant(row, "valid_from"), _end(row)
    if valid_to is not None and valid_to <= valid_from:
        raise BadCell("valid_to", f"{row['valid_to']!r} is not after {row['valid_from']!r}.")
    return SubscriptionRecord(
        line_no=line_no,
        subscription_ref=row["subscription_id"],
        numbers={kind: value for kind, value in numbers.items() if value is not None},
        offering=row["product"],
        account_ref=row["billing_account"],
        segment=segment,
        valid_from=valid_from,
        valid_to=valid_to,
    )


def _end(row: Mapping[str, str]) -> int | None:
    """Read the first instant that does not count. [UTC s]"""
    if not row["valid_to"]:
        return None
    written = read_instant(row, "valid_to")
    return written + 1 if written % 60 == 59 else written


def _iccid(row: Mapping[str, str]) -> int | None:
    if not row["iccid"]:
        return None
    try:
        return encode_iccid(row["iccid"])
    except Invalid as why:
        raise BadCell("iccid", str(why)) from why
