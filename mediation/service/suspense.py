"""Suspense: records that need somebody. Nothing in it is lost, and nothing in it is billed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from mediation.outcomes import GROUPS, Bucket
from mediation.service.control import Move, post_moves


@dataclass(frozen=True, slots=True)
class Suspended:
    """A record, or a part of one, on its way into suspense."""

    file_id: int
    record_no: int
    reason: str
    detail: str
    part_no: int = 0  # 0: the whole record
    byte_offset: int | None = None
    line_no: int | None = None
    seconds: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class SuspenseView:
    """A suspended record as lists show it."""

    suspense_id: int
    file_id: int
    file_name: str
    record_no: int
    part_no: int
    reason: str
    work_group: str
    byte_offset: int | None
    line_no: int | None
    seconds: int
    octets: int
    detail: str
    recorded_at: datetime


def suspend(session: Session, found: Iterable[Suspended]) -> int:
    """Record suspended records; one that is there already stays as it is. Gives the new ones."""
    rows = [
        {
            **{name: getattr(one, name) for name in Suspended.__slots__},
            "work_group": GROUPS.get(one.reason, "operations"),
        }
        for one in found
    ]
    new = 0
    for begin in range(0, len(rows), 1000):
        result = session.execute(_INSERT, rows[begin : begin + 1000])
        new += result.rowcount  # type: ignore[attr-defined]
    return new


def suspend_rated(session: Session, found: Sequence[Suspended], cause: str) -> int:
    """Suspend accepted usage that rating could not price; a second run finds it done.

    The seconds and octets of the usage row move from accepted to suspended, and the record with
    its first row. Gives how many rows were new.
    """
    known = {
        (row.file_id, row.record_no, row.part_no)
        for row in session.execute(
            text("SELECT file_id, record_no, part_no FROM suspense WHERE part_no > 0")
        )
    }
    fresh = [one for one in found if (one.file_id, one.record_no, one.part_no) not in known]
    suspend(session, fresh)
    moved_records = {(file_id, record_no) for file_id, record_no, _ in known}
    moves = []
    for one in fresh:
        first = (one.file_id, one.record_no) not in moved_records
        moved_records.add((one.file_id, one.record_no))
        moves += [
            Move(one.file_id, measure, Bucket.ACCEPTED, Bucket.SUSPENDED, one.reason, quantity)
            for measure, quantity in (
                ("records", int(first)),
                ("seconds", one.seconds),
                ("octets", one.octets),
            )
        ]
    post_moves(session, _summed(moves), cause)
    return len(fresh)


def suspense(
    session: Session, file_id: int | None = None, limit: int = 200, after: int = 0
) -> list[SuspenseView]:
    """List suspended records, oldest first, after the id of the last one seen."""
    rows = session.execute(
        text(
            "SELECT s.*, f.name AS file_name FROM suspense s JOIN source_file f USING (file_id)"
            " WHERE (CAST(:file_id AS bigint) IS NULL OR s.file_id = :file_id)"
            " AND s.suspense_id > :after ORDER BY s.suspense_id LIMIT :limit"
        ),
        {"file_id": file_id, "after": after, "limit": limit},
    ).mappings()
    return [SuspenseView(**{name: row[name] for name in SuspenseView.__slots__}) for row in rows]


def suspense_by_reason(session: Session) -> list[tuple[str, int, int, int]]:
    """Sum suspense by reason: reason, records, seconds, octets."""
    return [
        (str(reason), int(records), int(seconds), int(octets))
        for reason, records, seconds, octets in session.execute(
            text(
                "SELECT reason, count(DISTINCT (file_id, record_no)), sum(seconds), sum(octets)"
                " FROM suspense GROUP BY reason ORDER BY reason"
            )
        )
    ]


def _summed(moves: Iterable[Move]) -> list[Move]:
    sums: dict[tuple[int, str, Bucket, Bucket, str], int] = {}
    for move in moves:
        key = (move.file_id, move.measure, move.from_bucket, move.to_bucket, move.reason)
        sums[key] = sums.get(key, 0) + move.quantity
    return [Move(*key, quantity) for key, quantity in sorted(sums.items())]


_INSERT = text(
    "INSERT INTO suspense (file_id, record_no, part_no, reason, work_group, byte_offset, line_no,"
    " seconds, octets, detail) VALUES (:file_id, :record_no, :part_no, :reason, :work_group,"
    " :byte_offset, :line_no, :seconds, :octets, :detail) ON CONFLICT DO NOTHING"
)
