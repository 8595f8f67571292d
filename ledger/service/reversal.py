"""Undo by counter-fact: an entry by its mirror, an allocation by its opposite."""

import struct
from datetime import date
from hashlib import sha256

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.errors import Invalid
from ledger.journal import BatchDraft, EntryDraft, ItemDraft, Line, Posted
from ledger.refusals import AlreadyReversed
from ledger.reversing import OpenedItem, mirror_entry, settle_against_mirror
from ledger.service.periods import first_open_day
from ledger.service.posted import read_posted
from ledger.service.posting import post_batch
from ledger.service.reading import EntryView, LineView, find_voucher, read_entry
from ledger.service.refused import translated
from ledger.service.turns import take_turn
from ledger.undoing import AllocationUndone, ItemInUse, ReversalIsFinal, UnknownAllocation

REVERSALS = "reversal"
UNDOINGS = "undo"


def reverse_entry(
    session: Session,
    entry_id: int,
    *,
    effective_date: date | None = None,
    reason: str,
    actor: str,
    source_ref: str | None = None,
) -> Posted:
    """Post the mirror of an entry, once, and settle its open items against those of the mirror.

    Parameters
    ----------
    effective_date : None: the day of the original, else the first day after it that is open to the
        series of the original (and to VAT where the original has any).
    reason : why, in words; it stands in the text of the reversal.
    source_ref : a reference of the caller's, under which a repeated call gets the first answer.

    Raises
    ------
    UnknownEntry, AlreadyReversed (naming the reversal), ReversalIsFinal : there is nothing to undo.
    ItemInUse : the entry brought a credit that has been used; undo those allocations first.
    PeriodClosed, ReversalTooEarly : the day that was asked for does not do.
    OverAllocated : an item was settled by somebody else meanwhile; ask again.
    """
    _require_reason(reason)
    # Two reversals of one entry at a time: the second finds the first.
    take_turn(session, f"reversal/{entry_id}")
    original = read_entry(session, entry_id)
    done = _known_reversal(session, original, source_ref, reason, effective_date)
    if done is not None:
        return done
    book = _book_of(session, entry_id)
    items, drafts, undone_on = _items_of(session, entry_id)
    _refuse_used_credits(session, items)
    on = effective_date or first_open_day(
        session, book, original.voucher.series, original.effective_date,
        vat=any(line.vat_code for line in original.lines),
    )  # fmt: skip
    ref = source_ref or f"{book}/{entry_id}"
    mirror = mirror_entry(
        _draft_of(original, drafts), entry_id, effective_date=on, source_ref=ref,
        text=_text_of(original, reason),
    )  # fmt: skip
    # Where a use of an item was undone, the item was used until that day, and is settled from it.
    settled_on = max(on, undone_on or on)
    batch = BatchDraft(
        book, REVERSALS, ref, actor, (mirror,), settle_against_mirror(items, settled_on)
    )
    return post_batch(session, batch)


def undo_allocation(
    session: Session,
    allocation_id: int,
    *,
    effective_date: date,
    reason: str,
    actor: str,
    source_ref: str | None = None,
) -> Posted:
    """Undo an allocation from a day on, once: both items are outstanding again by its amount.

    Before that day, and in what was known before, the allocation stands as it did. With a
    `source_ref` of the caller's a repeated call gets the first answer.

    Raises `UnknownAllocation`, `AllocationUndone`, `UndoRefused` (an undoing cannot be undone, nor
    before the allocation's own day), `PeriodClosed`.
    """
    _require_reason(reason)
    book = session.scalar(
        text(
            "SELECT code FROM allocation JOIN book USING (book_id) WHERE allocation_id = :id"
        ),
        {"id": allocation_id},
    )  # fmt: skip
    if book is None:
        raise UnknownAllocation(
            f"There is no allocation {allocation_id}.", allocation_id=allocation_id
        )
    ref = source_ref or f"{book}/{allocation_id}"
    content = sha256(
        struct.pack(">qi", allocation_id, effective_date.toordinal()) + reason.encode()
    ).digest()
    if source_ref is None:
        _refuse_undone(session, allocation_id)
    with translated(), driver_connection(session).cursor() as cursor:
        cursor.execute(
            "SELECT posted_batch, replayed"
            " FROM ledger_undo_allocations(%s, %s, %s, %s, %s, %s, %s, %s)",
            (book, UNDOINGS, ref, actor, content, [allocation_id], effective_date, reason),
        )
        batch_id, replayed = cursor.fetchone()
    return read_posted(session, int(batch_id), replayed=bool(replayed))


def _require_reason(reason: str) -> None:
    if not reason.strip() or "\0" in reason:
        raise Invalid("Say why, in words: an auditor reads the reason of everything undone.")


def _known_reversal(
    session: Session, original: EntryView, ref: str | None, reason: str, on: date | None
) -> Posted | None:
    """Find the answer that this very request was given before; refuse any other second one."""
    if original.reverses is not None:
        raise ReversalIsFinal(
            f"Voucher {original.voucher} is itself the reversal of {original.reverses}. Post what "
            "was reversed anew instead.",
            voucher=str(original.voucher), reverses=str(original.reverses),
        )  # fmt: skip
    if original.reversed_by is None:
        return None
    by = original.reversed_by
    book = _book_of(session, original.entry_id)
    found = find_voucher(session, book, by.series, by.year, by.number)
    same = (
        ref == found.source_ref
        and found.source_system == REVERSALS
        and on in {None, found.effective_date}
        and found.text == _text_of(original, reason)
    )
    if same:
        return read_posted(session, found.batch_id, replayed=True)
    raise AlreadyReversed(
        f"Voucher {original.voucher} was reversed by {by} on {found.effective_date}. To undo the "
        "reversal, post the entry anew.",
        voucher=str(original.voucher), reversed_by=str(by),
    )  # fmt: skip


def _refuse_used_credits(session: Session, items: list[OpenedItem]) -> None:
    used = [item.open_item_id for item in items if item.is_used_credit]
    if not used:
        return
    standing = session.scalars(
        text(
            "SELECT allocation_id FROM allocation a WHERE credit_item_id = ANY (:items)"
            " AND amount_minor > 0 AND NOT EXISTS (SELECT FROM allocation r"
            "  WHERE r.reverses_allocation_id = a.allocation_id) ORDER BY allocation_id"
        ),
        {"items": used},
    ).all()
    raise ItemInUse(
        "The entry brought a credit that has been used, and what it settled would look settled "
        f"still. Undo its allocations first: {', '.join(map(str, standing))}.",
        open_items=used, allocations=list(standing),
    )  # fmt: skip


def _refuse_undone(session: Session, allocation_id: int) -> None:
    by = session.scalar(
        text("SELECT allocation_id FROM allocation WHERE reverses_allocation_id = :id"),
        {"id": allocation_id},
    )
    if by is not None:
        raise AllocationUndone(
            f"Allocation {allocation_id} was undone by allocation {by}. Allocate anew instead.",
            allocation_id=allocation_id, undone_by=int(by),
        )  # fmt: skip


def _book_of(session: Session, entry_id: int) -> str:
    book: str | None = session.scalar(
        text("SELECT code FROM journal_entry JOIN book USING (book_id) WHERE entry_id = :id"),
        {"id": entry_id},
    )
    assert book is not None
    return book


def _text_of(original: EntryView, reason: str) -> str:
    return f"Tilbakeføring av {original.voucher}: {reason}"


def _items_of(
    session: Session, entry_id: int
) -> tuple[list[OpenedItem], dict[int, ItemDraft], date | None]:
    """Read the items that an entry opened, with what is left of each, and how they were drafted.

    The day is the last on which a use of one of them was undone; None where none was.
    """
    rows = session.execute(
        text(
            "SELECT i.*, coalesce((SELECT sum(amount_minor) FROM allocation"
            "  WHERE credit_item_id = i.open_item_id), 0) + coalesce((SELECT sum(amount_minor)"
            "  FROM allocation WHERE debit_item_id = i.open_item_id), 0) AS used,"
            " greatest((SELECT max(effective_date) FROM allocation"
            "  WHERE amount_minor < 0 AND credit_item_id = i.open_item_id),"
            " (SELECT max(effective_date) FROM allocation"
            "  WHERE amount_minor < 0 AND debit_item_id = i.open_item_id)) AS undone_on"
            " FROM open_item i WHERE i.entry_id = :id ORDER BY i.line_no"
        ),
        {"id": entry_id},
    ).all()
    items, drafts = [], {}
    for row in rows:
        left = abs(row.original_minor) - int(row.used)
        items.append(
            OpenedItem(
                row.line_no, row.open_item_id, row.original_minor,
                left if row.original_minor > 0 else -left,
            )
        )  # fmt: skip
        drafts[row.line_no] = ItemDraft(
            row.kind, row.document_ref, row.kid, row.document_date, row.due_date
        )
    undone = [row.undone_on for row in rows if row.undone_on is not None]
    return items, drafts, max(undone, default=None)


def _draft_of(original: EntryView, items: dict[int, ItemDraft]) -> EntryDraft:
    return EntryDraft(
        series=original.voucher.series,
        effective_date=original.effective_date,
        document_date=original.document_date,
        entry_type=original.entry_type,
        source_ref=original.source_ref,
        text=original.text,
        lines=tuple(_line_of(line, items.get(line.line_no)) for line in original.lines),
        document_ref=original.document_ref,
        reverses_entry_id=original.reverses_entry_id,
    )


def _line_of(line: LineView, item: ItemDraft | None) -> Line:
    pairs = (pair.partition("=") for pair in line.dimensions.split(";") if pair)
    return Line(
        account=line.account,
        amount_minor=line.amount_minor,
        currency=line.currency,
        party_id=line.party_id,
        vat_code=line.vat_code,
        tax_base_minor=line.tax_base_minor,
        dimensions={name: value for name, _, value in pairs} or None,
        item=item,
        text=line.text,
        base_minor=line.base_minor,
    )
