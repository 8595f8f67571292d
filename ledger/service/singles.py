"""Single entries: what many callers post one by one goes into the journal together.

`ledger.merging.Merger` brings the entries together. This is the one verb that owns its transaction:
an outcome is told only when it is committed, and what is committed holds the entry, its number and
the answer of its key at once, so that no crash can come between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from itertools import groupby
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger.conditions import Condition
from ledger.db import transaction
from ledger.errors import Problem
from ledger.intake import Drafted
from ledger.journal import BatchDraft, EntryDraft, check_batch
from ledger.service.answers import (
    Answer,
    IdempotencyKeyReused,
    Request,
    RequestInProgress,
    begin_all,
    is_final,
    keep_all,
)
from ledger.service.conditions import lock_conditions
from ledger.service.intake import Booked, Sender, post_all, post_each
from ledger.service.refused import translated
from ledger.service.sifting import Refused

MOST_ENTRIES = 500
MOST_LINES = 3_000
# What another try may not meet: a deadlock and a serialisation failure.
_PASSING = frozenset({"40P01", "40001"})


class BooksBusy(Problem):
    """Others held what the entry needed, twice in a row; nothing was posted and no key was used.

    Raise as: "Others held what this needed, twice. Nothing was posted; send it again.".
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Books are busy"


@dataclass(frozen=True, slots=True)
class Single:
    """An entry that somebody waits for, under a key.

    `told` makes the body of a refusal, as this caller is to read it; it is kept under the key.
    """

    sender: Sender
    entry: EntryDraft
    request: Request
    told: Callable[[Problem], Mapping[str, Any]]
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer of a key; `repeated` where it is an earlier request's, or the entry was there."""

    answer: Answer
    repeated: bool


Outcome = Settled | Problem
_Posting = Callable[[Session, Sender, Sequence[Drafted]], Sequence[Booked | Refused]]


def post_singles(asked: Sequence[Single]) -> list[Outcome]:
    """Post entries that came at the same time, each by itself refused or in the journal.

    One transaction and one commit for all; entries of one sender share a batch. Where something is
    refused it is done again with care, to find out what. Where it meets a deadlock, each sender's
    are tried once more in a transaction of their own.

    Returns
    -------
    One outcome for each, in order, durable: its answer, or the refusal to raise. `BooksBusy` where
    the second try met a deadlock too, `RequestInProgress` where the key is being worked on.

    Raises
    ------
    DatabaseSilent and what the driver raises : the outcome is not known; the key will tell.
    """
    try:
        if not any(one.conditions for one in asked):
            with suppress(Problem):
                return _settle(asked, _post_boldly)
        return _settle(asked, _post_with_care)
    except (DBAPIError, psycopg.Error) as fault:
        if not _may_pass(fault):
            raise
    outcomes: dict[int, Outcome] = {}
    for _, members in _by_sender(asked, range(len(asked))):
        try:
            again = _settle([asked[place] for place in members], _post_with_care)
        except (DBAPIError, psycopg.Error) as fault:
            if not _may_pass(fault):
                raise
            busy = BooksBusy("Others held what this needed, twice. Nothing was posted; send it "
                             "again.", retry_after_s=1)  # fmt: skip
            again = [busy] * len(members)
        outcomes.update(zip(members, again, strict=True))
    return [outcomes[place] for place in range(len(asked))]


def _settle(asked: Sequence[Single], post: _Posting) -> list[Outcome]:
    """Claim the keys, post what is new, keep every answer, commit.

    What came together under one key with other content is settled afterwards: which of the two the
    key stands for is then in the books.
    """
    firsts: dict[tuple[str, str], int] = {}
    for place, one in enumerate(asked):
        firsts.setdefault((one.request.client_id, one.request.key), place)
    with translated(), transaction() as session:
        places = list(firsts.values())
        claims = begin_all(session, [asked[place].request for place in places])
        outcomes: dict[int, Outcome] = {
            place: Settled(claim, repeated=True) if isinstance(claim, Answer) else claim
            for place, claim in zip(places, claims, strict=True) if claim is not None
        }  # fmt: skip
        fresh = [place for place in places if place not in outcomes]
        answers = _post(session, asked, fresh, post)
        if answers:
            keep_all(session, [(asked[p].request, _kept(asked[p], answers[p])) for p in answers])
    outcomes |= answers
    others: list[int] = []
    for place, one in enumerate(asked):
        first = firsts[one.request.client_id, one.request.key]
        if one.request != asked[first].request:
            others.append(place)
        elif place != first:
            outcomes[place] = _repeated(asked[first], outcomes[first])
    if others:
        later = _settle([asked[place] for place in others], _post_with_care)
        outcomes.update(zip(others, later, strict=True))
    return [outcomes[place] for place in range(len(asked))]


def _post(
    session: Session, asked: Sequence[Single], fresh: Sequence[int], post: _Posting
) -> dict[int, Outcome]:
    """Post the entries at some places, sender by sender."""
    outcomes: dict[int, Outcome] = {}
    sound: list[int] = []
    for place in fresh:
        refusal = _refusal(asked[place])
        if refusal is None:
            sound.append(place)
        else:
            outcomes[place] = refusal
    lock_conditions(
        session, [(asked[p].sender.book, c) for p in sound for c in asked[p].conditions]
    )
    for sender, members in _by_sender(asked, sound):
        drafted = [Drafted.alone(p, asked[p].entry, asked[p].conditions) for p in members]
        for outcome in post(session, sender, drafted):
            outcomes[outcome.record] = (
                outcome.problem if isinstance(outcome, Refused)
                else Settled(_answer(outcome), outcome.replayed)
            )  # fmt: skip
    return outcomes


def _post_boldly(session: Session, sender: Sender, drafted: Sequence[Drafted]) -> Sequence[Booked]:
    """Post all, in the least number of trips; raises the first refusal, whosever it is."""
    return post_all(session, sender, _name, drafted)


def _post_with_care(
    session: Session, sender: Sender, drafted: Sequence[Drafted]
) -> Sequence[Booked | Refused]:
    """Find what was posted before, post what can be, leave nothing of what cannot."""
    return post_each(session, sender, drafted, _name)


def _refusal(one: Single) -> Problem | None:
    """Say what no journal could hold, so that it does not stop those it came with."""
    sender = one.sender
    try:
        check_batch(BatchDraft(sender.book, sender.source_system, one.entry.source_ref,
                               sender.actor, (one.entry,), conditions=one.conditions))  # fmt: skip
    except Problem as refusal:
        return refusal
    return None


def _by_sender(
    asked: Sequence[Single], places: Sequence[int]
) -> Iterator[tuple[Sender, list[int]]]:
    """Group places by sender, senders in one order everywhere, so that locks are too."""

    def sender(place: int) -> tuple[str, str, str]:
        named = asked[place].sender
        return (named.book, named.source_system, named.actor)

    for _, members in groupby(sorted(places, key=sender), sender):
        found = list(members)
        yield asked[found[0]].sender, found


def _name(drafted: Sequence[Drafted]) -> str:
    """Name a batch by its entries alone, so that a crash and a retry end in the same name."""
    references = [one.source_ref for one in drafted]
    if len(references) == 1:
        return references[0]
    return f"merged/{sha256(chr(0).join(references).encode()).hexdigest()}"


def _answer(booked: Booked) -> Answer:
    voucher = booked.voucher
    return Answer(HTTPStatus.CREATED, {
        "entry_id": booked.entry_id, "batch_id": booked.entry_id >> 20,
        "voucher": {"series": voucher.series, "year": voucher.year, "number": voucher.number},
    })  # fmt: skip


def _kept(one: Single, outcome: Outcome) -> Answer | None:
    """Give what is kept under a key; None for a refusal that another try may not meet."""
    if isinstance(outcome, Settled):
        return outcome.answer
    status = int(outcome.status)
    return Answer(status, dict(one.told(outcome))) if is_final(status) else None


def _repeated(first: Single, outcome: Outcome) -> Outcome:
    """Answer a request that came together with another like it."""
    if isinstance(outcome, Settled):
        return Settled(outcome.answer, repeated=True)
    if isinstance(outcome, RequestInProgress | IdempotencyKeyReused):
        return outcome  # No answer of this key: nothing is repeated.
    kept = _kept(first, outcome)
    return outcome if kept is None else Settled(kept, repeated=True)


def _may_pass(fault: BaseException) -> bool:
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    return getattr(cause, "sqlstate", None) in _PASSING
