"""Tracing: from a record of a file to its bytes, its outcome and the usage it became."""

from dataclasses import dataclass

import pyarrow.compute as pc
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.errors import NotFound
from ledger.vault import Vault
from mediation.models import (
    FileReversal,
    FileUsage,
    HeldPart,
    HeldRelease,
    SourceFile,
    SuspenseRelease,
)
from mediation.models import Suspense as SuspenseRow
from mediation.usage_files import read_parquet


@dataclass(frozen=True, slots=True)
class RecordLocation:
    """A record: where it lies, what it says, what became of it."""

    file_id: int
    file_name: str
    file_sha256: str
    record_no: int
    offset: int
    length: int
    octets_hex: str
    bucket: str
    reason: str
    of_file: int | None  # the first copy, or the first part of its chain
    of_record: int | None
    usage: tuple[dict[str, object], ...]  # rows of the event that carries this record's place


def find_file(session: Session, name_or_id: str) -> SourceFile:
    """Find a registered file by number or name; raises `NotFound`."""
    wanted = SourceFile.name == name_or_id
    if name_or_id.isdigit():
        wanted = or_(wanted, SourceFile.file_id == int(name_or_id))
    found = session.execute(
        select(SourceFile).where(wanted).order_by(SourceFile.file_id).limit(1)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound(f"No file {name_or_id} is registered; see hovedbok mediation files.")
    return found


def record_location(session: Session, store: Vault, file_id: int, record_no: int) -> RecordLocation:
    """Find a record of a usage file.

    Raises
    ------
    NotFound : the file was not sorted record by record, or has no such record.
    """
    file = session.get(SourceFile, file_id)
    if file is None or file.outcome_sha256 is None:
        raise NotFound(f"File {file_id} was not read record by record; see its state.")
    table = read_parquet(store.open(file.outcome_sha256))
    rows = table.filter(pc.equal(table["record_no"], record_no)).to_pylist()
    if not rows:
        return _unreadable(session, store, file, record_no)
    row = rows[0]
    bucket, reason, of_file, of_record = _after_waiting(session, file_id, record_no, row)
    raw = store.get(file.sha256)[row["offset"] : row["offset"] + row["length"]]
    place = (of_file, of_record) if bucket == "merged" else (file_id, record_no)
    return RecordLocation(
        file_id=file_id, file_name=file.name, file_sha256=file.sha256, record_no=record_no,
        offset=row["offset"], length=row["length"], octets_hex=raw.hex(), bucket=bucket,
        reason=reason, of_file=of_file, of_record=of_record,
        usage=usage_of(session, store, *place),
    )  # fmt: skip


def usage_of(
    session: Session, store: Vault, file_id: int | None, record_no: int | None
) -> tuple[dict[str, object], ...]:
    """Give the usage rows that carry a record's place; a chain's lie in the file that ended it."""
    if file_id is None or record_no is None:
        return ()
    ended = select(HeldRelease.by_file_id).where(
        HeldRelease.into_file_id == file_id, HeldRelease.into_record_no == record_no
    )
    names = session.execute(
        select(FileUsage.sha256).where(
            or_(FileUsage.file_id == file_id, FileUsage.file_id.in_(ended))
        )
    ).scalars()
    found: list[dict[str, object]] = []
    for name in names:
        table = read_parquet(store.open(name))
        mine = pc.and_(pc.equal(table["file_id"], file_id), pc.equal(table["record_no"], record_no))
        found += table.filter(mine).to_pylist()
    return tuple(found)


def _after_waiting(
    session: Session, file_id: int, record_no: int, row: dict[str, object]
) -> tuple[str, str, int | None, int | None]:
    """Say what a held part became when its chain was whole, and what suspense says of a record."""
    if session.get(FileReversal, file_id) is not None and row["bucket"] != "duplicate":
        return "filtered", "FILE_REVERSED", None, None
    suspensions = session.execute(
        select(SuspenseRow, SuspenseRelease)
        .join(SuspenseRelease, isouter=True)
        .where(SuspenseRow.file_id == file_id, SuspenseRow.record_no == record_no)
        .order_by(SuspenseRow.suspense_id)
    ).all()
    for suspended, ended in suspensions:
        if ended is None and suspended.part_no:  # Accepted, and then it had no price.
            return "suspended", suspended.reason, None, None
    for suspended, ended in suspensions:
        if ended is not None and not suspended.part_no:  # Recycled.
            why = "PARTIAL" if ended.bucket == "merged" else ""
            return ended.bucket, why, ended.into_file_id, ended.into_record_no
    release = session.execute(
        select(HeldRelease)
        .join(HeldPart, HeldPart.held_part_id == HeldRelease.held_part_id)
        .where(HeldPart.file_id == file_id, HeldPart.record_no == record_no)
    ).scalar_one_or_none()
    if release is not None:
        return release.bucket, release.reason, release.into_file_id, release.into_record_no
    of_file = row["of_file"] or None
    of_record = row["of_record"] or None
    return str(row["bucket"]), str(row["reason"]), of_file, of_record  # type: ignore[return-value]


def _unreadable(session: Session, store: Vault, file: SourceFile, record_no: int) -> RecordLocation:
    row = (
        session.execute(
            select(SuspenseRow).where(
                SuspenseRow.file_id == file.file_id, SuspenseRow.record_no == record_no
            )
        )
        .scalars()
        .first()
    )
    if row is None:
        raise NotFound(f"File {file.name} has no record {record_no}; it has {file.record_count}.")
    offset = row.byte_offset or 0
    raw = store.get(file.sha256)[offset : offset + 64]
    return RecordLocation(
        file_id=file.file_id, file_name=file.name, file_sha256=file.sha256, record_no=record_no,
        offset=offset, length=len(raw), octets_hex=raw.hex(), bucket="suspended",
        reason=row.reason, of_file=None, of_record=None, usage=(),
    )  # fmt: skip
