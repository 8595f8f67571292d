"""What a batch became: read back from the books, or told from its own columns once it is posted."""

import numpy as np
from sqlalchemy.orm import Session

from ledger.columns import BatchColumns
from ledger.db import driver_connection
from ledger.journal import Posted, Voucher
from ledger.service.names import Resolved


def read_posted(session: Session, batch_id: int, *, replayed: bool) -> Posted:
    """Read back what a batch became; a replay reads exactly what the first call did."""
    low = batch_id << 20
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(_ENTRIES, (low, low + _SPAN))
        ids, *vouchers = cursor.fetchone()
        cursor.execute(_ITEMS, (low, low, low + _SPAN))
        index, line_no, items = cursor.fetchone()
    return Posted(
        batch_id=batch_id,
        entry_ids=tuple(ids),
        vouchers=tuple(map(Voucher, *vouchers)),
        open_item_ids=dict(zip(zip(index, line_no, strict=True), items, strict=True)),
        replayed=replayed,
    )


def tell_posted(
    session: Session, book: str, batch: BatchColumns, resolved: Resolved, batch_id: int
) -> Posted:
    """Tell what a batch has just become, as `read_posted` does, without reading its rows again.

    Ids count from the batch's own, and its numbers end where their counters stand: those are held
    until this transaction is over.
    """
    low, items, lines = batch_id << 20, batch.items.line, batch.lines
    opened = zip(lines.entry[items].tolist(), lines.line_no[items].tolist(), strict=True)
    return Posted(
        batch_id=batch_id,
        entry_ids=tuple(range(low, low + len(resolved.ordinal))),
        vouchers=_vouchers(session, book, batch, resolved),
        open_item_ids=dict(zip(opened, range(low, low + len(items)), strict=True)),
    )


def _vouchers(
    session: Session, book: str, batch: BatchColumns, resolved: Resolved
) -> tuple[Voucher, ...]:
    codes = batch.entries.series.dictionary.to_pylist()
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(_COUNTERS, (book, codes))
        last = {(code, year): number for code, year, number in cursor.fetchall()}
    blocks, place, sizes = np.unique(resolved.block, return_inverse=True, return_counts=True)
    code, year = np.array(codes, object)[blocks >> 16], blocks & 0xFFFF
    ends = [last[block] for block in zip(code, year.tolist(), strict=True)]
    numbers = (np.array(ends, np.int64) - sizes)[place] + resolved.ordinal
    return tuple(map(Voucher, code[place].tolist(), year[place].tolist(), numbers.tolist()))


_COUNTERS = """
    SELECT s.code, c.fiscal_year, c.last_no
    FROM voucher_counter c JOIN voucher_series s USING (series_id) JOIN book b USING (book_id)
    WHERE b.code = %s AND s.code = ANY (%s)"""
_SPAN = 1 << 20  # Ids of a batch.
# One row of arrays: a row an entry takes the client longer than the server needs to find them all.
_ENTRIES = """
    SELECT coalesce(array_agg(entry_id ORDER BY entry_id), '{}'),
        coalesce(array_agg(s.code ORDER BY entry_id), '{}'),
        coalesce(array_agg(fiscal_year ORDER BY entry_id), '{}'),
        coalesce(array_agg(voucher_no ORDER BY entry_id), '{}')
    FROM journal_entry JOIN voucher_series s USING (series_id)
    WHERE entry_id >= %s AND entry_id < %s"""
_ITEMS = """
    SELECT coalesce(array_agg((entry_id - %s)::integer ORDER BY open_item_id), '{}'),
        coalesce(array_agg(line_no ORDER BY open_item_id), '{}'),
        coalesce(array_agg(open_item_id ORDER BY open_item_id), '{}')
    FROM open_item WHERE open_item_id >= %s AND open_item_id < %s"""
