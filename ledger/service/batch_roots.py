"""Rebuild the Merkle root of a batch from what is stored: its header, events, allocations, entries.

The leaves stand in that order, each kind by its id. Entries enter by their leaf, which `rehash`
proves to be the hash of their columns; the other rows enter column by column.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.seals import entry_leaf, merkle_root, row_content, row_leaf

# The tables whose rows are leaves of their own, with the column that orders them in a batch.
BATCH_ROWS = {
    "posting_batch": "batch_id", "event_outbox": "event_id", "allocation": "allocation_id",
}  # fmt: skip
_BATCHES_AT_A_TIME = 500
_ENTRIES_AT_A_TIME = 50_000  # as many as lie in memory at once; a batch more than that lies alone


def present_columns(session: Session, tables: Sequence[str]) -> dict[str, list[str]]:
    """List the columns that tables have now, sorted by name: what a new block covers."""
    rows = session.execute(
        text(
            "SELECT c.relname::text, a.attname::text FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (:tables)"
        ),
        {"tables": list(tables)},
    )
    columns: dict[str, list[str]] = {table: [] for table in tables}
    for table, column in rows:
        columns[table].append(column)
    return {table: sorted(names) for table, names in columns.items()}


def batch_roots(
    session: Session, batch_ids: Sequence[int], columns: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, bytes]]:
    """Yield (batch_id, root) in the order given, from the stored rows.

    `columns` says which columns a block covers, see `ledger.seals.SealedBlock`.
    """
    for start in range(0, len(batch_ids), _BATCHES_AT_A_TIME):
        for some in _handfuls(session, batch_ids[start : start + _BATCHES_AT_A_TIME]):
            leaves = batch_leaves(session, some, columns)
            for batch_id in some:
                yield batch_id, merkle_root(leaves[batch_id])


def _handfuls(session: Session, batch_ids: Sequence[int]) -> Iterator[list[int]]:
    """Part batches, in their order, so that no part has more entries than are held at once.

    Where a header lies about its entries, the root tells; here it is only a matter of memory.
    """
    rows = session.execute(
        text("SELECT batch_id, entry_count FROM posting_batch WHERE batch_id = ANY (:batches)"),
        {"batches": list(batch_ids)},
    )
    entries = {row.batch_id: row.entry_count for row in rows}
    some: list[int] = []
    held = 0
    for batch_id in batch_ids:
        held += entries.get(batch_id, 0)
        if some and held > _ENTRIES_AT_A_TIME:
            yield some
            some, held = [], entries.get(batch_id, 0)
        some.append(batch_id)
    if some:
        yield some


def batch_leaves(
    session: Session, batch_ids: Sequence[int], columns: Mapping[str, Sequence[str]]
) -> dict[int, list[bytes]]:
    """Read the leaves of some batches, in their order in the tree."""
    leaves: dict[int, list[bytes]] = defaultdict(list)
    for table in BATCH_ROWS:
        for batch_id, content in batch_rows(session, table, batch_ids, columns[table]):
            leaves[batch_id].append(row_leaf(table, content))
    connection = driver_connection(session)
    for entry_id, leaf in connection.execute(_ENTRIES, {"batches": list(batch_ids)}, binary=True):
        leaves[entry_id >> 20].append(entry_leaf(entry_id, leaf))
    return leaves


def batch_rows(
    session: Session, table: str, batch_ids: Sequence[int], columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (batch_id, content) of the rows of a table that belong to some batches, in order."""
    listed = ", ".join(["batch_id", *(f'"{column}"' for column in columns)])
    statement = (
        f"SELECT {listed} FROM {table} WHERE batch_id = ANY (%(batches)s)"
        f" ORDER BY batch_id, {BATCH_ROWS[table]}"
    )
    rows: Any = driver_connection(session).execute(statement, {"batches": list(batch_ids)})
    for batch_id, *values in rows:
        yield batch_id, row_content(columns, values)


_ENTRIES = """
    SELECT e.entry_id, e.leaf FROM unnest(%(batches)s::bigint[]) b (batch_id)
    JOIN journal_entry e
        ON e.entry_id >= b.batch_id << 20 AND e.entry_id < (b.batch_id + 1) << 20
    ORDER BY e.entry_id"""
