"""Post few entries: their rows are arguments of one call, where filling a stage costs more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.encoding import encode_entry, entry_hash, request_hash
from ledger.journal import (
    BatchDraft,
    Declared,
    ItemDraft,
    Posted,
    canonical_dimensions,
    check_batch,
    totals_of,
)
from ledger.service.names import dimension_sets
from ledger.service.posted import read_posted
from ledger.service.rates import needs_rate

Row = tuple[Any, ...]
_ENTRY = ("entry_index", "series", "effective_date", "document_date", "entry_type", "source_ref",
          "document_ref", "text", "reverses_entry_id", "line_count", "entry_hash")  # fmt: skip
_LINE = ("entry_index", "line_no", "account", "amount_minor", "base_minor", "currency", "party_id",
         "vat_code", "tax_base_minor", "dim_set_id", "item_index", "text")  # fmt: skip
_ITEM = ("item_index", "entry_index", "line_no", "kind", "document_ref", "kid", "document_date",
         "due_date")  # fmt: skip
_ALLOCATION = ("allocation_index", "credit_item_id", "credit_index", "debit_item_id",
               "debit_index", "amount_minor", "effective_date", "rule")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Few:
    """A batch of few lines, checked and encoded entry by entry."""

    draft: BatchDraft
    bodies: Sequence[bytes]

    @classmethod
    def of(cls, draft: BatchDraft) -> "Few":
        """Check and encode a batch; raises what `check_batch` does."""
        check_batch(draft)
        return cls(draft, [encode_entry(entry) for entry in draft.entries])

    def content(self) -> bytes:
        """Hash what is posted, whoever sends it."""
        return request_hash(self.draft, iter(self.bodies))

    def totals(self) -> Declared:
        """Count and sum what is posted."""
        return totals_of(self.draft.entries)

    def needs_rates(self, own: str) -> bool:
        """Tell whether a line leaves its amount in the book's own currency to a rate."""
        return any(needs_rate(entry, own) for entry in self.draft.entries)

    def call(self, session: Session, envelope: Sequence[Any]) -> Posted:
        """Post in one call."""
        draft = self.draft
        items = {
            place: index
            for index, place in enumerate(
                (position, line_no)
                for position, entry in enumerate(draft.entries)
                for line_no, line in enumerate(entry.lines, 1)
                if line.item is not None
            )
        }
        sets = _sets(session, draft)
        rows = (
            _json(_ENTRY, _entries(draft, self.bodies)), _json(_LINE, _lines(draft, items, sets)),
            _json(_ITEM, _items(draft, items)), _json(_ALLOCATION, _allocations(draft, items)),
        )  # fmt: skip
        with driver_connection(session).cursor() as cursor:
            cursor.execute(_POST, (*envelope, *rows))
            batch_id, replayed = cursor.fetchone()
        return read_posted(session, batch_id, replayed=replayed)


_POST = """
    SELECT posted_batch, replayed FROM ledger_post_few(
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb)"""


def _sets(session: Session, draft: BatchDraft) -> Mapping[str, int]:
    keys = {canonical_dimensions(x.dimensions) for e in draft.entries for x in e.lines}
    return dimension_sets(session, draft.book, keys)


def _entries(draft: BatchDraft, bodies: Sequence[bytes]) -> Iterable[Row]:
    for position, (entry, body) in enumerate(zip(draft.entries, bodies, strict=True)):
        hashed = entry_hash(body, draft.book, draft.source_system, draft.actor)
        yield (
            position, entry.series, entry.effective_date, entry.document_date, entry.entry_type,
            entry.source_ref, entry.document_ref, entry.text, entry.reverses_entry_id,
            len(entry.lines), rf"\x{hashed.hex()}",
        )  # fmt: skip


def _lines(
    draft: BatchDraft, items: Mapping[tuple[int, int], int], sets: Mapping[str, int]
) -> Iterable[Row]:
    for position, entry in enumerate(draft.entries):
        for line_no, line in enumerate(entry.lines, 1):
            yield (
                position, line_no, line.account, int(line.amount_minor), int(line.base),
                line.currency, _whole(line.party_id), line.vat_code, _whole(line.tax_base_minor),
                sets.get(canonical_dimensions(line.dimensions), -1),
                items.get((position, line_no)), line.text,
            )  # fmt: skip


def _items(draft: BatchDraft, items: Mapping[tuple[int, int], int]) -> Iterable[Row]:
    for (position, line_no), index in items.items():
        item = draft.entries[position].lines[line_no - 1].item
        assert isinstance(item, ItemDraft)
        yield (
            index, position, line_no, item.kind, item.document_ref, item.kid,
            item.document_date, item.due_date,
        )  # fmt: skip


def _allocations(draft: BatchDraft, items: Mapping[tuple[int, int], int]) -> Iterable[Row]:
    for index, allocation in enumerate(draft.allocations):
        credit, debit = (
            (side, None) if isinstance(side, int) else (None, items.get(side, -1))
            for side in (allocation.credit, allocation.debit)
        )
        yield (
            index, *credit, *debit, int(allocation.amount_minor), allocation.effective_date,
            allocation.rule,
        )  # fmt: skip


def _whole(number: int | None) -> int | None:
    return None if number is None else int(number)


def _json(names: Sequence[str], rows: Iterable[Row]) -> str:
    return msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows]).decode()
