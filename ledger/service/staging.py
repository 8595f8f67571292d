"""Post many entries: four binary COPYs into a stage that the ledger's owner made, then one call.

The stage is temporary, private to the connection and emptied here; `ledger_post_staged` turns it
into facts. See migrations/sql/0033_resolved/01_stage.sql.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.columns import (
    BatchColumns,
    check_columns,
    columns_of,
    content_hash,
    entry_bodies,
    entry_hashes,
    needs_rates,
    totals,
)
from ledger.columns.octets import Column, buffer, ends, joined, optional, packed, prefixed
from ledger.db import driver_connection
from ledger.journal import BatchDraft, Declared
from ledger.service.names import Resolved, resolve

# COPY's binary form: a signature, a row as its number of fields and each field behind its length,
# and an end. Source: PostgreSQL documentation, COPY, Binary Format.
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_FIRST_DAY = 730_120  # 2000-01-01, from which PostgreSQL counts its days.
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Many:
    """A batch of many lines, checked and encoded in columns."""

    draft: BatchDraft
    batch: BatchColumns
    bodies: Column

    @classmethod
    def of(cls, draft: BatchDraft) -> "Many":
        """Check and encode a batch; raises what `check_batch` does."""
        batch = columns_of(draft)
        check_columns(batch, draft)
        return cls(draft, batch, entry_bodies(batch))

    def content(self) -> bytes:
        """Hash what is posted, whoever sends it."""
        return content_hash(self.batch, self.bodies, self.draft.book)

    def totals(self) -> Declared:
        """Count and sum what is posted."""
        return totals(self.batch)

    def needs_rates(self, own: str) -> bool:
        """Tell whether a line leaves its amount in the book's own currency to a rate."""
        return needs_rates(self.batch, own)

    def call(self, session: Session, envelope: Sequence[Any]) -> tuple[int, bool]:
        """Fill the stage and post it; gives the batch and whether it was there already."""
        draft, batch = self.draft, self.batch
        hashes = entry_hashes(self.bodies, draft.book, draft.source_system, draft.actor)
        resolved = resolve(session, draft.book, batch)
        used = len(batch.allocations.amount)
        with driver_connection(session).cursor() as cursor:
            cursor.execute(_OPEN, (len(batch.lines.amount) + used,))
            if hashes:
                _copy_entries(cursor, batch, resolved, hashes)
                _copy_lines(cursor, batch, resolved)
            if len(batch.items.line):
                _copy_items(cursor, batch, resolved)
            if used:
                _copy_allocations(cursor, batch)
            cursor.execute(_POST, envelope)
            batch_id, replayed = cursor.fetchone()
        return int(batch_id), bool(replayed)


def keep_stage(session: Session) -> None:
    """Make the stage outside of a savepoint that may be rolled back.

    A stage that was made inside goes with it, and so do all plans that were made for it: to make
    them again costs more than the posting itself.
    """
    driver_connection(session).execute(_OPEN, (0,))


_OPEN = "SELECT ledger_open_stage(%s)"
_POST = """
    SELECT posted_batch, replayed FROM ledger_post_staged(%s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def _copy_entries(
    cursor: Any, batch: BatchColumns, resolved: Resolved, hashes: Sequence[bytes]
) -> None:
    entries = batch.entries
    leaves = np.frombuffer(b"".join(hashes), "V32")
    _copy(cursor, "ledger_stage_entry", {
        "entry_index, ordinal, effective_date, document_date, line_count, entry_hash": packed([
            *_int4(np.arange(len(hashes))), *_int4(resolved.ordinal), *_date(entries.effective_day),
            *_date(entries.document_day), *_int4(entries.line_count), (">i4", 32), ("V32", leaves),
        ]),
        "fiscal_year": _optional(resolved.fiscal_year, ">i2"),
        "series": prefixed(entries.series),
        "entry_type": prefixed(entries.entry_type),
        "source_ref": prefixed(entries.source_ref),
        "document_ref": prefixed(entries.document_ref),
        "text": prefixed(entries.text),
        "reverses_entry_id": _optional(entries.reverses, ">i8"),
    })  # fmt: skip


def _copy_lines(cursor: Any, batch: BatchColumns, resolved: Resolved) -> None:
    lines = batch.lines
    _copy(cursor, "ledger_stage_line", {
        "entry_index, line_no, amount_minor, base_minor, dim_set_id, effective_date": packed([
            *_int4(lines.entry), (">i4", 2), (">i2", lines.line_no), *_int8(lines.amount),
            *_int8(lines.base), *_int4(resolved.dimensions), *_date(resolved.day),
        ]),
        "account_id": _optional(resolved.account, ">i4"),
        "vat_code_id": _optional(resolved.vat_code, ">i2"),
        "account": prefixed(lines.account),
        "currency": prefixed(lines.currency),
        "party_id": _optional(lines.party, ">i8"),
        "vat_code": prefixed(lines.vat_code),
        "tax_base_minor": _optional(lines.tax_base, ">i8"),
        "item_index": _optional(lines.item, ">i4"),
        "text": prefixed(lines.text),
    })  # fmt: skip


def _copy_items(cursor: Any, batch: BatchColumns, resolved: Resolved) -> None:
    items, lines, of = batch.items, batch.lines, batch.items.line
    _copy(cursor, "ledger_stage_item", {
        "item_index, entry_index, line_no, document_date, due_date, effective_date, amount_minor,"
        " base_minor": packed([
            *_int4(np.arange(len(of))), *_int4(lines.entry[of]), (">i4", 2),
            (">i2", lines.line_no[of]), *_date(items.document_day), *_date(items.due_day),
            *_date(resolved.day[of]), *_int8(lines.amount[of]), *_int8(lines.base[of]),
        ]),
        "account_id": _optional(resolved.account.take(of), ">i4"),
        "party_id": _optional(lines.party.take(of), ">i8"),
        "currency": prefixed(lines.currency.take(of)),
        "kind": prefixed(items.kind),
        "document_ref": prefixed(items.document_ref),
        "kid": prefixed(items.kid),
    })  # fmt: skip


def _copy_allocations(cursor: Any, batch: BatchColumns) -> None:
    used = batch.allocations
    fields = {}
    for name, (new, place, line) in (("credit", used.credit), ("debit", used.debit)):
        is_new = new.astype(bool)
        index = np.where(is_new, _item_of(batch, place, line), -1)
        fields[f"{name}_item_id"] = _optional(pa.array(place, mask=is_new), ">i8")
        fields[f"{name}_index"] = _optional(pa.array(index, mask=~is_new), ">i4")
    _copy(cursor, "ledger_stage_allocation", {
        "allocation_index, amount_minor, effective_date": packed([
            *_int4(np.arange(len(used.amount))), *_int8(used.amount), *_date(used.effective_day),
        ]),
        "rule": prefixed(used.rule),
        **fields,
    })  # fmt: skip


def _item_of(batch: BatchColumns, entry: Array, line_no: Array) -> Array:
    """Find which item the line of an entry opens; -1 for a line that opens none."""
    lines, of = batch.lines, batch.items.line
    if not len(of):
        return np.full(len(entry), -1)
    keys = lines.entry[of] << 16 | lines.line_no[of]  # Ascending: items come as their lines do.
    # A place beyond what an entry can have is nobody's, and must not become another's.
    known = (entry >= 0) & (entry < 1 << 20) & (line_no > 0) & (line_no < 1 << 16)
    sought = np.where(known, entry << 16 | line_no, -1)
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.where(keys[place] == sought, place, -1)


def _copy(cursor: Any, table: str, fields: Mapping[str, Column]) -> None:
    """Send rows; a field of several columns holds each behind its length."""
    names = ", ".join(fields)
    rows = joined((names.count(",") + 1).to_bytes(2, "big"), *fields.values())
    octets, places = buffer(rows), ends(rows)
    with cursor.copy(f"COPY pg_temp.{table} ({names}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(_SIGNATURE)
        copy.write(octets[int(places[0]) : int(places[-1])])
        copy.write(_END)


def _int4(values: Array) -> list[tuple[str, Array | int]]:
    return [(">i4", 4), (">i4", values)]


def _int8(values: Array) -> list[tuple[str, Array | int]]:
    return [(">i4", 8), (">i8", values)]


def _date(days: Array) -> list[tuple[str, Array | int]]:
    return _int4(days - _FIRST_DAY)


def _optional(values: Any, width: str) -> Column:
    size = np.dtype(width).itemsize
    return optional(values, width, size.to_bytes(4, "big"), b"\xff\xff\xff\xff")
