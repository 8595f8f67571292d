"""Entries that came as columns, for whoever wants them as drafts after all."""

from collections.abc import Callable, Iterable, Sequence
from typing import overload

from ledger.columns.reading import BatchColumns, part_of
from ledger.columns.rules import totals
from ledger.journal import Declared, EntryDraft, totals_of


class HeldInColumns(Sequence[EntryDraft]):
    """A batch's entries whose columns are known; each is drafted when it is asked for by itself."""

    def __init__(self, columns: BatchColumns, draft: Callable[[int], EntryDraft]) -> None:
        self.columns = columns
        self.source_refs: list[str] = columns.entries.source_ref.to_pylist()
        self.line_counts: list[int] = columns.entries.line_count.tolist()
        self._draft = draft

    def part(self, first: int, last: int) -> "HeldInColumns":
        """Give the entries from place `first` on and before `last`, without copying a column."""
        return HeldInColumns(
            part_of(self.columns, first, last), lambda place: self._draft(first + place)
        )

    def __len__(self) -> int:
        return len(self.line_counts)

    @overload
    def __getitem__(self, place: int) -> EntryDraft: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[EntryDraft, ...]: ...

    def __getitem__(self, place: int | slice) -> EntryDraft | tuple[EntryDraft, ...]:
        if isinstance(place, slice):
            return tuple(map(self._draft, range(len(self))[place]))
        return self._draft(range(len(self))[place])


def count_lines(entries: Iterable[EntryDraft]) -> int:
    """Count the lines of entries."""
    if isinstance(entries, HeldInColumns):
        return len(entries.columns.lines.amount)
    return sum(len(entry.lines) for entry in entries)


def totals_held(entries: Iterable[EntryDraft]) -> Declared:
    """Count entries and lines and sum the debits per currency, as `journal.totals_of` does."""
    return totals(entries.columns) if isinstance(entries, HeldInColumns) else totals_of(entries)
