"""The words of double entry: lines, entries, batches, and what each of them must be.

Amounts are integers of minor units, debit positive. A batch is posted whole or not at all. Nothing
here reads a clock or a database; `ledger.service` posts what is drafted here.
"""

import operator
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, Self

from ledger.conditions import Condition, check_demands
from ledger.errors import Invalid
from ledger.money import format_amount
from ledger.refusals import ApprovedByCreator, EntryNotBalanced, MalformedEntry, TotalsDiffer
from ledger.unstorable import (
    DIMENSIONS,
    NAME,
    TEXT,
    EntryTooLong,
    NumberTooLarge,
    TextHoldsControl,
    TextHoldsNul,
    TextRule,
    TextTooLong,
)

_VOUCHER = re.compile(r"([A-Z0-9]{1,10})/(\d{4})/(\d{1,18})", re.ASCII)

MAX_ENTRIES = 2**20
MAX_LINES = 2**15 - 1
MAX_AMOUNT = 10**15  # ten thousand milliard kroner; sums of a batch stay inside int64


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """What a line on an open-item account opens: a claim (debit) or something owed (credit)."""

    kind: str  # invoice, credit_note, payment, fee, ...
    document_ref: str
    kid: str | None
    document_date: date
    due_date: date


@dataclass(frozen=True, slots=True)
class Line:
    """One side of an entry. Debit positive; every line on an open-item account carries an item."""

    account: str
    amount_minor: int
    currency: str = "NOK"
    party_id: int | None = None
    vat_code: str | None = None
    tax_base_minor: int | None = None
    dimensions: Mapping[str, str] | None = None
    item: ItemDraft | None = None
    text: str | None = None
    base_minor: int | None = None  # in the book's own currency; None means the same amount

    @property
    def base(self) -> int:
        """Give the amount in the book's own currency. [minor units]"""
        return self.amount_minor if self.base_minor is None else self.base_minor


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """One voucher. The number is given when it is posted; nobody can ask for one."""

    series: str
    effective_date: date
    document_date: date
    entry_type: str
    source_ref: str
    text: str
    lines: tuple[Line, ...]
    document_ref: str | None = None
    reverses_entry_id: int | None = None


@dataclass(frozen=True, slots=True)
class AllocationDraft:
    """The use of a credit item against a debit item; no money moves.

    An item is named by its id, or by (entry index, line number from 1) if this batch opens it.
    """

    credit: int | tuple[int, int]
    debit: int | tuple[int, int]
    amount_minor: int
    effective_date: date
    rule: str


@dataclass(frozen=True, slots=True)
class Declared:
    """Control totals that a sender gives with a batch, to be told when something is missing."""

    entries: int
    lines: int
    debits: Mapping[str, int]  # minor units per currency


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """The unit of atomicity, idempotency and numbering: (source_system, source_ref) posts once."""

    book: str
    source_system: str
    source_ref: str
    actor: str
    entries: Sequence[EntryDraft]
    allocations: tuple[AllocationDraft, ...] = ()
    approved_by: str | None = None  # somebody else than the actor
    declared: Declared | None = None
    conditions: tuple[Condition, ...] = ()  # of the books just before it; no part of its content


class Voucher(NamedTuple):
    """A voucher number as an accountant says it: SAL/2026/17."""

    series: str
    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.series}/{self.year}/{self.number}"

    @classmethod
    def read(cls, said: str) -> Self:
        """Read a number as it is said. Raises `Invalid` for anything else."""
        named = _VOUCHER.fullmatch(said)
        if named is None:
            raise Invalid(
                f"{said!r} is no voucher number; write series, year and number: SAL/2026/17."
            )
        return cls(named[1], int(named[2]), int(named[3]))


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a batch. `open_item_ids` is keyed by (entry index, line number from 1)."""

    batch_id: int
    entry_ids: tuple[int, ...]
    vouchers: tuple[Voucher, ...]
    open_item_ids: Mapping[tuple[int, int], int] = field(default_factory=dict)
    replayed: bool = False


def check_balanced(entry: EntryDraft, position: int = 0) -> None:
    """Refuse an entry whose lines do not sum to zero in every currency and in the base currency.

    Raises `EntryNotBalanced` with the difference, `position` being the entry's place in its batch.
    """
    sums: dict[str, int] = defaultdict(int)
    base = 0
    for line in entry.lines:
        sums[line.currency] += line.amount_minor
        base += line.base
    for currency, difference in sums.items():
        if difference:
            _refuse_unbalanced(entry, position, currency, difference)
    if base:
        _refuse_unbalanced(entry, position, "the book's currency", base)


def check_batch(draft: BatchDraft) -> None:
    """Refuse a batch that no journal could hold, before the database is asked.

    Raises
    ------
    EntryNotBalanced : see `check_balanced`.
    MalformedEntry : no lines, amounts of zero, a reversal that names no entry, an allocation of
        nothing.
    EntryTooLong, NumberTooLarge, TextHoldsNul, TextHoldsControl, TextTooLong : what no journal
        can hold.
    ApprovedByCreator : the actor approved the batch.
    TotalsDiffer, ConditionMalformed : it is not what was declared; a condition demands nothing.
    """
    check_envelope(draft)
    for position, entry in enumerate(draft.entries):
        _check_entry(entry, position)
        check_balanced(entry, position)
    for allocation in draft.allocations:
        _check_integers("Allocation", (allocation.amount_minor,))
        _check_texts("Allocation", rule=allocation.rule)
        if not 0 < allocation.amount_minor < MAX_AMOUNT:
            raise MalformedEntry(
                f"An allocation moves a positive amount, not {allocation.amount_minor} øre.",
                credit=str(allocation.credit),
                debit=str(allocation.debit),
            )
    if draft.declared is not None:
        check_declared(draft.declared, totals_of(draft.entries))


def check_envelope(draft: BatchDraft) -> None:
    """Refuse a batch for its size, its names or its approver, before its entries are looked at."""
    if not draft.entries and not draft.allocations:
        raise MalformedEntry(f"Batch {draft.source_ref!r} has neither entries nor allocations.")
    if len(draft.entries) > MAX_ENTRIES or len(draft.allocations) > MAX_ENTRIES:
        raise MalformedEntry(f"A batch holds at most {MAX_ENTRIES} entries; split it.")
    _check_texts(
        f"Batch {draft.source_ref!r}", source_ref=draft.source_ref,
        source_system=draft.source_system, actor=draft.actor,
    )  # fmt: skip
    _check_approver(draft)
    check_demands(draft.conditions, draft.source_ref)


def check_declared(declared: Declared, held: Declared) -> None:
    """Refuse a batch that does not hold what its sender declares, with `TotalsDiffer`."""
    wanted, found = (
        {currency: debit for currency, debit in sorted(totals.debits.items()) if debit}
        for totals in (declared, held)
    )
    if (declared.entries, declared.lines, wanted) == (held.entries, held.lines, found):
        return
    raise TotalsDiffer(
        f"The batch declares {_told(declared, wanted)} but holds {_told(held, found)}. "
        "Nothing was posted; send the whole batch, or correct the totals.",
        entries=held.entries,
        lines=held.lines,
        debits={currency: format_amount(debit) for currency, debit in found.items()},
    )


def totals_of(entries: Iterable[EntryDraft]) -> Declared:
    """Count entries and lines and sum the debits per currency: what control totals are held to."""
    count = lines = 0
    debits: dict[str, int] = defaultdict(int)
    for entry in entries:
        count += 1
        lines += len(entry.lines)
        for line in entry.lines:
            if line.amount_minor > 0:
                debits[line.currency] += int(line.amount_minor)
    return Declared(count, lines, dict(debits))


def canonical_dimensions(dimensions: Mapping[str, str] | None) -> str:
    """Write a dimension set as its canonical key, "" for none; names and values sorted by name."""
    pairs = sorted((dimensions or {}).items())
    for name, value in pairs:
        if not name or not value or set("=;\0") & set(name + value):
            raise MalformedEntry(
                f"Dimension {name!r}={value!r} is empty or has a reserved character (= or ;)."
            )
    return ";".join(f"{name}={value}" for name, value in pairs)


def _told(totals: Declared, debits: Mapping[str, int]) -> str:
    sums = " and ".join(f"{format_amount(debit)} {currency}" for currency, debit in debits.items())
    return f"{totals.entries} entries, {totals.lines} lines and debits of {sums or 'nothing'}"


def _check_approver(draft: BatchDraft) -> None:
    if draft.approved_by is None:
        return
    _check_texts(f"Batch {draft.source_ref!r}", approved_by=draft.approved_by)
    if draft.approved_by == draft.actor:
        raise ApprovedByCreator(
            f"{draft.actor} cannot approve what {draft.actor} posts. Ask somebody else to approve.",
            actor=draft.actor,
        )


def _check_entry(entry: EntryDraft, position: int) -> None:
    where = f"Entry {position} ({entry.source_ref!r})"
    if not entry.lines:
        raise MalformedEntry(f"{where} has no lines.", entry=position)
    if len(entry.lines) > MAX_LINES:
        raise EntryTooLong(
            f"{where} has {len(entry.lines)} lines; an entry has at most {MAX_LINES}. Split it "
            "into several.", entry=position,
        )  # fmt: skip
    if (entry.entry_type == "reversal") != (entry.reverses_entry_id is not None):
        raise MalformedEntry(
            f"{where} must be of type 'reversal' exactly when it names the entry it reverses.",
            entry=position,
        )
    _check_texts(where, {"entry": position}, series=entry.series, entry_type=entry.entry_type,
                 source_ref=entry.source_ref)  # fmt: skip
    _check_names(where, {"entry": position}, document_ref=entry.document_ref)
    _check_unicode(where, {"entry": position}, TEXT, text=entry.text)
    for line_no, line in enumerate(entry.lines, 1):
        numbers = (line.amount_minor, line.base, line.tax_base_minor, line.party_id)
        _check_integers(f"{where} line {line_no}", numbers, entry=position, line=line_no)
        if line.amount_minor == 0 and line.base == 0:
            raise MalformedEntry(
                f"{where} line {line_no} is of zero; leave it out.", entry=position, line=line_no
            )
        if len(line.currency) != 3 or not line.currency.isascii():
            raise MalformedEntry(
                f"{where} line {line_no}: {line.currency!r} is not a currency code.",
                entry=position, line=line_no,
            )  # fmt: skip
        _check_line_texts(line, f"{where} line {line_no}", {"entry": position, "line": line_no})


def _check_line_texts(line: Line, where: str, facts: Mapping[str, int]) -> None:
    _check_names(where, facts, account=line.account, vat_code=line.vat_code)
    _check_unicode(where, facts, TEXT, text=line.text)
    try:
        dimensions = canonical_dimensions(line.dimensions)
    except MalformedEntry as refusal:
        raise MalformedEntry(f"{where}: {refusal}", **facts) from refusal
    _check_unicode(where, facts, DIMENSIONS, dimensions=dimensions)
    if item := line.item:
        _check_texts(where, facts, item_kind=item.kind)
        _check_names(where, facts, item_document_ref=item.document_ref, item_kid=item.kid)


def _check_integers(where: str, numbers: tuple[object, ...], **facts: int) -> None:
    """Refuse floats, which have lost øre already, and what no column can hold."""
    for number in numbers:
        if number is None:
            continue
        try:
            whole = operator.index(number)  # type: ignore[arg-type]
        except TypeError:
            raise MalformedEntry(
                f"{where}: {number!r} is not an integer of minor units.", **facts
            ) from None
        if abs(whole) >= MAX_AMOUNT:
            raise NumberTooLarge(
                f"{where}: a number of {len(str(abs(whole)))} digits is too large: the books hold "
                f"less than {format_amount(MAX_AMOUNT)} a line, and no party beyond "
                f"{MAX_AMOUNT}.", **facts,
            )  # fmt: skip


def _check_texts(
    where: str, facts: Mapping[str, int] | None = None, /, **texts: str | None
) -> None:
    """Refuse names that are left out, and what `_check_names` refuses."""
    _check_names(where, facts, **texts)
    for name, text in texts.items():
        if not text:
            raise MalformedEntry(f"{where} lacks its {name}.", **(facts or {}))


def _check_names(
    where: str, facts: Mapping[str, int] | None = None, /, **texts: str | None
) -> None:
    _check_unicode(where, facts, NAME, **texts)


def _check_unicode(
    where: str, facts: Mapping[str, int] | None, rule: TextRule, /, **texts: str | None
) -> None:
    for name, text in texts.items():
        if text is None:
            continue
        at: dict[str, Any] = {"field": name, **(facts or {})}
        if "\0" in text:
            raise TextHoldsNul(f"{where}: {name} holds the character NUL. Take it out.", **at)
        if not _is_unicode(text):
            raise MalformedEntry(f"{where}: {name} holds a character that is not Unicode.", **at)
        if found := rule.forbidden.search(text):
            raise TextHoldsControl(
                f"{where}: {name} holds the control character U+{ord(found[0]):04X}. Take it out.",
                **at,
            )
        if len(text) > rule.longest:
            raise TextTooLong(
                f"{where}: {name} has {len(text)} characters, and at most {rule.longest} are held. "
                "Shorten it.", **at,
            )  # fmt: skip


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, out of a JSON escape
        return False
    return True


def _refuse_unbalanced(entry: EntryDraft, position: int, currency: str, difference: int) -> None:
    raise EntryNotBalanced(
        f"Entry {position} ({entry.source_ref!r}) is off by {format_amount(difference)} in "
        f"{currency}: debits and credits must be equal.",
        entry=position,
        source_ref=entry.source_ref,
        currency=currency,
        difference=format_amount(difference),
    )
