"""Post batches: drafts become facts, whole or not at all, once per source reference."""

import json

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.columns import (
    check_columns,
    columns_of,
    content_hash,
    entry_bodies,
    entry_hashes,
    needs_rates,
    totals,
)
from ledger.db import driver_connection
from ledger.journal import BatchDraft, Declared, Posted, Voucher
from ledger.refusals import MalformedEntry, SourceRefReused
from ledger.service.rates import exchanged, own_currency
from ledger.service.refused import translated
from ledger.service.staging import fill_stage


def post_batch(session: Session, draft: BatchDraft) -> Posted:
    """Post a batch of entries and allocations; the same reference and content posts once.

    Parameters
    ----------
    session : the caller's transaction; the batch is checked again, as stored, when it commits.
    draft : 1 to 2**20 entries (best 3 to 30 thousand lines), allocations, or both.

    Returns
    -------
    Posted : ids, voucher numbers and new open items; `replayed` where it had been posted before.

    Raises
    ------
    Problem : one of ledger.refusals, with the entry and line; the transaction must be rolled back.

    Source: reference/ledger.md section 5c; migrations/sql/0001_ledger/07_posting.sql.
    """
    batch = columns_of(draft)
    check_columns(batch, draft)
    bodies = entry_bodies(batch)
    content = content_hash(batch, bodies, draft.book)
    known = _find_batch(session, draft, content)
    if known is not None:
        return read_posted(session, known, replayed=True)
    # Rates are looked up only now: what was sent decides whether it was sent before.
    if needs_rates(batch, own_currency(session, draft.book), draft):
        batch = columns_of(exchanged(session, draft))
        bodies = entry_bodies(batch)
    hashes = entry_hashes(bodies, draft.book, draft.source_system, draft.actor)
    with translated():
        fill_stage(session, draft.book, batch, hashes)
        batch_id, replayed = _post_staged(session, draft, content, totals(batch))
    return read_posted(session, batch_id, replayed=replayed)


def allocate(session: Session, draft: BatchDraft) -> Posted:
    """Allocate credits to debits without moving money: a batch that has no entries.

    Raises `MalformedEntry` for a batch with entries, else as `post_batch`.
    """
    if draft.entries:
        raise MalformedEntry("A batch of allocations has no entries; use post_batch for both.")
    return post_batch(session, draft)


def _find_batch(session: Session, draft: BatchDraft, content: bytes) -> int | None:
    """Find the batch that this reference posted; a first look, the database decides races."""
    row = session.execute(
        text(
            "SELECT batch_id, request_hash FROM posting_batch"
            " WHERE source_system = :system AND source_ref = :ref"
        ),
        {"system": draft.source_system, "ref": draft.source_ref},
    ).one_or_none()
    if row is None:
        return None
    if bytes(row.request_hash) != content:
        raise SourceRefReused(
            f"{draft.source_system}/{draft.source_ref} was posted as batch {row.batch_id} with "
            "other content. Use a new reference, or send what was sent before.",
            batch_id=row.batch_id,
        )
    return int(row.batch_id)


def _post_staged(
    session: Session, draft: BatchDraft, content: bytes, held: Declared
) -> tuple[int, bool]:
    with driver_connection(session).cursor() as cursor:
        cursor.execute(
            "SELECT posted_batch, replayed"
            " FROM ledger_post_staged(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                draft.book, draft.source_system, draft.source_ref, draft.actor, content,
                held.entries, held.lines, json.dumps(held.debits), draft.approved_by,
            ),
        )  # fmt: skip
        batch_id, replayed = cursor.fetchone()
    return int(batch_id), bool(replayed)


def read_posted(session: Session, batch_id: int, *, replayed: bool) -> Posted:
    """Read back what a batch became; a replay reads exactly what the first call did."""
    low = batch_id << 20
    span = {"low": low, "high": low + (1 << 20)}
    entries = session.execute(
        text(
            "SELECT entry_id, s.code, fiscal_year, voucher_no"
            " FROM journal_entry JOIN voucher_series s USING (series_id)"
            " WHERE entry_id >= :low AND entry_id < :high ORDER BY entry_id"
        ),
        span,
    ).all()
    items = session.execute(
        text(
            "SELECT entry_id, line_no, open_item_id FROM open_item"
            " WHERE open_item_id >= :low AND open_item_id < :high ORDER BY open_item_id"
        ),
        span,
    )
    return Posted(
        batch_id=batch_id,
        entry_ids=tuple(row[0] for row in entries),
        vouchers=tuple(Voucher(series, year, number) for _, series, year, number in entries),
        open_item_ids={(entry_id - low, line_no): item for entry_id, line_no, item in items},
        replayed=replayed,
    )
