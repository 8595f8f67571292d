"""What a record of a journal file becomes: a drafted entry, or a fault that says why not."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice

from ledger.columns import HeldInColumns, check_columns, columns_of, totals_held
from ledger.conditions import Condition
from ledger.errors import Invalid, Problem
from ledger.journal import BatchDraft, Declared, EntryDraft, ItemDraft, Line, check_batch
from ledger.money import parse_amount
from ledger.refusals import EntryRefReused, PeriodClosed, UnknownPeriod
from ledger.unstorable import NumberTooLarge

_OF_A_BATCH = re.compile(r"Entry (?:\d+(?: \('[^']*'\))?|'[^']*')(?: line (\d+))?(:?) ")
MAX_RECORD_BYTES = 16 * 2**20  # one entry; more is no journal entry but an attack or a mistake
CHECKED_AT_ONCE = 6_000  # Entries; a file of any length is read in the memory of so many.
WORTH_COLUMNS = 50  # Fewer entries are checked sooner one by one than in columns.


@dataclass(frozen=True, slots=True)
class Defaults:
    """What entries of one file have in common unless they say otherwise."""

    ref: str  # of the file; entries that name no reference are numbered behind it
    currency: str  # of the book
    series: str = "JNL"
    entry_type: str = "import"


@dataclass(frozen=True, slots=True)
class Drafted:
    """An entry, and the record (line of the file, from 1) that it came from.

    It is the one at `place` of some that were read together. Its conditions are of the books just
    before it, with all that came before it in the file.
    """

    record: int
    read: Sequence[EntryDraft]
    place: int = 0
    conditions: tuple[Condition, ...] = ()

    @classmethod
    def alone(
        cls, record: int, entry: EntryDraft, conditions: tuple[Condition, ...] = ()
    ) -> "Drafted":
        """Hold an entry that was read by itself."""
        return cls(record, (entry,), 0, conditions)

    @property
    def entry(self) -> EntryDraft:
        """Give the entry."""
        return self.read[self.place]

    @property
    def source_ref(self) -> str:
        """Give the entry's reference."""
        read = self.read
        return (
            read.source_refs[self.place]
            if isinstance(read, HeldInColumns)
            else read[self.place].source_ref
        )

    @property
    def line_count(self) -> int:
        """Count the entry's lines."""
        read = self.read
        return (
            read.line_counts[self.place]
            if isinstance(read, HeldInColumns)
            else len(read[self.place].lines)
        )


def entries_together(drafted: Sequence[Drafted]) -> Sequence[EntryDraft]:
    """Give the entries in order; in columns, where they were read so and follow one another."""
    if drafted and isinstance(read := drafted[0].read, HeldInColumns):
        first = drafted[0].place
        if all(one.read is read and one.place == place for place, one in enumerate(drafted, first)):
            last = first + len(drafted)
            return read if len(read) == len(drafted) else read.part(first, last)
    return tuple(one.entry for one in drafted)


def totals_drafted(drafted: Iterable[Drafted]) -> Declared:
    """Count entries and lines, and sum debits per currency; drafts nothing that columns hold."""
    entries = lines = 0
    debits: Counter[str] = Counter()
    for _, following in groupby(enumerate(drafted), _run_of):
        held = totals_held(entries_together([one for _, one in following]))
        entries, lines = entries + held.entries, lines + held.lines
        debits.update(held.debits)
    return Declared(entries, lines, dict(debits))


def _run_of(numbered: tuple[int, Drafted]) -> tuple[int, int]:
    """Tell entries apart that were not read together, or between which one is missing."""
    number, one = numbered
    return id(one.read), one.place - number


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record was not posted: where in the file, where in the record, and what to do."""

    record: int
    pointer: str  # RFC 6901 into the record, or the name of the column; "" is the record as a whole
    code: str  # of the Problem it would be alone
    sentence: str

    def __str__(self) -> str:
        where = f"record {self.record}" + (f", {self.pointer}" if self.pointer else "")
        return f"{where}: {self.sentence} [{self.code}]"


class RecordMalformed(Invalid):
    """A record of a journal file is not of the documented shape.

    Raise as: f"{what the reader found}; see docs/posting.md.".
    """

    title = "Record is malformed"


class NothingToPost(Invalid):
    """A file or a request holds no entries, and nobody declared that it would be empty.

    Raise as: f"{name} holds no entries; nothing was posted. {what to do}.".
    """

    title = "There is nothing to post"


def fault_of(record: int, pointer: str, problem: Problem) -> Fault:
    """Note a refusal as the fault of a record; it points at the line, or the day, that it is of."""
    line, name = problem.facts.get("line"), problem.facts.get("field")
    if isinstance(line, int) and not pointer:
        pointer = f"/lines/{line - 1}"
    if isinstance(problem, PeriodClosed | UnknownPeriod) and not pointer:
        pointer = "/effective_date"
    if isinstance(name, str):
        pointer += "/" + name.replace("item_", "item/")
    said = str(problem).removeprefix(f"Record {record}: ")
    return Fault(record, pointer, problem.code(), _by_itself(said))


def doubles(drafted: Iterable[Drafted]) -> Iterator[tuple[int, EntryRefReused]]:
    """Refuse every entry whose reference one before it has, whatever the two say.

    One of them is not meant; gives the record of each, and what is to be said of it.
    """
    firsts: dict[str, int] = {}
    for one in drafted:
        first = firsts.setdefault(one.source_ref, one.record)
        if first != one.record:
            yield one.record, EntryRefReused(
                f"Record {one.record}: The reference {one.source_ref!r} is that of record {first} "
                "too. Give each entry a reference of its own, or leave one out.",
                record=one.record, source_ref=one.source_ref,
            )  # fmt: skip


def _by_itself(sentence: str) -> str:
    """Say of a record what was said of an entry of a batch, whose numbers mean nothing in a file.

    >>> _by_itself("Entry 7 ('import/x:8') line 2: account 1500 needs a party on every line.")
    'Line 2: account 1500 needs a party on every line.'
    >>> _by_itself("Entry 7 ('import/x:8') is off by 0.01 in NOK.")
    'The entry is off by 0.01 in NOK.'
    """
    found = _OF_A_BATCH.match(sentence)
    if found is None:
        return sentence
    line, colon = found.groups()
    said = sentence[found.end() :]
    if line:
        return f"Line {line}{colon} {said}"
    return f"{said[:1].upper()}{said[1:]}" if colon else f"The entry {said}"


def checked(read: Iterable[Drafted | Fault]) -> Iterator[Drafted | Fault]:
    """Check each entry by itself: it balances, and holds what a journal can hold.

    Where all of some thousand are sound, as columns tell at once, none is looked at alone.
    """
    records = iter(read)
    while some := tuple(islice(records, CHECKED_AT_ONCE)):
        drafted = entries_together([one for one in some if isinstance(one, Drafted)])
        if len(drafted) >= WORTH_COLUMNS and _all_sound(drafted):
            yield from some
        else:
            yield from (_alone(one) if isinstance(one, Drafted) else one for one in some)


def _all_sound(entries: Sequence[EntryDraft]) -> bool:
    together = batch_of(entries)
    try:
        check_columns(columns_of(together), together)
    except Problem:
        return False
    return True


def _alone(drafted: Drafted) -> Drafted | Fault:
    try:
        check_batch(batch_of((drafted.entry,)))
    except Problem as refusal:
        return fault_of(drafted.record, "", refusal)
    return drafted


def batch_of(entries: Sequence[EntryDraft]) -> BatchDraft:
    """Put entries into a batch of no book, to be checked by what they say alone."""
    return BatchDraft(book="-", source_system="-", source_ref="-", actor="-", entries=entries)


def no_amount(column: str, refusal: Invalid) -> Invalid:
    """Say of a column what `parse_amount` said of the text in it."""
    kind = NumberTooLarge if isinstance(refusal, NumberTooLarge) else RecordMalformed
    return kind(f"{column}: {refusal}", column=column)


def amount_of(text: str | None) -> int | None:
    """Read a decimal amount; None where there is none. Raises `Invalid`. [minor units]"""
    return None if text is None else parse_amount(text)


def line_of(
    *,
    account: str,
    amount_minor: int,
    currency: str,
    base_minor: int | None = None,
    party_id: int | None = None,
    vat_code: str | None = None,
    tax_base_minor: int | None = None,
    dimensions: Mapping[str, str] | None = None,
    text: str | None = None,
    item: ItemDraft | None = None,
) -> Line:
    """Make a line of what a record says; the names are those of the columns."""
    return Line(
        account=account, amount_minor=amount_minor, currency=currency, party_id=party_id,
        vat_code=vat_code, tax_base_minor=tax_base_minor, dimensions=dimensions or None,
        item=item, text=text, base_minor=base_minor,
    )  # fmt: skip


def entry_of(
    defaults: Defaults,
    number: int,
    *,
    lines: tuple[Line, ...],
    effective_date: date,
    text: str,
    document_date: date | None = None,
    series: str | None = None,
    entry_type: str | None = None,
    source_ref: str | None = None,
    document_ref: str | None = None,
) -> EntryDraft:
    """Make an entry of what a record says; `number` names it where it names no reference."""
    return EntryDraft(
        series=series or defaults.series,
        effective_date=effective_date,
        document_date=document_date or effective_date,
        entry_type=entry_type or defaults.entry_type,
        source_ref=source_ref or f"{defaults.ref}:{number}",
        text=text,
        lines=lines,
        document_ref=document_ref,
    )
