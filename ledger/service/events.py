"""The feed of events: what was posted, in the order in which it was sealed.

Events get their numbers before they are committed, so an order of numbers would let a reader skip
one that commits late. Seal positions are given only to batches below the horizon: whoever remembers
the last position misses nothing and sees nothing twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.refusals import NotYetKnown
from ledger.service.books import require_book

LIMIT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a book, with the seal that proves it."""

    position: int
    block_no: int
    event_id: int
    event_type: str
    batch_id: int
    first_entry_id: int
    recorded_at: datetime
    content: dict[str, Any]


def events_after(session: Session, book: str, after: int, limit: int = 100) -> list[Event]:
    """Give the events of the next batches of a book behind a seal position, in order.

    Parameters
    ----------
    after : the last position that was read; 0 from the beginning.
    limit : how many batches at most; the events of a batch are never parted.

    Raises `UnknownBook`.
    """
    require_book(session, book)
    rows = session.execute(text(_EVENTS), {"book": book, "after": after, "limit": limit})
    return [Event(*row) for row in rows]


def require_position(session: Session, after: int) -> None:
    """Refuse to begin behind a position that no seal has given: what comes would be skipped.

    Whoever remembers such a position has it from other books, or from these before they were
    restored. Raises `NotYetKnown`.
    """
    last = last_position(session)
    if after > last:
        raise NotYetKnown(
            f"There is no position {after} to go on from: seals reach to {last}. Ask for what is "
            "behind the last one that you have seen in these books.",
            after=after, last_position=last,
        )  # fmt: skip


def last_position(session: Session) -> int:
    """Give the last seal position there is; 0 before the first seal."""
    return int(session.scalar(text("SELECT coalesce(max(position), 0) FROM seal_member")) or 0)


_EVENTS = """
    SELECT m.position, m.block_no, e.event_id, e.event_type, e.batch_id, e.batch_id << 20,
        m.recorded_at, e.content
    FROM (SELECT s.position, s.block_no, s.batch_id, b.recorded_at
        FROM seal_member s JOIN posting_batch b USING (batch_id) JOIN book k USING (book_id)
        WHERE k.code = :book AND s.position > :after ORDER BY s.position LIMIT :limit) m
    JOIN event_outbox e USING (batch_id)
    ORDER BY m.position, e.event_id"""
