"""The ledger in slow, obvious Python: lists that are filtered, and sums taken again at each read.

It says what a posting must become (numbers, items) or why it must be refused, and what every read
must answer at any two clocks. It imports the words of the journal, and nothing of its workings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date

from ledger import refusals
from ledger.errors import Problem
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, Posted, Voucher
from ledger.undoing import ReversalIsFinal, ReversalTooEarly

MODULES = {"SAL": "BILLING", "PAY": "AR", "JNL": "GL"}
OPEN_ITEM_ACCOUNTS = {"1500"}
ACCOUNTS = OPEN_ITEM_ACCOUNTS | {"1920", "1940", "7830"}


@dataclass(frozen=True)
class Fact:
    """An entry in the books: what it said, its number, and the batch that brought it."""

    entry_id: int
    entry: EntryDraft
    voucher: Voucher
    batch: int


@dataclass(frozen=True)
class Item:
    """What a line opened. [minor units, debit positive]"""

    opened_on: date
    party: int | None
    amount: int
    batch: int


@dataclass(frozen=True)
class Use:
    """A credit used against a debit. [minor units]"""

    on: date
    credit: int
    debit: int
    amount: int
    batch: int


@dataclass
class Model:
    """One book. Batches are known by the id that the ledger gave them, in the order posted."""

    years: set[int]
    facts: list[Fact] = field(default_factory=list)
    items: dict[int, Item] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    batches: dict[str, tuple[BatchDraft, Posted]] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    locks: dict[tuple[str, str], str] = field(default_factory=dict)

    def refusal(self, draft: BatchDraft) -> type[Problem] | None:
        """Say why a batch must be refused, the first reason in the order of the checks."""
        if any(sum(line.amount_minor for line in entry.lines) for entry in draft.entries):
            return refusals.EntryNotBalanced
        known = self.batches.get(draft.source_ref)
        if known is not None:
            return None if known[0] == draft else refusals.SourceRefReused
        return (
            self._refusal_of_content(draft)
            or self._refusal_of_days(draft)
            or self._refusal_of_uses(draft)
            or self._refusal_of_references(draft)
        )

    def _refusal_of_content(self, draft: BatchDraft) -> type[Problem] | None:
        if any(entry.series not in MODULES for entry in draft.entries):
            return refusals.UnknownSeries
        originals = {fact.entry_id: fact.entry for fact in self.facts}
        for entry in draft.entries:
            if entry.reverses_entry_id is not None:
                original = originals[entry.reverses_entry_id]
                if original.entry_type == "reversal":
                    return ReversalIsFinal
                if entry.effective_date < original.effective_date:
                    return ReversalTooEarly
        lines = [line for entry in draft.entries for line in entry.lines]
        if any(line.account not in ACCOUNTS for line in lines):
            return refusals.UnknownAccount
        return None

    def _refusal_of_days(self, draft: BatchDraft) -> type[Problem] | None:
        days = {(MODULES[entry.series], entry.effective_date) for entry in draft.entries}
        days |= {("AR", use.effective_date) for use in draft.allocations}
        if any(day.year not in self.years for _, day in days):
            return refusals.UnknownPeriod
        if any(not self.is_open(module, day) for module, day in days):
            return refusals.PeriodClosed
        return None

    def is_open(self, module: str, day: date) -> bool:
        """Whether a day takes postings of a module: its own lock and that of all are open."""
        return all(
            self.locks.get((f"{day:%Y-%m}", which), "open") == "open" for which in (module, "GL")
        )

    def _refusal_of_uses(self, draft: BatchDraft) -> type[Problem] | None:
        left = self.outstanding(None, None)
        for use in draft.allocations:
            credit, debit = self._item(draft, use.credit), self._item(draft, use.debit)
            if (
                credit.amount > 0
                or debit.amount < 0
                or use.effective_date < max(credit.opened_on, debit.opened_on)
            ):
                return refusals.AllocationMismatch
        used: Counter[int | tuple[int, int]] = Counter()
        for use in draft.allocations:
            used[use.credit] += use.amount_minor
            used[use.debit] += use.amount_minor
        for named, amount in used.items():
            rest = left.get(named, 0) if isinstance(named, int) else self._item(draft, named).amount
            if amount > abs(rest):
                return refusals.OverAllocated
        return None

    def _item(self, draft: BatchDraft, named: int | tuple[int, int]) -> Item:
        if isinstance(named, int):
            return self.items[named]
        entry = draft.entries[named[0]]
        line = entry.lines[named[1] - 1]
        return Item(entry.effective_date, line.party_id, line.amount_minor, 0)

    def _refusal_of_references(self, draft: BatchDraft) -> type[Problem] | None:
        refs = [fact.entry.source_ref for fact in self.facts]
        refs += [entry.source_ref for entry in draft.entries]
        reversed_ = [fact.entry.reverses_entry_id for fact in self.facts]
        reversed_ += [entry.reverses_entry_id for entry in draft.entries]
        if any(count > 1 for named, count in Counter(reversed_).items() if named is not None):
            return refusals.AlreadyReversed
        return refusals.EntryRefReused if len(refs) > len(set(refs)) else None

    def vouchers(self, draft: BatchDraft) -> tuple[Voucher, ...]:
        """Number a batch: the next in each series and year, in the order of its entries."""
        used = Counter((fact.voucher.series, fact.voucher.year) for fact in self.facts)
        numbered = []
        for entry in draft.entries:
            place = entry.series, entry.effective_date.year
            used[place] += 1
            numbered.append(Voucher(*place, used[place]))
        return tuple(numbered)

    def record(self, draft: BatchDraft, posted: Posted) -> None:
        """Take in what was posted, under the ids that the ledger gave."""
        self.batches[draft.source_ref] = draft, posted
        vouchers = self.vouchers(draft)
        for place, entry in enumerate(draft.entries):
            self.facts.append(
                Fact(posted.entry_ids[place], entry, vouchers[place], posted.batch_id)
            )
        for (place, line_no), item in posted.open_item_ids.items():
            entry = draft.entries[place]
            line = entry.lines[line_no - 1]
            self.items[item] = Item(
                entry.effective_date, line.party_id, line.amount_minor, posted.batch_id
            )
        for use in draft.allocations:
            self.uses.append(self._use(use, posted))

    @staticmethod
    def _use(use: AllocationDraft, posted: Posted) -> Use:
        credit, debit = (
            named if isinstance(named, int) else posted.open_item_ids[named]
            for named in (use.credit, use.debit)
        )  # fmt: skip
        return Use(use.effective_date, credit, debit, use.amount_minor, posted.batch_id)

    def seal(self, last: int) -> int:
        """Give every batch that has none a position after `last`; returns the new last one."""
        for _, posted in self.batches.values():
            if posted.batch_id not in self.positions:
                last += 1
                self.positions[posted.batch_id] = last
        return last

    def shows(self, batch: int, on: date, day: date | None, known: int | None) -> bool:
        """Whether a fact is effective by a day, and its batch is known at a position."""
        in_time = day is None or on <= day
        return in_time and (known is None or self.positions.get(batch, known + 1) <= known)

    def entries(self, day: date | None, known: int | None) -> list[Fact]:
        """List the entries that both clocks show."""
        return [f for f in self.facts if self.shows(f.batch, f.entry.effective_date, day, known)]

    def balances(self, day: date | None, known: int | None) -> dict[str, int]:
        """The trial balance: every account that has a line."""
        sums: dict[str, int] = defaultdict(int)
        for fact in self.entries(day, known):
            for line in fact.entry.lines:
                sums[line.account] += line.amount_minor
        return dict(sums)

    def statement(self, account: str, day: date | None, known: int | None) -> list[tuple[int, int]]:
        """The lines of an account as (entry, amount), by date, entry and line."""
        shown = sorted(
            self.entries(day, known), key=lambda fact: (fact.entry.effective_date, fact.entry_id)
        )
        return [
            (fact.entry_id, line.amount_minor)
            for fact in shown
            for line in fact.entry.lines
            if line.account == account
        ]

    def outstanding(self, day: date | None, known: int | None) -> dict[int, int]:
        """What is left of each item, where something is."""
        left = {
            name: item.amount
            for name, item in self.items.items()
            if self.shows(item.batch, item.opened_on, day, known)
        }
        for use in self.uses:
            if self.shows(use.batch, use.on, day, known):
                left[use.credit] += use.amount
                left[use.debit] -= use.amount
        return {name: amount for name, amount in left.items() if amount}
