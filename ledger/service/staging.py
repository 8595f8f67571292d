"""Post many entries: binary COPYs into a stage that the ledger's owner made, then one call.

The stage is temporary, private to the connection and emptied here; `ledger_post_staged` turns it
into facts. See migrations/sql/0036_asked_once/05_deltas.sql.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger.columns import (
    BatchColumns,
    Texts,
    check_columns,
    columns_of,
    content_hash,
    entry_bodies,
    entry_hashes,
    needs_rates,
    texts_of,
    totals,
)
from ledger.columns.octets import Column, buffer, ends, joined, optional, packed, prefixed
from ledger.db import driver_connection
from ledger.journal import BatchDraft, Declared, Posted
from ledger.service.names import Resolved, resolve
from ledger.service.posted import read_posted, tell_posted

# COPY's binary form: a signature, a row as its number of fields and each field behind its length,
# and an end. Source: PostgreSQL documentation, COPY, Binary Format.
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_FIRST_DAY = 730_120  # 2000-01-01, from which PostgreSQL counts its days.
Array = np.ndarray[Any, Any]
# What a stage's table holds; where a key names several columns, each is behind its length already.
Fields = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Many:
    """A batch of many lines, checked and encoded in columns."""

    draft: BatchDraft
    batch: BatchColumns
    texts: Texts
    bodies: Column

    @classmethod
    def of(cls, draft: BatchDraft) -> "Many":
        """Check and encode a batch; raises what `check_batch` does."""
        batch = columns_of(draft)
        check_columns(batch, draft)
        texts = texts_of(batch)
        return cls(draft, batch, texts, entry_bodies(batch, texts))

    def content(self) -> bytes:
        """Hash what is posted, whoever sends it."""
        return content_hash(self.batch, self.bodies, self.draft.book)

    def totals(self) -> Declared:
        """Count and sum what is posted."""
        return totals(self.batch)

    def needs_rates(self, own: str) -> bool:
        """Tell whether a line leaves its amount in the book's own currency to a rate."""
        return needs_rates(self.batch, own)

    def call(self, session: Session, envelope: Sequence[Any]) -> Posted:
        """Fill the stage and post it."""
        batch = self.batch
        resolved = resolve(session, self.draft.book, batch)
        count = len(batch.lines.amount) + len(batch.allocations.amount)
        with driver_connection(session).cursor() as cursor:
            cursor.execute(_OPEN, (count,))
            _fill(cursor, self._tables(resolved))
            cursor.execute(_POST, envelope)
            batch_id, replayed = cursor.fetchone()
        if replayed:
            return read_posted(session, batch_id, replayed=True)
        return tell_posted(session, self.draft.book, batch, resolved, batch_id)

    def _tables(self, resolved: Resolved) -> Iterator[tuple[str, Fields]]:
        """Give what goes into each table of the stage."""
        draft, batch, texts = self.draft, self.batch, self.texts
        if len(batch.lines.amount):
            yield "line", _lines(batch, texts.lines, resolved)
            yield "delta", _deltas(batch, texts.lines, resolved)
            hashes = entry_hashes(self.bodies, draft.book, draft.source_system, draft.actor)
            yield "entry", _entries(batch, texts.entries, resolved, hashes)
        if len(batch.items.line):
            yield "item", _items(batch, texts, resolved)
        if len(batch.allocations.amount):
            yield "allocation", _allocations(batch)


def keep_stage(session: Session) -> None:
    """Make the stage outside of a savepoint that may be rolled back.

    A stage that was made inside goes with it, and so do all plans that were made for it: to make
    them again costs more than the posting itself.
    """
    driver_connection(session).execute(_OPEN, (0,))


_OPEN = "SELECT ledger_open_stage(%s)"
_POST = """
    SELECT posted_batch, replayed FROM ledger_post_staged(%s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def _entries(
    batch: BatchColumns, texts: Mapping[str, Column], resolved: Resolved, hashes: Sequence[bytes]
) -> Fields:
    entries = batch.entries
    leaves = np.frombuffer(b"".join(hashes), "V32")
    return {
        "entry_index, ordinal, effective_date, document_date, line_count, entry_hash": packed([
            *_int4(np.arange(len(hashes))), *_int4(resolved.ordinal), *_date(entries.effective_day),
            *_date(entries.document_day), *_int4(entries.line_count), (">i4", 32), ("V32", leaves),
        ]),
        "fiscal_year": _optional(resolved.fiscal_year, ">i2"),
        **{name: texts[name] for name in
           ("series", "entry_type", "source_ref", "document_ref", "text")},
        "reverses_entry_id": _optional(entries.reverses, ">i8"),
    }  # fmt: skip


def _lines(batch: BatchColumns, texts: Mapping[str, Column], resolved: Resolved) -> Fields:
    lines = batch.lines
    return {
        "entry_index, line_no, amount_minor, base_minor, dim_set_id, effective_date": packed([
            *_int4(lines.entry), (">i4", 2), (">i2", lines.line_no), *_int8(lines.amount),
            *_int8(lines.base), *_int4(resolved.dimensions), *_date(resolved.day),
        ]),
        "account_id": _optional(resolved.account, ">i4"),
        "vat_code_id": _optional(resolved.vat_code, ">i2"),
        "party_id": _optional(lines.party, ">i8"),
        "tax_base_minor": _optional(lines.tax_base, ">i8"),
        "item_index": _optional(lines.item, ">i4"),
        **{name: texts[name] for name in ("account", "currency", "vat_code", "text")},
    }  # fmt: skip


def _deltas(batch: BatchColumns, texts: Mapping[str, Column], resolved: Resolved) -> Fields:
    """Sum what lines add to each balance: of an account, currency, dimensions and day."""
    lines = batch.lines
    keys = (
        resolved.account.fill_null(-1).to_numpy(), lines.currency.indices.to_numpy(),
        resolved.dimensions, resolved.day,
    )  # fmt: skip
    order = np.lexsort(keys)
    is_first = np.logical_or.reduce([np.diff(key[order], prepend=-2) != 0 for key in keys])
    starts = np.flatnonzero(is_first)
    of = order[starts]  # (balances,) a line of each
    sides = [side for amount in (lines.amount, lines.base) for side in (amount, -amount)]
    sums = [np.add.reduceat(np.maximum(side, 0)[order], starts) for side in sides]
    return {
        "dim_set_id, effective_date, line_count, debit_minor, credit_minor, base_debit_minor,"
        " base_credit_minor": packed([
            *_int4(resolved.dimensions[of]), *_date(resolved.day[of]),
            *_int4(np.diff(starts, append=len(order))),
            *chain.from_iterable(map(_int8, sums)),
        ]),
        "account_id": _optional(resolved.account.take(of), ">i4"),
        "currency": texts["currency"].take(of),
    }  # fmt: skip


def _items(batch: BatchColumns, texts: Texts, resolved: Resolved) -> Fields:
    items, lines, of = batch.items, batch.lines, batch.items.line
    return {
        "item_index, entry_index, line_no, document_date, due_date, effective_date, amount_minor,"
        " base_minor": packed([
            *_int4(np.arange(len(of))), *_int4(lines.entry[of]), (">i4", 2),
            (">i2", lines.line_no[of]), *_date(items.document_day), *_date(items.due_day),
            *_date(resolved.day[of]), *_int8(lines.amount[of]), *_int8(lines.base[of]),
        ]),
        "account_id": _optional(resolved.account.take(of), ">i4"),
        "party_id": _optional(lines.party.take(of), ">i8"),
        "currency": texts.lines["currency"].take(of),
        **{name: texts.items[name] for name in ("kind", "document_ref", "kid")},
    }  # fmt: skip


def _allocations(batch: BatchColumns) -> Fields:
    used = batch.allocations
    fields = {}
    for name, (new, place, line) in (("credit", used.credit), ("debit", used.debit)):
        is_new = new.astype(bool)
        index = np.where(is_new, _item_of(batch, place, line), -1)
        fields[f"{name}_item_id"] = _optional(pa.array(place, mask=is_new), ">i8")
        fields[f"{name}_index"] = _optional(pa.array(index, mask=~is_new), ">i4")
    return {
        "allocation_index, amount_minor, effective_date": packed([
            *_int4(np.arange(len(used.amount))), *_int8(used.amount), *_date(used.effective_day),
        ]),
        "rule": prefixed(used.rule),
        **fields,
    }  # fmt: skip


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


def _fill(cursor: Any, tables: Iterator[tuple[str, Fields]]) -> None:
    """Send table by table, each as one piece: a thread that sends costs more than it hides."""
    for table, fields in tables:
        names = ", ".join(fields)
        rows = joined((names.count(",") + 1).to_bytes(2, "big"), *fields.values())
        octets, places = buffer(rows), ends(rows)
        query = f"COPY pg_temp.ledger_stage_{table} ({names}) FROM STDIN (FORMAT binary)"
        with cursor.copy(query) as copy:
            copy.write(b"".join((_SIGNATURE, octets[int(places[0]) : int(places[-1])], _END)))


def _int4(values: Array) -> list[tuple[str, Array | int]]:
    return [(">i4", 4), (">i4", values)]


def _int8(values: Array) -> list[tuple[str, Array | int]]:
    return [(">i4", 8), (">i8", values)]


def _date(days: Array) -> list[tuple[str, Array | int]]:
    return _int4(days - _FIRST_DAY)


def _optional(values: Any, width: str) -> Column:
    size = np.dtype(width).itemsize
    return optional(values, width, size.to_bytes(4, "big"), b"\xff\xff\xff\xff")
