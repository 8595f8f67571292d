"""Post drafted entries in batches, each entry once for ever, the good ones without the bad ones."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.conditions import Condition
from ledger.encoding import encode_entry, entry_hash, leaf_hash
from ledger.errors import Problem
from ledger.intake import Drafted, Fault
from ledger.intake.records import doubles, entries_together, fault_of
from ledger.journal import BatchDraft, EntryDraft, Voucher
from ledger.refusals import EntryRefReused
from ledger.service.conditions import check_conditions, lock_conditions
from ledger.service.posting import post_batch
from ledger.service.rates import needs_rate, own_currency
from ledger.service.refused import translated
from ledger.service.sifting import Refused, sift


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose entries are posted: the book, the system they come from, and who answers for them."""

    book: str
    source_system: str
    actor: str


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry that is in the journal; `replayed` where an earlier posting put it there."""

    record: int
    entry_id: int
    voucher: Voucher
    replayed: bool = False


# Names a batch for ever by the entries it holds.
Naming = Callable[[Sequence[Drafted]], str]


def post_drafted(
    session: Session,
    sender: Sender,
    ref: str,
    drafted: Sequence[Drafted],
    *,
    each: bool,
    most: int = sys.maxsize,
    conditions: Sequence[Condition] = (),
) -> list[Booked | Fault]:
    """Post drafted entries as one batch; what was posted before is found, not posted again.

    An entry with conditions of its own begins another batch, so that it meets all before it.

    Parameters
    ----------
    session : the caller's transaction; commit after each call to be restartable between calls.
    ref : of the file or request; batches are named behind it.
    drafted : entries in order, best 3 to 30 thousand lines in all.
    each : true leaves a refused entry out, as a fault, and posts the others; false refuses all.
    most : with `each`, stop behind so many refused: what was not tried has no outcome.
    conditions : of the books before anything of this is posted; not asked where all is found.

    Returns
    -------
    One outcome per entry, in order of the records.

    Raises
    ------
    ConditionsNotMet : nothing was posted, because of `conditions`.
    Problem : the first refusal, if not `each`; the transaction must be rolled back.
    """
    named = _named_behind(ref)
    _lock(session, sender, drafted, conditions)
    known = find_posted(session, sender, drafted)
    if conditions and len(known) < len(drafted):
        check_conditions(session, sender.book, conditions, f"Request {ref!r}")
    if each:
        found = _post_others(session, sender, drafted, named, known, most)
        return [fault_of(o.record, "", o.problem) if isinstance(o, Refused) else o for o in found]
    for _, double in doubles(drafted):
        raise double
    booked: list[Booked | Fault] = []
    for outcome in known:
        if isinstance(outcome, Refused):
            raise _of_record(outcome.problem, outcome.record)
        booked.append(outcome)
    for run in _runs(_others(drafted, booked)):
        try:
            booked += post_all(session, sender, named, run)
        except Problem as refusal:
            if (record := _record_of(refusal, run)) is None:
                raise
            raise _of_record(refusal, record) from refusal
    return sorted(booked, key=lambda outcome: outcome.record)


def _record_of(refusal: Problem, run: Sequence[Drafted]) -> int | None:
    """Tell which record a batch was refused for: by its place there, or as the first of a day."""
    place = refusal.facts.get("entry")
    if isinstance(place, int):
        return run[place].record
    day = refusal.facts.get("effective_date")
    return next((one.record for one in run if one.entry.effective_date.isoformat() == day), None)


def _of_record(refusal: Problem, record: int) -> Problem:
    """Say of a record what was said of its place in a batch, which nobody but us can see."""
    facts = {name: fact for name, fact in refusal.facts.items() if name != "entry"}
    sentence = fault_of(record, "", refusal).sentence
    return type(refusal)(f"Record {record}: {sentence}", **{**facts, "record": record})


def post_each(
    session: Session, sender: Sender, drafted: Sequence[Drafted], named: Naming
) -> list[Booked | Refused]:
    """Post the entries that can be posted, in as few batches as that takes; find the posted ones.

    A refused entry leaves nothing behind and does not disturb the others: the transaction stays
    good. Batches are called what `named` makes of their entries. Outcomes are in order of records.
    """
    _lock(session, sender, drafted)
    known = find_posted(session, sender, drafted)
    return _post_others(session, sender, drafted, named, known)


def post_all(
    session: Session, sender: Sender, named: Naming, drafted: Sequence[Drafted]
) -> list[Booked]:
    """Post entries as one batch, or raise the first refusal; nothing is looked for before."""
    posted = post_batch(session, BatchDraft(
        book=sender.book, source_system=sender.source_system, source_ref=named(drafted),
        actor=sender.actor, entries=entries_together(drafted),
        conditions=drafted[0].conditions,
    ))  # fmt: skip
    return [
        Booked(one.record, entry_id, voucher, posted.replayed)
        for one, entry_id, voucher in zip(drafted, posted.entry_ids, posted.vouchers, strict=True)
    ]


def check_now(session: Session) -> None:
    """Run the commit check of what this transaction has posted so far, in the same words."""
    with translated():
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"))


def _post_others(
    session: Session, sender: Sender, drafted: Sequence[Drafted], named: Naming,
    known: Sequence[Booked | Refused], most: int = sys.maxsize,
) -> list[Booked | Refused]:  # fmt: skip
    def post(some: Sequence[Drafted]) -> list[Booked]:
        booked = post_all(session, sender, named, some)
        check_now(session)  # So that a refusal of the commit check too costs one entry only.
        return booked

    outcomes = list(known)
    for run in _runs(_others(drafted, known)):
        outcomes += sift(session, run, post, most - _refusals(outcomes))
    outcomes = _found_after_all(session, sender, drafted, outcomes)
    return sorted(outcomes, key=lambda outcome: outcome.record)


def _found_after_all(
    session: Session, sender: Sender, drafted: Sequence[Drafted],
    outcomes: Sequence[Booked | Refused],
) -> list[Booked | Refused]:  # fmt: skip
    """Look again for what was refused for its reference.

    It came twice here, or somebody else posted it meanwhile: if it is the same entry, it is there.
    """
    reused = {o.record for o in outcomes if isinstance(o, Refused)
              and isinstance(o.problem, EntryRefReused)}  # fmt: skip
    if not reused:
        return [*outcomes]
    asked = [one for one in drafted if one.record in reused]
    again = {one.record: one for one in find_posted(session, sender, asked)}
    return [again.get(outcome.record, outcome) for outcome in outcomes]


def _lock(
    session: Session, sender: Sender, drafted: Sequence[Drafted], more: Sequence[Condition] = ()
) -> None:
    conditions = [*more, *(condition for one in drafted for condition in one.conditions)]
    lock_conditions(session, [(sender.book, condition) for condition in conditions])


def _runs(drafted: Sequence[Drafted]) -> Iterator[list[Drafted]]:
    """Cut before every entry with conditions: a batch is held to those of its first entry."""
    run: list[Drafted] = []
    for one in drafted:
        if run and one.conditions:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _others(
    drafted: Sequence[Drafted], outcomes: Sequence[Booked | Refused | Fault]
) -> list[Drafted]:
    known = {outcome.record for outcome in outcomes}
    return [one for one in drafted if one.record not in known]


def _refusals(outcomes: Sequence[Booked | Refused]) -> int:
    return sum(isinstance(outcome, Refused) for outcome in outcomes)


def _named_behind(ref: str) -> Naming:
    """Name batches by a reference and the entries they hold: other entries, another batch."""

    def named(drafted: Sequence[Drafted]) -> str:
        members = sha256("\0".join(one.source_ref for one in drafted).encode()).hexdigest()
        return f"{ref}/{drafted[0].record}-{drafted[-1].record}/{members[:12]}"

    return named


def find_posted(
    session: Session, sender: Sender, drafted: Sequence[Drafted]
) -> list[Booked | Refused]:
    """Find the entries whose reference is in the journal: the same entry, or another one.

    Those that are not in the journal have no outcome. Another one is refused, `EntryRefReused`.
    """
    rows = session.execute(
        text(_BY_REFERENCE),
        {"system": sender.source_system, "refs": [one.source_ref for one in drafted]},
    )
    stored: Mapping[str, Row[Any]] = {row.source_ref: row for row in rows}
    bases = _stored_bases(session, sender, drafted, stored)
    outcomes: list[Booked | Refused] = []
    for one in drafted:
        row = stored.get(one.source_ref)
        if row is None:
            continue
        voucher = Voucher(row.series, row.fiscal_year, row.voucher_no)
        sent = _as_posted(one.entry, bases.get(row.entry_id))
        if _is(sent, row, voucher, sender.source_system):
            outcomes.append(Booked(one.record, row.entry_id, voucher, replayed=True))
            continue
        reused = EntryRefReused(
            f"{sender.source_system}/{one.source_ref} is {voucher} with other content. Use "
            "a new reference, or send what was sent before.",
            voucher=str(voucher), entry_id=row.entry_id,
        )  # fmt: skip
        outcomes.append(Refused(one.record, reused))
    return outcomes


def _stored_bases(
    session: Session, sender: Sender, drafted: Sequence[Drafted], stored: Mapping[str, Row[Any]]
) -> Mapping[int, Sequence[int]]:
    """Read the base amounts of stored entries whose sender left them to the rate of the day."""
    own = own_currency(session, sender.book)
    wanted = [
        stored[one.source_ref].entry_id
        for one in drafted
        if one.source_ref in stored and needs_rate(one.entry, own)
    ]
    found: dict[int, list[int]] = defaultdict(list)
    if wanted:
        for entry_id, base in session.execute(text(_BASES), {"ids": wanted}):
            found[entry_id].append(base)
    return found


def _as_posted(entry: EntryDraft, bases: Sequence[int] | None) -> EntryDraft:
    """Give an entry the base amounts that were looked up when it was posted.

    Which rate is the latest may have changed since; what was sent has not.
    """
    if bases is None or len(bases) != len(entry.lines):
        return entry
    lines = tuple(
        replace(line, base_minor=base) if line.base_minor is None else line
        for line, base in zip(entry.lines, bases, strict=True)
    )
    return replace(entry, lines=lines)


def _is(entry: EntryDraft, row: Row[Any], voucher: Voucher, source_system: str) -> bool:
    """Tell by its leaf whether a stored entry is this one, whoever posted it."""
    hashed = entry_hash(encode_entry(entry), row.book, source_system, row.created_by)
    return leaf_hash(hashed, voucher) == bytes(row.leaf)


_BASES = """
    SELECT entry_id, base_minor FROM journal_line WHERE entry_id = ANY (CAST(:ids AS bigint[]))
    ORDER BY entry_id, line_no"""
_BY_REFERENCE = """
    SELECT e.entry_id, e.source_ref, e.leaf, s.code AS series, e.fiscal_year, e.voucher_no,
        b.created_by, k.code AS book
    FROM journal_entry e JOIN voucher_series s USING (series_id)
    JOIN book k ON k.book_id = e.book_id JOIN posting_batch b ON b.batch_id = e.entry_id >> 20
    WHERE e.source_system = :system AND e.source_ref = ANY (CAST(:refs AS text[]))"""
