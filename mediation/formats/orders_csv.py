"""Order files: a header line, column names, one order a row, and a trailer that counts them.

    HDR,<system>,<sequence>,<business date>
    order_id,action,effective_at,...
    <orders>
    TRL,<number of orders>

The frame is checked before any row is read: a file that lost rows on the way is refused whole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ledger.errors import Invalid
from ledger.money import MICRO_PER_MINOR, parse_amount
from mediation.formats.problems import BrokenFile
from mediation.formats.table_lines import (
    BOM,
    NOTHING_CORRECTED,
    BadCell,
    Corrections,
    Line,
    RowFault,
    fault,
    lines_of,
    named_cells,
    one_of,
    read_imsi,
    read_instant,
    read_phone,
    read_text,
    required,
)
from party.identifiers import is_valid_org_no
from party.orders import Action, Customer, Order

COLUMNS = (
    "order_id", "action", "effective_at", "customer_no", "customer_kind", "name", "org_no",
    "street", "postcode", "city", "country", "email", "billing_account", "segment",
    "subscription_id", "offering", "msisdn", "imsi", "agreed_price",
)  # fmt: skip
ACTIONS: tuple[Action, ...] = ("add", "change", "addon", "cease")
_HEADER = re.compile(rb"HDR,[A-Z][A-Z0-9]{1,15},[0-9]")
_COLUMN_NAMES = ",".join(COLUMNS).encode()
_SYSTEM = re.compile(r"[A-Z][A-Z0-9]{1,15}")
_COUNT = re.compile(r"[0-9]{1,9}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_PRICE_END_MINOR = 10**11  # A milliard kroner is a slip of the pen, and more overflows rating.


@dataclass(frozen=True, slots=True)
class OrderFile:
    """An order file whose frame holds: the orders that could be read, and faults of the others."""

    system: str
    sequence: int
    business_date: date
    rows: tuple[Order, ...]
    faults: tuple[RowFault, ...]


def recognises(head: bytes) -> bool:
    r"""Tell an order file by its header line, or by its column names where that line is damaged.

    >>> recognises(b"HDX,FKM,17,2026-03-02\n" + ",".join(COLUMNS).encode())
    True
    """
    return _HEADER.match(head.removeprefix(BOM)) is not None or _COLUMN_NAMES in head


def place(raw: bytes) -> tuple[str | None, int | None]:
    r"""Give the system and the sequence number of any order file whose first line can be read.

    >>> place(b"HDR,FKM,17,2026-03-02\nthe rest is lost")
    ('FKM', 17)
    """
    first = raw.removeprefix(BOM).partition(b"\n")[0].decode("utf-8", "replace")
    try:
        system, sequence, _ = _header(Line(1, tuple(first.rstrip("\r").split(","))), "")
    except BrokenFile:
        return None, None
    return system, sequence


def read(raw: bytes, name: str, corrections: Corrections = NOTHING_CORRECTED) -> OrderFile:
    """Read an order file.

    Parameters
    ----------
    raw : UTF-8 text; a byte order mark and CRLF are tolerated.
    name : for messages.
    corrections : of single cells, in place of what stands in the file.

    Raises
    ------
    EmptyFile, BrokenFile : it is no text, or its header, column names or trailer do not hold; the
        message names the line and both figures. Nothing of such a file is used.
    """
    lines = list(lines_of(read_text(raw, name), len(COLUMNS)))
    system, sequence, business_date = _header(lines[0], name)
    orders = _framed(lines, name)
    rows: list[Order] = []
    faults: list[RowFault] = []
    for line in orders:
        try:
            rows.append(_order(named_cells(line, COLUMNS, corrections), line.line_no, system))
        except BadCell as why:
            faults.append(fault(line, why))
    return OrderFile(system, sequence, business_date, tuple(rows), tuple(faults))


def _header(line: Line, name: str) -> tuple[str, int, date]:
    """Read the header line: system, sequence, business date."""
    cells = line.cells or ()
    try:
        tag, system, sequence, business_date = cells
        if tag == "HDR" and _SYSTEM.fullmatch(system) and _COUNT.fullmatch(sequence):
            return system, int(sequence), date.fromisoformat(business_date)
    except ValueError:
        pass
    raise _refused(name, line, "is no header HDR,<system>,<sequence>,<YYYY-MM-DD>")


def _framed(lines: list[Line], name: str) -> list[Line]:
    """Give the rows between column names and trailer, when the trailer counts just those."""
    heading = lines[1] if len(lines) > 1 else None
    if heading is None or tuple(cell.strip() for cell in heading.cells or ()) != COLUMNS:
        raise _refused(name, heading or lines[0], "is not followed by the column names of orders"
                       if heading is None else "does not name the columns of orders")  # fmt: skip
    trailer, orders = lines[-1], lines[2:-1]
    cells = trailer.cells or ()
    if len(cells) != 2 or cells[0] != "TRL" or not _COUNT.fullmatch(cells[1]):
        count = len(lines) - 2
        raise _refused(
            name, trailer, f"is no trailer TRL,<count> after {count} rows; the end is missing"
        )
    if int(cells[1]) != len(orders):
        raise _refused(
            name, trailer, f"counts {int(cells[1])} orders, but the file has {len(orders)}"
        )
    return orders


def _refused(name: str, line: Line, what: str) -> BrokenFile:
    return BrokenFile(
        f"{name}: line {line.line_no} {what}. Nothing of the file is used. "
        "Fetch it again from its source.",
        file=name,
        line=line.line_no,
    )


def _order(row: Mapping[str, str], line_no: int, system: str) -> Order:
    """Read a row into an order; raises `BadCell`."""
    required(row, "order_id", "action", "effective_at", "subscription_id")
    action = ACTIONS[ACTIONS.index(one_of(row, "action", ACTIONS))]
    if action == "add":
        required(row, "customer_no", "billing_account", "segment")
    if action != "cease":
        required(row, "offering")
    if row["segment"]:
        one_of(row, "segment", ("consumer", "business"))
    return Order(
        system=system,
        order_id=row["order_id"],
        line_no=line_no,
        action=action,
        effective_at=read_instant(row, "effective_at"),
        subscription_ref=row["subscription_id"],
        offering=row["offering"],
        customer=_customer(row),
        account_ref=row["billing_account"],
        segment=row["segment"],
        msisdn=read_phone(row, "msisdn"),
        imsi=read_imsi(row, "imsi"),
        agreed_price_micro=_price(row),
    )


def _customer(row: Mapping[str, str]) -> Customer | None:
    """Read who is liable, where the row tells it."""
    if not row["customer_no"]:
        return None
    required(row, "name")
    country = row["country"] or "NO"
    if not _COUNTRY.fullmatch(country):
        raise BadCell("country", f"{country!r} is no country code of two letters.")
    org_no = row["org_no"].replace(" ", "") or None
    if org_no and country == "NO" and not is_valid_org_no(org_no):
        raise BadCell("org_no", f"{org_no!r} is no organisation number; its check digit is wrong.")
    return Customer(
        customer_no=row["customer_no"],
        kind=one_of(row, "customer_kind", ("person", "organisation")),
        name=row["name"],
        org_no=org_no,
        street=row["street"],
        postcode=row["postcode"],
        city=row["city"],
        country=country,
        email=row["email"] or None,
    )


def _price(row: Mapping[str, str]) -> int | None:
    """Read a price of kroner with at most two decimals, below a milliard. [millionths]"""
    if not row["agreed_price"]:
        return None
    try:
        minor = parse_amount(row["agreed_price"])
    except Invalid as why:
        raise BadCell("agreed_price", str(why)) from why
    if minor < 0:
        raise BadCell("agreed_price", f"{row['agreed_price']!r} is less than nothing.")
    if minor >= _PRICE_END_MINOR:
        raise BadCell("agreed_price", f"{row['agreed_price']!r} is a milliard kroner or more.")
    return minor * MICRO_PER_MINOR
