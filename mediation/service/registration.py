"""Registration: every file is known by its hash before anything of it is believed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from ledger import service as ledger
from mediation.models import FileAlarm, FileReversal, SourceFile


@dataclass(frozen=True, slots=True)
class Registration:
    """What is recorded of a file. States: accepted, suspended (as a whole), parked."""

    file_id: int
    source_system: str
    name: str
    sha256: str
    size: int
    format: str
    state: str
    reason: str | None = None
    detail: str | None = None
    node: str | None = None
    sequence: int | None = None
    declared_count: int | None = None
    record_count: int = 0
    first_day: int | None = None
    last_day: int | None = None
    used_from: date | None = None
    used_to: date | None = None
    keys_sha256: str | None = None
    outcome_sha256: str | None = None
    alarms: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class FileView:
    """A registered file as lists show it."""

    file_id: int
    name: str
    source_system: str
    format: str
    sha256: str
    size: int
    state: str
    reason: str | None
    detail: str | None
    sequence: int | None
    record_count: int
    registered_at: datetime
    alarms: tuple[tuple[str, str], ...]


def next_file_id(session: Session) -> int:
    """Take a number for a file that is about to be registered; numbers may be skipped."""
    return int(session.execute(text("SELECT nextval('source_file_file_id_seq')")).scalar_one())


def lock_feed(session: Session) -> None:
    """Let one file at a time through: copies and chains are judged against what came before."""
    ledger.take_turn(session, "mediation/feed")


def register(session: Session, made: Registration) -> None:
    """Record a file and its alarms."""
    row = {name: getattr(made, name) for name in Registration.__slots__ if name != "alarms"}
    session.execute(insert(SourceFile), [row])
    if made.alarms:
        session.execute(
            insert(FileAlarm),
            [{"file_id": made.file_id, "kind": k, "detail": d} for k, d in made.alarms],
        )


def find_by_hash(session: Session, sha256: str) -> SourceFile | None:
    """Find the file with these bytes."""
    return session.execute(
        select(SourceFile).where(SourceFile.sha256 == sha256)
    ).scalar_one_or_none()


def format_of_name(session: Session, name: str, stem: str | None) -> str | None:
    """Give the format of the last file in use of a name, or of those that a network element sent.

    Parameters
    ----------
    stem : what the names of that element's files begin with; None where the name tells none.
    """
    found: str | None = session.execute(_FORMAT_OF_NAME, {"name": name, "stem": stem}).scalar()
    return found


def find_conflict(
    session: Session, name: str, node: str | None, sequence: int | None
) -> tuple[str, SourceFile] | None:
    """Find a file in use that claims the same name, or the same place in a node's sequence.

    A file that was set aside or taken back claims nothing: its better copy takes its place.
    """
    taken_back = select(FileReversal.file_id)
    in_use = (
        select(SourceFile)
        .where(SourceFile.state == "accepted", SourceFile.file_id.not_in(taken_back))
        .limit(1)
    )
    same_name = session.execute(in_use.where(SourceFile.name == name)).scalar_one_or_none()
    if same_name is not None:
        return "NAME_CONFLICT", same_name
    if node is None or sequence is None:
        return None
    same_place = session.execute(
        in_use.where(SourceFile.node == node, SourceFile.sequence == sequence)
    ).scalar_one_or_none()
    return ("SEQUENCE_CONFLICT", same_place) if same_place is not None else None


def sequence_gap(
    session: Session, node: str | None, sequence: int | None
) -> tuple[int, int] | None:
    """Give the numbers that a file shows to be missing, half-open; None where there is no gap.

    Only the highest and the lowest number so far show one. A file that comes in between lies in a
    gap that was told when it opened, and so does a second file in a place.
    """
    if node is None or sequence is None:
        return None
    before, after, known = session.execute(_NEIGHBOURS, {"node": node, "sequence": sequence}).one()
    if known or (before is None) == (after is None):
        return None
    gap = (int(before) + 1, sequence) if after is None else (sequence + 1, int(after))
    return gap if gap[0] < gap[1] else None


def gap_alarms(
    session: Session, node: str | None, sequence: int | None
) -> tuple[tuple[str, str], ...]:
    """Give the alarm about files that a new file shows to be missing, as kind and sentence."""
    gap = sequence_gap(session, node, sequence)
    if gap is None:
        return ()
    missing = f"{gap[0]}" if gap[1] - gap[0] == 1 else f"{gap[0]} to {gap[1] - 1}"
    return (("SEQUENCE_GAP", f"{node}: {missing} missing before {gap[1]}."),)


def files(session: Session, limit: int | None = None) -> Sequence[FileView]:
    """List registered files, newest last."""
    rows = session.execute(
        select(SourceFile).order_by(SourceFile.file_id.desc()).limit(limit)
    ).scalars()
    alarms: dict[int, list[tuple[str, str]]] = {}
    for alarm in session.execute(select(FileAlarm).order_by(FileAlarm.file_alarm_id)).scalars():
        alarms.setdefault(alarm.file_id, []).append((alarm.kind, alarm.detail))
    taken_back = {one.file_id: one for one in session.execute(select(FileReversal)).scalars()}
    return [
        FileView(
            file_id=row.file_id,
            name=row.name,
            source_system=row.source_system,
            format=row.format,
            sha256=row.sha256,
            size=row.size,
            state="reversed" if row.file_id in taken_back else row.state,
            reason="FILE_REVERSED" if row.file_id in taken_back else row.reason,
            detail=_why(taken_back.get(row.file_id)) or row.detail,
            sequence=row.sequence,
            record_count=row.record_count,
            registered_at=row.registered_at,
            alarms=tuple(alarms.get(row.file_id, ())),
        )
        for row in reversed(list(rows))
    ]


def _why(reversal: FileReversal | None) -> str | None:
    return None if reversal is None else f"Taken back by {reversal.actor}: {reversal.reason}"


_NEIGHBOURS = text(
    "SELECT max(sequence) FILTER (WHERE sequence < :sequence),"
    " min(sequence) FILTER (WHERE sequence > :sequence), bool_or(sequence = :sequence)"
    " FROM source_file WHERE node = :node"
)
_FORMAT_OF_NAME = text(
    "SELECT format FROM source_file WHERE state = 'accepted'"
    " AND (name = :name OR starts_with(name, :stem) AND format IN ('tgpp', 'msc'))"
    " ORDER BY name = :name DESC, file_id DESC LIMIT 1"
)
