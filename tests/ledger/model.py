"""The ledger in slow, obvious Python: lists that are filtered, and sums taken again at each read.

It says what a posting must become (numbers, items) or why it must be refused, and what every read
must answer at any two clocks. It imports the words of the journal, and nothing of its workings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from ledger import refusals
from ledger.errors import Problem
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, Line, Posted, Voucher
from ledger.undoing import ReversalIsFinal, ReversalTooEarly

MODULES = {"SAL": "BILLING", "PAY": "AR", "JNL": "GL"}
OPEN_ITEM_ACCOUNTS = {"1500"}
EXCHANGE_ACCOUNTS = {"1588", "8060", "8160"}
ACCOUNTS = OPEN_ITEM_ACCOUNTS | EXCHANGE_ACCOUNTS | {"1920", "1940", "7830"}
OWN = "NOK"


def half_away(exact: Fraction) -> int:
    """Round to whole minor units; ties go away from zero."""
    whole = int(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


@dataclass(frozen=True)
class Fact:
    """An entry in the books: what it said, its number, and the batch that brought it."""

    entry_id: int
    entry: EntryDraft
    voucher: Voucher
    batch: int


@dataclass(frozen=True)
class Item:
    """What a line opened. [minor units, debit positive; `base` in the book's own currency]"""

    opened_on: date
    party: int | None
    amount: int
    batch: int
    account: str
    currency: str
    base: int


@dataclass(frozen=True)
class Use:
    """A credit used against a debit; a negative amount takes an earlier use back. [minor units]"""

    name: int
    on: date
    credit: int
    debit: int
    amount: int
    batch: int
    undoes: int | None = None


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
    leaves: set[tuple[str, str, str]] = field(default_factory=set)  # period, module, actor
    rates: dict[tuple[str, date], int] = field(default_factory=dict)  # e-8, by currency and day

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
        if any(not self.is_open(module, day, draft.actor) for module, day in days):
            return refusals.PeriodClosed
        return None

    def is_open(self, module: str, day: date, actor: str = "") -> bool:
        """Whether a day takes postings of a module: its own lock and that of all let it pass."""
        period = f"{day:%Y-%m}"
        return all(
            self.locks.get((period, which), "open") == "open"
            or (
                self.locks[period, which] == "soft" and (period, which, actor) in self.leaves
            )
            for which in (module, "GL")
        )  # fmt: skip

    def lock(self, period: str, module: str, level: str) -> bool:
        """Lock a module of a period, or open it; False where that may not be.

        A hard lock stands against it, or a year would be locked for good with its result not moved.
        """
        stands_over_it = level == "open" and self.locks.get((period, "GL")) == "hard"
        if self.locks.get((period, module)) == "hard" or stands_over_it:
            return False
        if (level, module, period[5:]) == ("hard", "GL", "12") and self.result_of(int(period[:4])):
            return False
        self.locks[period, module] = level
        self.leaves = {leave for leave in self.leaves if leave[:2] != (period, module)}
        return True

    def result_of(self, year: int) -> int:
        """The result of a year in the book's own currency, debit positive."""
        return sum(
            line.base
            for fact in self.entries(None, None) if fact.entry.effective_date.year == year
            for line in fact.entry.lines if "3" <= line.account[0] <= "8"
        )  # fmt: skip

    def _refusal_of_uses(self, draft: BatchDraft) -> type[Problem] | None:
        left = self.outstanding(None, None)
        for use in draft.allocations:
            credit, debit = self._item(draft, use.credit), self._item(draft, use.debit)
            if (
                credit.amount > 0
                or debit.amount < 0
                or use.effective_date < max(credit.opened_on, debit.opened_on)
                or (credit.account, credit.currency) != (debit.account, debit.currency)
                or credit.party != debit.party
            ):
                return refusals.AllocationMismatch
        if self._overdraws_a_day(draft):
            return refusals.OverAllocated
        used: Counter[int | tuple[int, int]] = Counter()
        for use in draft.allocations:
            used[use.credit] += use.amount_minor
            used[use.debit] += use.amount_minor
        for named, amount in used.items():
            rest = left.get(named, 0) if isinstance(named, int) else self._item(draft, named).amount
            if amount > abs(rest):
                return refusals.OverAllocated
        return None

    def _overdraws_a_day(self, draft: BatchDraft) -> bool:
        """Whether an item that exists would be used for more than it is on some day."""
        uses = [(use.on, use.credit, use.debit, use.amount) for use in self.uses]
        uses += [(use.effective_date, use.credit, use.debit, use.amount_minor)  # type: ignore[misc]
                 for use in draft.allocations]  # fmt: skip
        for name in {name for use in draft.allocations for name in (use.credit, use.debit)}:
            of_item = [use for use in uses if name in use[1:3]]
            for day in {use[0] for use in of_item}:
                used = sum(amount for on, *_, amount in of_item if on <= day)
                if used > abs(self._item(draft, name).amount):
                    return True
        return False

    def _item(self, draft: BatchDraft, named: int | tuple[int, int]) -> Item:
        if isinstance(named, int):
            return self.items[named]
        entry = draft.entries[named[0]]
        return _item_of(entry, entry.lines[named[1] - 1], 0)

    def _refusal_of_references(self, draft: BatchDraft) -> type[Problem] | None:
        refs = [fact.entry.source_ref for fact in self.facts]
        refs += [entry.source_ref for entry in draft.entries]
        if len(refs) > len(set(refs)):
            return refusals.EntryRefReused
        reversed_ = [fact.entry.reverses_entry_id for fact in self.facts]
        reversed_ += [entry.reverses_entry_id for entry in draft.entries]
        if any(count > 1 for named, count in Counter(reversed_).items() if named is not None):
            return refusals.AlreadyReversed
        return None

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
        entries = [self.priced(entry) for entry in draft.entries]
        for place, entry in enumerate(entries):
            self.facts.append(
                Fact(posted.entry_ids[place], entry, vouchers[place], posted.batch_id)
            )
        for (place, line_no), item in posted.open_item_ids.items():
            entry = entries[place]
            self.items[item] = _item_of(entry, entry.lines[line_no - 1], posted.batch_id)
        for place, use in enumerate(draft.allocations):
            self.uses.append(self._use(place, use, posted))

    @staticmethod
    def _use(place: int, use: AllocationDraft, posted: Posted) -> Use:
        credit, debit = (
            named if isinstance(named, int) else posted.open_item_ids[named]
            for named in (use.credit, use.debit)
        )  # fmt: skip
        name = (posted.batch_id << 20) + place
        return Use(name, use.effective_date, credit, debit, use.amount_minor, posted.batch_id)

    def undo(self, use: Use, on: date, batch: int) -> None:
        """Take a use back from a day on."""
        back = replace(use, name=batch << 20, on=on, amount=-use.amount, batch=batch)
        self.uses.append(replace(back, undoes=use.name))

    def rate(self, currency: str, day: date) -> int:
        """Give the last rate on or before a day. [e-8]"""
        known = [on for other, on in self.rates if other == currency and on <= day]
        return self.rates[currency, max(known)]

    def priced(self, entry: EntryDraft) -> EntryDraft:
        """Give each line its amount in the book's own currency, one line a side at most."""
        lines = tuple(
            line if line.currency == OWN or line.base_minor is not None
            else replace(line, base_minor=self.worth(line.amount_minor, line.currency,
                                                     entry.effective_date))
            for line in entry.lines
        )  # fmt: skip
        return replace(entry, lines=lines)

    def worth(self, amount: int, currency: str, day: date) -> int:
        """Convert an amount at the rate of a day. [minor units of the book's currency]"""
        return half_away(Fraction(amount * self.rate(currency, day), 10**8))

    def realised(self, day: date) -> dict[tuple[str, int | None, str], int]:
        """Say what settled items in other currencies gained, by account, party and currency."""
        gained: dict[tuple[str, int | None, str], int] = defaultdict(int)
        for name, item in self.items.items():
            if item.currency == OWN or item.opened_on > day:
                continue
            used = sum(u.amount for u in self.uses if name in {u.credit, u.debit} and u.on <= day)
            left = abs(item.amount) - used
            share = Fraction(item.base * left, abs(item.amount)) if item.amount else Fraction(0)
            gained[item.account, item.party, item.currency] += half_away(share) - item.base
        return {where: gain for where, gain in sorted(gained.items()) if gain}

    def unrealised(self, day: date) -> dict[tuple[str, str], int]:
        """Say what holdings on 1500 and 1920 are worth more than booked, and adjusted so far."""
        adjusted: dict[str | None, int] = defaultdict(int)
        exchange = {fact.entry_id for fact in self.facts if fact.entry.entry_type == "exchange"}
        for fact in self.facts:
            is_of_exchange = {fact.entry_id, fact.entry.reverses_entry_id} & exchange
            if is_of_exchange and fact.entry.effective_date == day:
                for line in fact.entry.lines:
                    if line.account == "1588":
                        adjusted[line.text] += line.amount_minor
        more = {}
        for (account, currency), (held, base) in sorted(self.balances(day, None).items()):
            if currency != OWN and account in {"1500", "1920"}:
                # What is neither held nor booked is worth nothing, at any rate or none.
                gain = self.worth(held, currency, day) - base if held or base else 0
                more[account, currency] = gain - adjusted[f"{account}, {currency}"]
        return {where: gain for where, gain in more.items() if gain}

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

    def balances(
        self, day: date | None, known: int | None
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """The trial balance: every account and currency that has a line, and its worth."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for fact in self.entries(day, known):
            for line in fact.entry.lines:
                amount, base = sums.get((line.account, line.currency), (0, 0))
                sums[line.account, line.currency] = amount + line.amount_minor, base + line.base
        return sums

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


def _item_of(entry: EntryDraft, line: Line, batch: int) -> Item:
    return Item(
        entry.effective_date, line.party_id, line.amount_minor, batch, line.account, line.currency,
        line.base,
    )  # fmt: skip
