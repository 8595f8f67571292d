"""Post what can be posted: the good entries in few batches, the bad ones each with its reason.

A batch is refused for one entry at a time, and each attempt costs a posting. So what a refusal
names, an account that is closed or a day that nobody opened, is held against all entries at once:
those that have it too are tried apart from the others, and mostly one by one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.orm import Session

from ledger.errors import Problem
from ledger.intake import Drafted
from ledger.journal import EntryDraft
from ledger.service.staging import keep_stage

Outcome = TypeVar("Outcome")
Post = Callable[[Sequence[Drafted]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is not in the journal, and what was said against it alone."""

    record: int
    problem: Problem


def sift(
    session: Session,
    drafted: Sequence[Drafted],
    post: Post[Outcome],
    most: int,
) -> list[Outcome | Refused]:
    """Post entries in as few batches as may be, and leave out those that are refused alone.

    Parameters
    ----------
    post : posts some entries as one batch and checks it, or raises a `Problem`; tried in a
        savepoint each time.
    most : stop behind so many refusals; what was not tried until then has no outcome.

    Returns one outcome per entry, in no order. Of entries with one reference the first is posted.
    """
    # Whoever comes first has the reference: where there is one twice, nobody may be put before.
    apart = len({one.source_ref for one in drafted}) == len(drafted)
    return _sift(session, drafted, post, most, len(drafted), apart=apart)


def _sift(
    session: Session,
    drafted: Sequence[Drafted],
    post: Post[Outcome],
    most: int,
    size: int,
    *,
    apart: bool,
) -> list[Outcome | Refused]:
    """Try so many at a time: twice as many behind a batch that is good, half behind a bad one."""
    outcomes: list[Outcome | Refused] = []
    refused = 0
    left = drafted
    while left and refused < most:
        part, behind = left[:size], left[size:]
        try:
            with session.begin_nested():
                outcomes += post(part)
            left, size = behind, 2 * size
            continue
        except Problem as refusal:
            alike, others = _told_apart(part, refusal) if apart else ([], part)
            if len(part) == 1:
                outcomes.append(Refused(part[0].record, refusal))
                refused, left = refused + 1, behind
                continue
        keep_stage(session)
        if not others:  # It tells nothing apart: perhaps it is what one of them lacks.
            size = len(part) // 2
            continue
        found = _sift(session, alike, post, most - refused, 1, apart=apart)
        refused += sum(isinstance(outcome, Refused) for outcome in found)
        outcomes += found
        left, size = [*others, *behind], max(1, len(others) // 2)
    return outcomes


def _told_apart(
    drafted: Sequence[Drafted], refusal: Problem
) -> tuple[list[Drafted], list[Drafted]]:
    """Tell those that have what is refused from the others; none where the refusal names nothing.

    An entry that is refused for what nobody else can have is alike with itself alone.
    """
    named = {name: str(refusal.facts[name]) for name in _HELD if name in refusal.facts}
    if named:
        held = [all(value in _HELD[name](one.entry) for name, value in named.items())
                for one in drafted]  # fmt: skip
    else:
        place = refusal.facts.get("entry")
        held = [number == place for number in range(len(drafted))]
    alike = [one for one, has in zip(drafted, held, strict=True) if has]
    others = [one for one, has in zip(drafted, held, strict=True) if not has]
    return alike, others


# What the facts of a refusal may name, and where an entry has it.
_HELD: Mapping[str, Callable[[EntryDraft], Collection[str]]] = {
    "account": lambda entry: {line.account for line in entry.lines},
    "vat_code": lambda entry: {line.vat_code for line in entry.lines if line.vat_code},
    "dimension": lambda entry: {name for line in entry.lines for name in line.dimensions or ()},
    "series": lambda entry: {entry.series},
    "effective_date": lambda entry: {entry.effective_date.isoformat()},
}
