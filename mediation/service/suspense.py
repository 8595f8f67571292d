"""Suspense: records that need somebody. Nothing in it is lost, and nothing in it is billed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from mediation.models import SuspenseRelease
from mediation.outcomes import GROUPS, Bucket
from mediation.service.control import Move, post_moves
from mediation.service.waiting_files import KINDS

Place = tuple[int, int, int]  # file, record, part


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
    turn: int = 1
    used_on: date | None = None  # None: the time of use cannot be read or trusted


@dataclass(frozen=True, slots=True)
class MonthsSuspense:
    """What is suspended for a reason of the use of some days, `undated` of it of any day."""

    reason: str
    records: int
    undated: int
    seconds: int
    octets: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record, or a part of one, that waits in suspense."""

    suspense_id: int
    file_id: int
    record_no: int
    part_no: int
    reason: str
    seconds: int
    octets: int


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
    waiting, turns = set(unpriced_places(session)), _turns(session)
    fresh = [
        replace(one, turn=turns.get(place, 0) + 1)
        for one in found
        if (place := (one.file_id, one.record_no, one.part_no)) not in waiting
    ]
    suspend(session, fresh)
    moved_records = {(file_id, record_no) for file_id, record_no, _ in waiting}
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
    post_moves(session, summed(moves), cause)
    return len(fresh)


def release_priced(session: Session, priced: set[Place], cause: str, actor: str) -> int:
    """Release usage that has a price now; its seconds and octets move back to accepted.

    The record itself moves back with the last of its rows. Gives how many rows were released.
    """
    waiting = unpriced_places(session)
    released = sorted(priced & waiting.keys())
    left = {place[:2] for place in waiting.keys() - set(released)}
    moves: list[Move] = []
    for place in released:
        one = waiting[place]
        moves += moves_out(one, Bucket.ACCEPTED, records=int(place[:2] not in left))
        left.add(place[:2])
    record_releases(
        session,
        [{"suspense_id": waiting[place].suspense_id, "bucket": "accepted"} for place in released],
        cause,
        actor,
    )
    post_moves(session, summed(moves), cause)
    return len(released)


def unpriced_places(session: Session) -> dict[Place, Waiting]:
    """Give the usage rows that wait for a price, by file, record and part."""
    return {
        (one.file_id, one.record_no, one.part_no): one for one in waiting_for(session, ("NO_RATE",))
    }


def waiting_for(session: Session, reasons: Sequence[str]) -> list[Waiting]:
    """List what waits for some reasons, in order of file, record and part."""
    rows = session.execute(_WAITING, {"reasons": list(reasons)}).mappings()
    return [Waiting(**row) for row in rows]


def moves_out(one: Waiting, bucket: Bucket, records: int = 1) -> list[Move]:
    """Move a suspended record out of suspense, with all it used."""
    return [
        Move(one.file_id, measure, Bucket.SUSPENDED, bucket, one.reason, quantity)
        for measure, quantity in (
            ("records", records), ("seconds", one.seconds), ("octets", one.octets),
        )
    ]  # fmt: skip


def record_releases(
    session: Session, rows: Sequence[dict[str, object]], cause: str, actor: str
) -> None:
    """Record that suspensions ended; the database refuses a second end."""
    if rows:
        ends = {"into_file_id": None, "into_record_no": None, "cause": cause, "actor": actor}
        session.execute(insert(SuspenseRelease), [{**ends, **row} for row in rows])


def _turns(session: Session) -> dict[Place, int]:
    """Count how often usage rows were suspended by rating."""
    rows = session.execute(
        text(
            "SELECT file_id, record_no, part_no, max(turn) FROM suspense"
            " WHERE part_no > 0 GROUP BY 1, 2, 3"
        )
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def suspense(
    session: Session, file_id: int | None = None, limit: int = 200, after: int = 0
) -> list[SuspenseView]:
    """List what is suspended now, oldest first, after the id of the last one seen."""
    rows = session.execute(
        text(
            "SELECT s.*, f.name AS file_name FROM suspense s JOIN source_file f USING (file_id)"
            " WHERE (CAST(:file_id AS bigint) IS NULL OR s.file_id = :file_id)"
            f" AND s.suspense_id > :after AND {_OPEN} ORDER BY s.suspense_id LIMIT :limit"
        ),
        {"file_id": file_id, "after": after, "limit": limit},
    ).mappings()
    return [SuspenseView(**{name: row[name] for name in SuspenseView.__slots__}) for row in rows]


def suspense_by_reason(session: Session) -> list[tuple[str, int, int, int]]:
    """Sum what is suspended now: reason, records, seconds, octets."""
    return [
        (str(reason), int(records), int(seconds), int(octets))
        for reason, records, seconds, octets in session.execute(
            text(
                "SELECT reason, count(DISTINCT (file_id, record_no)), sum(seconds), sum(octets)"
                f" FROM suspense s WHERE {_OPEN} GROUP BY reason ORDER BY reason"
            )
        )
    ]


def suspense_of_days(
    session: Session, kind: str, first_day: date, last_day: date
) -> list[MonthsSuspense]:
    """Sum what is suspended now of some days, both included, by reason.

    What may be of any day is of these too: nobody can say that it is not. `kind` is one of `KINDS`;
    records of usage are of their day, rows of orders and lists of any.
    """
    formats, among = KINDS[kind]
    rows = session.execute(
        text(
            "SELECT s.reason, count(DISTINCT (file_id, record_no)),"
            " count(DISTINCT (file_id, record_no)) FILTER (WHERE used_on IS NULL),"
            " sum(seconds)::bigint, sum(octets)::bigint FROM suspense s"
            " JOIN source_file f USING (file_id)"
            " WHERE (f.format = ANY (:formats)) = :among"
            " AND coalesce(used_on BETWEEN :first AND :last, true)"
            f" AND {_OPEN} GROUP BY s.reason ORDER BY s.reason"
        ),
        {"first": first_day, "last": last_day, "formats": list(formats), "among": among},
    )
    return [MonthsSuspense(*row) for row in rows]


def summed(moves: Iterable[Move]) -> list[Move]:
    """Sum moves of the same kind into one each."""
    sums: dict[tuple[int, str, Bucket, Bucket, str], int] = {}
    for move in moves:
        key = (move.file_id, move.measure, move.from_bucket, move.to_bucket, move.reason)
        sums[key] = sums.get(key, 0) + move.quantity
    return [Move(*key, quantity) for key, quantity in sorted(sums.items())]


_OPEN = "NOT EXISTS (SELECT FROM suspense_release r WHERE r.suspense_id = s.suspense_id)"
_WAITING = text(
    "SELECT suspense_id, file_id, record_no, part_no, reason, seconds, octets FROM suspense s"
    f" WHERE reason = ANY(:reasons) AND {_OPEN} ORDER BY file_id, record_no, part_no"
)
_INSERT = text(
    "INSERT INTO suspense (file_id, record_no, part_no, reason, work_group, byte_offset, line_no,"
    " seconds, octets, detail, turn, used_on) VALUES (:file_id, :record_no, :part_no, :reason,"
    " :work_group, :byte_offset, :line_no, :seconds, :octets, :detail, :turn, :used_on)"
    " ON CONFLICT DO NOTHING"
)
