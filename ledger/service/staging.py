"""Put a batch on the session's stage: four COPYs into tables that the ledger's owner made.

The stage is temporary, private to the connection and emptied here; `ledger_post_staged` turns it
into facts. See migrations/sql/0001_ledger/05_stage.sql.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.journal import BatchDraft, ItemDraft, canonical_dimensions

ItemIndex = dict[tuple[int, int], int]
Row = tuple[Any, ...]


def fill_stage(session: Session, draft: BatchDraft, hashes: Sequence[bytes]) -> None:
    """Empty the stage of this session and copy the batch onto it."""
    items = item_indices(draft)
    sets = _dimension_sets(session, draft)
    with driver_connection(session).cursor() as cursor:
        lines = sum(len(entry.lines) for entry in draft.entries)
        cursor.execute("SELECT ledger_open_stage(%s)", (lines + len(draft.allocations),))
        _copy(cursor, "ledger_stage_entry", _entry_rows(draft, hashes))
        _copy(cursor, "ledger_stage_line", _line_rows(draft, items, sets))
        if items:
            _copy(cursor, "ledger_stage_item", _item_rows(draft, items))
        if draft.allocations:
            _copy(cursor, "ledger_stage_allocation", _allocation_rows(draft, items))


def item_indices(draft: BatchDraft) -> ItemIndex:
    """Number the open items that a batch opens, by (entry index, line number from 1)."""
    places = (
        (position, line_no)
        for position, entry in enumerate(draft.entries)
        for line_no, line in enumerate(entry.lines, 1)
        if line.item is not None
    )
    return {place: index for index, place in enumerate(places)}


def _entry_rows(draft: BatchDraft, hashes: Sequence[bytes]) -> Iterable[Row]:
    for position, (entry, entry_hash) in enumerate(zip(draft.entries, hashes, strict=True)):
        yield (
            position, entry.series, entry.effective_date, entry.document_date, entry.entry_type,
            entry.source_ref, entry.document_ref, entry.text, entry.reverses_entry_id,
            len(entry.lines), entry_hash,
        )  # fmt: skip


def _line_rows(draft: BatchDraft, items: ItemIndex, sets: Mapping[str, int]) -> Iterable[Row]:
    for position, entry in enumerate(draft.entries):
        for line_no, line in enumerate(entry.lines, 1):
            dim_set = sets.get(canonical_dimensions(line.dimensions), -1) if line.dimensions else 0
            yield (
                position, line_no, line.account, line.amount_minor, line.base, line.currency,
                line.party_id, line.vat_code, line.tax_base_minor, dim_set,
                items.get((position, line_no)), line.text,
            )  # fmt: skip


def _item_rows(draft: BatchDraft, items: ItemIndex) -> Iterable[Row]:
    for (position, line_no), index in items.items():
        item = draft.entries[position].lines[line_no - 1].item
        assert isinstance(item, ItemDraft)
        yield (
            index, position, line_no, item.kind, item.document_ref, item.kid,
            item.document_date, item.due_date,
        )  # fmt: skip


def _allocation_rows(draft: BatchDraft, items: ItemIndex) -> Iterable[Row]:
    for index, allocation in enumerate(draft.allocations):
        credit, debit = (
            (side, None) if isinstance(side, int) else (None, items.get(side, -1))
            for side in (allocation.credit, allocation.debit)
        )
        yield (
            index, *credit, *debit, allocation.amount_minor, allocation.effective_date,
            allocation.rule,
        )  # fmt: skip


def _dimension_sets(session: Session, draft: BatchDraft) -> dict[str, int]:
    """Find or register the dimension sets of a batch, by canonical key."""
    keys = sorted(
        {canonical_dimensions(x.dimensions) for e in draft.entries for x in e.lines if x.dimensions}
    )
    if not keys:
        return {}
    given = {"book": draft.book, "keys": keys}
    session.execute(
        text(
            "INSERT INTO dimension_set (book_id, canonical_key)"
            " SELECT book_id, k FROM book, unnest(CAST(:keys AS text[])) k WHERE code = :book"
            " AND NOT EXISTS (SELECT FROM dimension_set d"
            "  WHERE d.book_id = book.book_id AND d.canonical_key = k)"
            " ON CONFLICT DO NOTHING"
        ),
        given,
    )
    rows = session.execute(
        text(
            "SELECT canonical_key, dim_set_id FROM dimension_set JOIN book USING (book_id)"
            " WHERE code = :book AND canonical_key = ANY (CAST(:keys AS text[]))"
        ),
        given,
    )
    return {row.canonical_key: row.dim_set_id for row in rows}


def _copy(cursor: Any, table: str, rows: Iterable[Row]) -> None:
    with cursor.copy(f"COPY pg_temp.{table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
