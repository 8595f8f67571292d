"""Post batches: drafts become facts, whole or not at all, once per source reference."""

import json

from sqlalchemy.orm import Session

from ledger.columns import count_lines
from ledger.db import driver_connection
from ledger.journal import BatchDraft, Posted
from ledger.refusals import MalformedEntry, SourceRefReused
from ledger.service.conditions import check_conditions, lock_conditions
from ledger.service.dimensions import on_their_line
from ledger.service.few import Few
from ledger.service.posted import read_posted
from ledger.service.rates import exchanged, own_currency
from ledger.service.refused import translated
from ledger.service.staging import Many

FEW_LINES = 200  # Allocations count as lines. Below, one call is cheaper than filling a stage.


def post_batch(session: Session, draft: BatchDraft) -> Posted:
    """Post a batch of entries and allocations; the same reference and content posts once.

    Parameters
    ----------
    session : the caller's transaction; the batch is checked again, as stored, when it commits.
    draft : 1 to 2**20 entries (best 3 to 30 thousand lines), allocations, or both. Its conditions
        are held against the books unless it was posted before.

    Returns
    -------
    Posted : ids, voucher numbers and new open items; `replayed` where it had been posted before.

    Raises
    ------
    ConditionsNotMet : the books are not as the draft demands.
    Problem : one of ledger.refusals, with the entry and line; the transaction must be rolled back.

    Source: migrations/sql/0036_asked_once/02_posting.sql.
    """
    lines = count_lines(draft.entries) + len(draft.allocations)
    road: type[Few | Many] = Few if lines < FEW_LINES else Many
    batch = road.of(draft)
    content = batch.content()
    # Locked before the first look, so that of two equal requests the second finds the first.
    lock_conditions(session, [(draft.book, condition) for condition in draft.conditions])
    known = _find_batch(session, draft, content)
    if known is not None:
        return read_posted(session, known, replayed=True)
    check_conditions(session, draft.book, draft.conditions, _whose(draft))
    # Rates are looked up only now: what was sent decides whether it was sent before.
    if batch.needs_rates(own_currency(session, draft.book)):
        batch = road.of(exchanged(session, draft))
    held = batch.totals()
    envelope = (
        draft.book, draft.source_system, draft.source_ref, draft.actor, content, held.entries,
        held.lines, json.dumps(held.debits), draft.approved_by,
    )  # fmt: skip
    with on_their_line(draft), translated():
        posted = batch.call(session, envelope)
    if not posted.replayed:
        check_conditions(session, draft.book, draft.conditions, _whose(draft), but=posted.batch_id)
    return posted


def allocate(session: Session, draft: BatchDraft) -> Posted:
    """Allocate credits to debits without moving money: a batch that has no entries.

    Raises `MalformedEntry` for a batch with entries, else as `post_batch`.
    """
    if draft.entries:
        raise MalformedEntry("A batch of allocations has no entries; use post_batch for both.")
    return post_batch(session, draft)


def _whose(draft: BatchDraft) -> str:
    return f"Entry {draft.entries[0].source_ref!r}" if draft.entries else repr(draft.source_ref)


def _find_batch(session: Session, draft: BatchDraft, content: bytes) -> int | None:
    """Find the batch that this reference posted; a first look, the database decides races."""
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(_KNOWN, (draft.source_system, draft.source_ref))
        row = cursor.fetchone()
    if row is None:
        return None
    batch_id, request_hash = row
    if request_hash != content:
        raise SourceRefReused(
            f"{draft.source_system}/{draft.source_ref} was posted as batch {batch_id} with "
            "other content. Use a new reference, or send what was sent before.",
            batch_id=batch_id,
        )
    return int(batch_id)


_KNOWN = """
    SELECT batch_id, request_hash FROM posting_batch
    WHERE source_system = %s AND source_ref = %s"""
