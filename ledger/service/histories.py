"""Master data under seal: charts, rates, rules, series, periods, locks and the audit log.

A block carries the rows that are new since the block before it, as texts by column, in
`seal_master`. A sealed row may afterwards only come to an end where that is allowed; anything else
that differs is never sealed anew, so that verify keeps naming it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.seals import row_content, row_leaf
from ledger.service.guards import GUARDS

# Guarded tables that are sealed otherwise: with their batch, as seals, or by the entries. Requests
# are the way in, as many as entries: what they posted is sealed, their answers are not.
_NOT_MASTER = {
    "posting_batch", "batch_closed", "journal_entry", "journal_line", "balance_delta",
    "balance_month", "open_item", "allocation", "event_outbox", "voucher_counter",
    "seal_block", "seal_member", "seal_master",
    "posting_request", "posting_request_step",
    "webhook", "webhook_ended", "webhook_replay", "webhook_delivery",
}  # fmt: skip
# Written by migrations and seeding only, so they need no guard of their own to be sealed.
_UNGUARDED = ("book", "currency", "dimension", "dimension_value", "voucher_series")
# What a row may still learn after it was sealed: a column without a value gets one.
MAY_END: Mapping[str, frozenset[str]] = {
    "vat_code": frozenset({"valid_to"}), "dimension_value": frozenset({"valid_to"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MasterRow:
    """A row of master data: its table, its primary key and its columns as texts."""

    history: str
    row_key: str
    content: dict[str, str]

    @classmethod
    def from_copy(cls, history: str, row_key: str, content: dict[str, object]) -> "MasterRow":
        """Read a sealed copy back; what is no text in it was never written by a sealer."""
        texts = {c: t if isinstance(t, str) else f"not a text: {t!r}" for c, t in content.items()}
        return cls(history, row_key, texts)

    @property
    def leaf(self) -> bytes:
        """Give the content of its leaf in the block's tree of master data."""
        return row_leaf(f"{self.history}/{self.row_key}", self.content)


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row of master data as it was last sealed, and the columns that the block covered."""

    row: MasterRow
    block_no: int
    columns: frozenset[str]

    def differences(self, now: MasterRow) -> dict[str, tuple[str | None, str | None]]:
        """Name the sealed columns that are no longer what they were, as (sealed, now)."""
        may_end = MAY_END.get(self.row.history, frozenset())
        return {
            column: (before, after)
            for column in sorted(self.columns)
            if (before := self.row.content.get(column)) != (after := now.content.get(column))
            and not (before is None and column in may_end)
        }


def histories() -> list[str]:
    """List the tables of master data, in the order in which a block holds them."""
    return sorted({*GUARDS, *_UNGUARDED} - _NOT_MASTER)


def new_rows(
    session: Session, columns: Mapping[str, Sequence[str]], covered: Mapping[str, Sequence[str]]
) -> list[MasterRow]:
    """Find the master data that the next block seals, in the order of its tree.

    `columns` are those present now, `covered` those that the last block covers. A table whose
    columns changed is read whole; one that only grows is searched for what is new.
    """
    found: list[MasterRow] = []
    for history in histories():
        if history in MAY_END or list(covered.get(history, ())) != list(columns[history]):
            found += _changed(session, history, columns[history])
        else:
            found += current_rows(session, history, columns[history], only_new=True)
    return sorted(found, key=lambda row: (row.history, row.row_key))


def current_rows(
    session: Session, history: str, columns: Sequence[str], *, only_new: bool = False
) -> Iterator[MasterRow]:
    """Read a table of master data as it stands, in the given columns."""
    keys = [f"t.{column}::text" for column in _key_columns(session, history)]
    key = " || '/' || ".join(keys)
    listed = ", ".join([key, *(f't."{column}"' for column in columns)])
    unsealed = (
        f" WHERE NOT EXISTS (SELECT FROM seal_master m"
        f" WHERE m.history = '{history}' AND m.row_key = {key})"
    )
    statement = f"SELECT {listed} FROM {history} t{unsealed if only_new else ''}"
    rows: Any = driver_connection(session).execute(statement)
    for row_key, *values in rows:
        yield MasterRow(history, row_key, row_content(columns, values))


def sealed_rows(session: Session, history: str) -> dict[str, SealedRow]:
    """Read each row of a table as it was last sealed, by its key."""
    rows = session.execute(
        text(
            "SELECT DISTINCT ON (m.row_key) m.row_key, m.content, m.block_no,"
            " b.sealed_columns -> m.history AS columns"
            " FROM seal_master m JOIN seal_block b USING (block_no)"
            " WHERE m.history = :history ORDER BY m.row_key, m.block_no DESC"
        ),
        {"history": history},
    )
    return {
        key: SealedRow(
            MasterRow.from_copy(history, key, content), block_no, frozenset(columns or ())
        )
        for key, content, block_no, columns in rows
    }


def _changed(session: Session, history: str, columns: Sequence[str]) -> Iterator[MasterRow]:
    sealed = sealed_rows(session, history)
    for row in current_rows(session, history, columns):
        known = sealed.get(row.row_key)
        if known is None:
            yield row
            continue
        is_same = (known.row.content, known.columns) == (row.content, frozenset(columns))
        if not is_same and not known.differences(row):
            yield row


def _key_columns(session: Session, table: str) -> list[str]:
    rows = session.execute(
        text(
            "SELECT a.attname::text FROM pg_index i"
            " CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place)"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
            " WHERE i.indrelid = CAST(:table AS regclass) AND i.indisprimary ORDER BY k.place"
        ),
        {"table": table},
    )
    return [f'"{row[0]}"' for row in rows]
