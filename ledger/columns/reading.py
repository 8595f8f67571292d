"""From drafts to columns: what each row says, as arrays."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.journal import (
    AllocationDraft,
    BatchDraft,
    canonical_dimensions,
)

Int64 = np.ndarray[Any, np.dtype[np.int64]]
Texts = Any  # pyarrow arrays: large strings, or a dictionary of them
Numbers = Any  # pyarrow.Int64Array: an absent number is null


@dataclass(frozen=True, slots=True)
class EntryColumns:
    """Headers, (n,) each; dates are days of the proleptic calendar."""

    series: Texts
    effective_day: Int64
    document_day: Int64
    entry_type: Texts
    source_ref: Texts
    text: Texts
    document_ref: Texts
    reverses: Numbers
    line_count: Int64


@dataclass(frozen=True, slots=True)
class LineColumns:
    """Lines of all entries in order; `item` is the row of `ItemColumns`. [minor units]"""

    entry: Int64
    line_no: Int64
    account: Texts
    amount: Int64
    base: Int64
    given_base: Numbers  # null where it is left to a rate, or is the amount itself
    currency: Texts
    party: Numbers
    vat_code: Texts
    tax_base: Numbers
    dimensions: Texts  # canonical keys, "" for none
    item: Numbers
    text: Texts


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """Open items in the order of their lines; `line` is the row of `LineColumns`."""

    line: Int64
    kind: Texts
    document_ref: Texts
    kid: Texts
    document_day: Int64
    due_day: Int64


@dataclass(frozen=True, slots=True)
class AllocationColumns:
    """Allocations; each side is an item's id, or the entry index and line number of a new one."""

    credit: tuple[Int64, Int64, Int64]  # 1 if new, id or entry index, 0 or line number
    debit: tuple[Int64, Int64, Int64]
    amount: Int64
    effective_day: Int64
    rule: Texts


Table = TypeVar("Table", EntryColumns, LineColumns, ItemColumns)


@dataclass(frozen=True, slots=True)
class BatchColumns:
    """What a batch holds, sound as far as can be told without the books."""

    entries: EntryColumns
    lines: LineColumns
    items: ItemColumns
    allocations: AllocationColumns


def read_columns(draft: BatchDraft) -> BatchColumns:
    """Read a batch; raises TypeError, ValueError or pyarrow's errors for what fits no column."""
    entries = draft.entries
    counts = np.array([len(e.lines) for e in entries], np.int64)
    lines = list(chain.from_iterable(entry.lines for entry in entries))
    return BatchColumns(
        EntryColumns(
            coded([e.series for e in entries]),
            days([e.effective_date for e in entries]),
            days([e.document_date for e in entries]),
            coded([e.entry_type for e in entries]),
            texts([e.source_ref for e in entries]),
            texts([e.text for e in entries]),
            texts([e.document_ref for e in entries]),
            whole_numbers([e.reverses_entry_id for e in entries]),
            counts,
        ),
        read_lines(
            counts,
            lines,
            currency=[x.currency for x in lines],
            amount=whole_numbers([x.amount_minor for x in lines]),
            base=whole_numbers([x.base_minor for x in lines]),
            tax_base=whole_numbers([x.tax_base_minor for x in lines]),
        ),
        read_items([line.item for line in lines]),
        read_allocations(draft.allocations),
    )


def read_lines(
    counts: Int64, lines: Sequence[Any], *, currency: list[str],
    amount: Numbers, base: Numbers, tax_base: Numbers,
) -> LineColumns:  # fmt: skip
    """Put lines into columns: drafted ones, or those of records; `counts` of them make an entry.

    What the two say in other ways comes as columns or lists already. [minor units]
    """
    firsts = np.cumsum(counts) - counts
    opens = np.array([line.item is not None for line in lines], bool)
    return LineColumns(
        np.repeat(np.arange(len(counts), dtype=np.int64), counts),
        np.arange(1, len(lines) + 1) - np.repeat(firsts, counts),
        coded([x.account for x in lines]),
        amount.to_numpy(),
        pc.coalesce(base, amount).to_numpy(),
        base,
        coded(currency),
        whole_numbers([x.party_id for x in lines]),
        coded([x.vat_code for x in lines]),
        tax_base,
        coded(_dimension_keys([x.dimensions for x in lines])),
        pa.array(np.cumsum(opens) - 1, pa.int64(), mask=~opens),
        texts([x.text for x in lines]),
    )


def read_items(item_of: Sequence[Any]) -> ItemColumns:
    """Put the items of lines into columns: drafted ones, or those of records; None opens none."""
    items = [item for item in item_of if item is not None]
    places = [place for place, item in enumerate(item_of) if item is not None]
    return ItemColumns(
        np.array(places, np.int64),
        coded([i.kind for i in items]),
        texts([i.document_ref for i in items]),
        texts([i.kid for i in items]),
        days([i.document_date for i in items]),
        days([i.due_date for i in items]),
    )


def part_of(columns: BatchColumns, first: int, last: int) -> BatchColumns:
    """Cut out the entries from place `first` on and before `last`, without any allocation."""
    entries, lines, items = columns.entries, columns.lines, columns.items
    low, high = np.searchsorted(lines.entry, (first, last)).tolist()
    begin, end = np.searchsorted(items.line, (low, high)).tolist()
    of_lines = _sliced(lines, low, high)
    of_items = _sliced(items, begin, end)
    return BatchColumns(
        _sliced(entries, first, last),
        replace(of_lines, entry=of_lines.entry - first, item=pc.subtract(of_lines.item, begin)),
        replace(of_items, line=of_items.line - low),
        read_allocations(()),
    )


def _sliced(columns: Table, first: int, last: int) -> Table:
    return type(columns)(*(getattr(columns, f.name)[first:last] for f in fields(columns)))


def read_allocations(allocations: Sequence[AllocationDraft]) -> AllocationColumns:
    """Put allocations into columns."""
    return AllocationColumns(
        _sides([a.credit for a in allocations]),
        _sides([a.debit for a in allocations]),
        whole_numbers([a.amount_minor for a in allocations]).to_numpy(),
        days([a.effective_date for a in allocations]),
        coded([a.rule for a in allocations]),
    )


def _sides(sides: Sequence[int | tuple[int, int]]) -> tuple[Int64, Int64, Int64]:
    ids = [side for side in sides if isinstance(side, int)]
    new = np.fromiter((not isinstance(side, int) for side in sides), bool, len(sides))
    place, line = np.zeros((2, len(sides)), np.int64)
    place[~new] = ids
    if len(ids) < len(sides):
        # Transposed, so that what is no pair does not fit.
        place[new], line[new] = np.array([side for side in sides if not isinstance(side, int)]).T
    return new.astype(np.int64), place, line


def whole_numbers(values: list[int | None]) -> Numbers:
    """Hold integers of any make; a float raises TypeError, it has lost øre already."""
    if values and values[0] is None and values.count(None) == len(values):
        return pa.nulls(len(values), pa.int64())
    if not set(map(type, values)) <= {int, type(None)}:
        values = [None if value is None else operator.index(value) for value in values]
    return pa.array(values, pa.int64())


def texts(values: Sequence[str | None]) -> Texts:
    """Hold texts, each as it is."""
    return pa.array(values, pa.large_string())


def coded(values: Sequence[str | None]) -> Texts:
    """Hold texts of which few are different; often all of a batch are the same."""
    if values and values.count(values[0]) == len(values):
        one = pa.array(values[:1], pa.large_string()).dictionary_encode()
        return one.take(pa.array(np.zeros(len(values), np.int32)))
    return pa.array(values, pa.large_string()).dictionary_encode()


def days(values: list[date]) -> Int64:
    """Number days as `date.toordinal`; few are different."""
    known = {day: day.toordinal() for day in set(values)}
    return np.fromiter(map(known.__getitem__, values), np.int64, len(values))


def _dimension_keys(mappings: Sequence[Mapping[str, str] | None]) -> list[str]:
    known: dict[tuple[str, ...], str] = {}

    def key(mapping: Mapping[str, str]) -> str:
        told = (*mapping, *mapping.values())  # As many names as values: no two mappings tell alike.
        found = known.get(told)
        if found is None:
            found = known[told] = canonical_dimensions(mapping)
        return found

    return [key(mapping) if mapping else "" for mapping in mappings]
