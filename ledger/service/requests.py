"""Posting requests too large to wait for: accepted, worked off by a job, told step by step."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import jobs
from ledger.db import transaction
from ledger.errors import NotFound
from ledger.intake import Defaults, Drafted, Fault
from ledger.intake.bodies import Envelope, entries_of, pointer_of, read_envelope
from ledger.service.answers import IdempotencyKeyReused
from ledger.service.books import functional_currency
from ledger.service.intake import Booked, Sender, post_drafted
from ledger.vault import vault

JOB = "post_request"
ENTRIES_A_STEP = 2_000


class UnknownPostingRequest(NotFound):
    """No posting request of the caller has this number."""

    title = "Unknown posting request"


@dataclass(frozen=True, slots=True)
class RequestState:
    """How far a request has come."""

    request_id: int
    book: str
    ref: str
    done: bool
    posted: int
    replayed: int
    refused: int
    steps: int


def accept_request(
    session: Session, sender: Sender, ref: str, body_format: str, body: bytes
) -> int:
    """Keep a request and queue its work, in one transaction; the same reference is kept once.

    Returns the request's number. The body is JSON (`entries` or `columns`) or `ndjson`.

    Raises `IdempotencyKeyReused` where the reference is of a request with another body or book,
    however long ago: it would not be worked off.
    """
    functional_currency(session, sender.book)  # Refuses an unknown book now, not in the job.
    stored = vault().put(body)
    facts = {"book": sender.book, "actor": sender.actor, "ref": ref, "format": body_format,
             "sha256": stored.sha256}  # fmt: skip
    made = session.scalar(text(_ACCEPT), facts)
    if made is not None:
        jobs.defer(session, JOB, request_id=int(made))
        return int(made)
    known = session.execute(text(_ACCEPTED), facts).one()
    if (known.code, known.sha256) != (sender.book, stored.sha256):
        raise IdempotencyKeyReused(
            f"The key {ref} was used for other content. Send a new key, or the content it was used "
            "for.", key=ref, request_id=known.request_id,
        )  # fmt: skip
    return int(known.request_id)


def post_request_job(request_id: int) -> None:
    """Do the queued job "post_request": step by step, each committed by itself; may run twice."""
    with transaction() as session:
        asked = session.execute(text(_REQUEST), {"id": request_id}).one()
        currency = functional_currency(session, asked.book)
        done = _steps_done(session, request_id)
    body = vault().get(asked.sha256)
    envelope = Envelope() if asked.body_format == "ndjson" else read_envelope(body)
    entries = entries_of(envelope, body, Defaults(asked.ref, currency))
    sender = Sender(asked.book, f"REST:{asked.actor}", asked.actor)
    part, number = list(islice(entries, ENTRIES_A_STEP)), 1
    while part or number == 1:
        following = list(islice(entries, ENTRIES_A_STEP))
        if number not in done:
            with transaction() as session:
                _do_step(session, sender, asked, number, part, is_last=not following)
        part, number = following, number + 1


def request_state(session: Session, request_id: int, actor: str) -> RequestState:
    """Say how far a caller's own request has come. Raises `UnknownPostingRequest`."""
    row = session.execute(text(_STATE), {"id": request_id, "actor": actor}).one_or_none()
    if row is None:
        raise UnknownPostingRequest(
            f"You have no posting request {request_id}.", request_id=request_id
        )
    return RequestState(*row)


def request_outcomes(session: Session, request_id: int, step: int) -> list[dict[str, Any]]:
    """Give the outcomes of one step, in order of the entries; empty where it is not done yet."""
    found = session.scalar(
        text("SELECT outcomes FROM posting_request_step"
             " WHERE request_id = :id AND step_no = :step"),
        {"id": request_id, "step": step},
    )  # fmt: skip
    return list(found or [])


def outcome_row(
    outcome: Booked | Fault, source_ref: str | None = None, *, in_columns: bool = False
) -> dict[str, Any]:
    """Tell what became of an entry, as it goes over the wire.

    A fault points into the entry; where the request came as columns, into its body.
    """
    if isinstance(outcome, Fault):
        pointer = pointer_of(outcome, in_columns=True) if in_columns else outcome.pointer
        return {"index": outcome.record - 1, "source_ref": source_ref,
                "problem": {"code": outcome.code, "detail": outcome.sentence,
                            "pointer": pointer}}  # fmt: skip
    voucher = outcome.voucher
    return {
        "index": outcome.record - 1, "source_ref": source_ref, "entry_id": outcome.entry_id,
        "voucher": {"series": voucher.series, "year": voucher.year, "number": voucher.number},
        "replayed": outcome.replayed,
    }  # fmt: skip


def _do_step(
    session: Session, sender: Sender, asked: Any, number: int,
    part: Sequence[Drafted | Fault], *, is_last: bool,
) -> None:  # fmt: skip
    drafted = [one for one in part if isinstance(one, Drafted)]
    refs = {one.record: one.source_ref for one in drafted}
    outcomes: list[Booked | Fault] = [one for one in part if isinstance(one, Fault)]
    outcomes += post_drafted(session, sender, asked.ref, drafted, each=True)
    in_columns = asked.body_format == "columns"
    rows = [
        outcome_row(one, refs.get(one.record), in_columns=in_columns)
        for one in sorted(outcomes, key=lambda o: o.record)
    ]
    booked = [one for one in outcomes if isinstance(one, Booked)]
    replayed = sum(one.replayed for one in booked)
    session.execute(
        text(_STEP),
        {"id": asked.request_id, "step": number, "posted": len(booked) - replayed,
         "replayed": replayed, "refused": len(outcomes) - len(booked), "last": is_last,
         "outcomes": json.dumps(rows)},
    )  # fmt: skip


def _steps_done(session: Session, request_id: int) -> set[int]:
    rows: Iterator[Any] = iter(
        session.execute(
            text("SELECT step_no FROM posting_request_step WHERE request_id = :id"),
            {"id": request_id},
        )
    )
    return {int(row[0]) for row in rows}


_ACCEPT = """
    INSERT INTO posting_request (book_id, actor, ref, body_format, sha256)
    SELECT book_id, :actor, :ref, :format, :sha256 FROM book WHERE code = :book
    ON CONFLICT (actor, ref) DO NOTHING RETURNING request_id"""
_ACCEPTED = """
    SELECT r.request_id, k.code, r.sha256 FROM posting_request r JOIN book k USING (book_id)
    WHERE r.actor = :actor AND r.ref = :ref"""
_REQUEST = """
    SELECT r.request_id, k.code AS book, r.actor, r.ref, r.body_format, r.sha256
    FROM posting_request r JOIN book k USING (book_id) WHERE request_id = :id"""
_STATE = """
    SELECT r.request_id, k.code, r.ref, coalesce(bool_or(s.is_last), false),
        coalesce(sum(s.posted), 0)::bigint, coalesce(sum(s.replayed), 0)::bigint,
        coalesce(sum(s.refused), 0)::bigint, count(s.step_no)
    FROM posting_request r JOIN book k USING (book_id)
    LEFT JOIN posting_request_step s USING (request_id)
    WHERE r.request_id = :id AND r.actor = :actor GROUP BY r.request_id, k.code"""
_STEP = """
    INSERT INTO posting_request_step
        (request_id, step_no, posted, replayed, refused, is_last, outcomes)
    VALUES (:id, :step, :posted, :replayed, :refused, :last, CAST(:outcomes AS jsonb))"""
