"""Checklists as they are kept: recorded once, read back, and proved by their hash."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from ledger.closing import Result, UnknownChecklist, content_hash, content_of, results_of
from ledger.service.refused import translated


@dataclass(frozen=True, slots=True)
class Checklist:
    """What the checks of a month found at some moment: evidence, sealed like other facts.

    `known_as_of` is the last seal position by then; `closes_as` what the month was closed as on the
    strength of it, None for a look.
    """

    checklist_id: int
    book: str
    period: str
    closes_as: str | None
    actor: str
    known_as_of: int
    recorded_at: datetime
    results: tuple[Result, ...]
    content_hash: bytes


def record_checklist(
    session: Session, book: str, period: str, results: tuple[Result, ...], *, actor: str,
    closes_as: str | None = None,
) -> Checklist:  # fmt: skip
    """Keep the results of a run; with `closes_as` also lock the month's modules to that level.

    Raises `UnknownBook`, `UnknownPeriod`, `ChecksOpen`, `YearResultLeft`.
    """
    known = int(session.scalar(text("SELECT coalesce(max(position), 0) FROM seal_member")) or 0)
    content = content_of(
        results, book=book, period=period, actor=actor, known_as_of=known, closes_as=closes_as
    )
    call = (
        "SELECT ledger_record_checklist(:book, :period, :actor, :known, CAST(:content AS jsonb),"
        " :hash)"
        if closes_as is None
        else "SELECT ledger_close_period(:book, :period, :level, :actor, :known,"
        " CAST(:content AS jsonb), :hash)"
    )
    with translated():
        made = session.scalar(
            text(call),
            {"book": book, "period": period, "actor": actor, "known": known, "level": closes_as,
             "content": json.dumps(content), "hash": content_hash(content)},
        )  # fmt: skip
    assert made is not None
    return read_checklist(session, int(made))


def read_checklist(session: Session, checklist_id: int) -> Checklist:
    """Read a checklist. Raises `UnknownChecklist`."""
    row = session.execute(
        text(f"{_CHECKLIST} WHERE checklist_id = :id"), {"id": checklist_id}
    ).one_or_none()
    if row is None:
        raise UnknownChecklist(
            f"There is no checklist {checklist_id}.", checklist_id=checklist_id
        )  # fmt: skip
    return _checklist(row)


def list_checklists(
    session: Session, book: str, period: str, *, only_closing: bool = False, limit: int = 100
) -> list[Checklist]:
    """List the checklists of a month, newest first; those that closed it, or all."""
    rows = session.execute(
        text(
            f"{_CHECKLIST} WHERE k.code = :book AND period_code = :period"
            f"{' AND closes_as IS NOT NULL' if only_closing else ''}"
            " ORDER BY checklist_id DESC LIMIT :limit"
        ),
        {"book": book, "period": period, "limit": limit},
    )
    return [_checklist(row) for row in rows]


def latest_checklist(session: Session, book: str, period: str) -> Checklist:
    """Read the newest checklist of a month. Raises `UnknownChecklist` before the first."""
    found = list_checklists(session, book, period, limit=1)
    if not found:
        raise UnknownChecklist(
            f"{period} of book {book} has no checklist yet. Run one: hovedbok ledger checklist "
            f"{period}.",
            period=period,
        )
    return found[0]


def wrong_checklists(session: Session) -> Iterator[tuple[str, str]]:
    """Compute the hash of every checklist again. Yields (where, detail) per fault."""
    rows = session.execute(
        text("SELECT checklist_id, content, content_hash FROM close_checklist ORDER BY 1"),
        execution_options={"yield_per": 100},
    )
    for checklist_id, content, stored in rows:
        if content_hash(content) != bytes(stored):
            yield f"checklist {checklist_id}", "its content does not have the hash it was kept by"


def _checklist(row: Row[Any]) -> Checklist:
    return Checklist(
        row.checklist_id, row.book, row.period_code, row.closes_as, row.actor, row.known_as_of,
        row.recorded_at, results_of(row.content), bytes(row.content_hash),
    )  # fmt: skip


_CHECKLIST = """
    SELECT checklist_id, k.code AS book, period_code, closes_as, actor, known_as_of, recorded_at,
        content, content_hash
    FROM close_checklist JOIN book k USING (book_id)"""
