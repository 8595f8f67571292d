"""Taking back a usage file: its usage is withdrawn, and the next rating run un-charges it.

Any file that waits as a whole is given up the same way: whoever looked says that it is not needed.

Nothing is deleted. The records of the file move to filtered, with the reason FILE_REVERSED, and a
corrected file may take its name, its place in the sequence and its records.
"""

from dataclasses import dataclass

import pyarrow.compute as pc
from sqlalchemy import ColumnElement, insert, or_, select
from sqlalchemy.orm import Session

from ledger.errors import Conflict, DoesNotTie, Invalid
from ledger.vault import Vault
from mediation.models import (
    FileReversal,
    FileUsage,
    HeldPart,
    HeldRelease,
    SourceFile,
    Suspense,
    SuspenseRelease,
)
from mediation.outcomes import Bucket
from mediation.service import registration
from mediation.service.control import Move, control_totals, post_moves
from mediation.service.suspense import Waiting, moves_out, record_releases, summed
from mediation.service.tracing import find_file
from mediation.usage_files import read_parquet

REVERSED = "FILE_REVERSED"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What taking back a file withdraws."""

    file_id: int
    name: str
    periods: tuple[str, ...]  # the months to be rated once more
    events: int  # accepted usage
    seconds: int
    octets: int
    suspended: int  # that wait no longer
    waited: bool = False  # as a whole: nothing of it was used, and it is given up


def reverse_file(
    session: Session, store: Vault, name_or_id: str, author: str, because: str, *,
    dry_run: bool = False,
) -> Withdrawn:  # fmt: skip
    """Take back a usage file, or give up a file that waits; a second time it is refused.

    Parameters
    ----------
    name_or_id : a registered file.
    author, because : who asks for it and why; kept with the reversal.
    dry_run : say what would be withdrawn, and record nothing.

    Raises
    ------
    Invalid : nobody signs for it.
    NotFound : no such file.
    Conflict : it is taken back already, holds no usage, or other files stand on it; or several
        files have this name.
    DoesNotTie : its control account would not tie any more; nothing may be committed.
    """
    if not author.strip() or not because.strip():
        raise Invalid("Taking back a file changes what is billed: give an author and a reason.")
    registration.lock_feed(session)
    file = _find(session, name_or_id)
    _check(session, store, file)
    waiting = _waiting(session, file.file_id)
    usage = session.execute(
        select(FileUsage).where(FileUsage.file_id == file.file_id).order_by(FileUsage.period)
    ).scalars().all()  # fmt: skip
    whole = file.state == "suspended"
    withdrawn = Withdrawn(
        file_id=file.file_id,
        name=file.name,
        periods=tuple(dict.fromkeys(one.period for one in usage)),
        events=sum(one.row_count for one in usage),
        seconds=sum(one.seconds for one in usage),
        octets=sum(one.octets for one in usage),
        suspended=file.record_count if whole else len({one.record_no for one in waiting}),
        waited=whole,
    )
    if not dry_run:
        _record(session, file.file_id, waiting, author, because, whole=whole)
    return withdrawn


def _find(session: Session, name_or_id: str) -> SourceFile:
    """Find the file that is meant; where several of a name could be, it takes the number."""
    found = session.scalars(
        select(SourceFile)
        .where(SourceFile.name == name_or_id)
        .where(SourceFile.file_id.not_in(select(FileReversal.file_id)))
        .order_by(SourceFile.file_id)
    ).all()
    if len(found) > 1:
        told = ", ".join(f"{one.file_id} ({one.state})" for one in found)
        raise Conflict(
            f"{len(found)} files are called {name_or_id}: {told}. Say which by its number.",
            file_ids=[one.file_id for one in found],
        )
    return found[0] if found else find_file(session, name_or_id)


def _check(session: Session, store: Vault, file: SourceFile) -> None:
    """Refuse what cannot be taken back by itself."""
    file_id, why = file.file_id, ""
    if session.get(FileReversal, file_id) is not None:
        why = "it is taken back already"
    elif file.state == "suspended":
        return  # Nothing of it is used, so nothing stands on it.
    elif file.state != "accepted" or file.outcome_sha256 is None:
        why = "only a usage file that is in use, or one that waits as a whole, can be"
    elif session.scalar(select(_chained(file_id))):
        why = "it shares a chain of partial records with another file. Correct its records instead"
    elif copies := _copies(session, store, file):
        why = (
            f"{copies} hold copies of its records, which were set aside for it. Take in what is "
            "missing as a corrected file instead"
        )
    if why:
        raise Conflict(f"{file.name} cannot be taken back: {why}.", file_id=file_id)


def _chained(file_id: int) -> ColumnElement[bool]:
    """Say whether parts of the file wait for others, ended others, or lie in events of others."""
    parts = select(HeldPart.held_part_id).where(HeldPart.file_id == file_id)
    ended = or_(
        HeldRelease.by_file_id == file_id, HeldRelease.into_file_id == file_id,
        HeldRelease.held_part_id.in_(parts),
    )  # fmt: skip
    joined = (
        select(SuspenseRelease.suspense_id)
        .join(Suspense, Suspense.suspense_id == SuspenseRelease.suspense_id)
        .where(or_(SuspenseRelease.into_file_id == file_id, Suspense.file_id == file_id))
        .where(SuspenseRelease.into_file_id != Suspense.file_id)
    )
    by_others = select(HeldRelease.held_part_id).where(ended)
    return or_(parts.exists(), by_others.exists(), joined.exists())


def _copies(session: Session, store: Vault, file: SourceFile) -> str:
    """Name the later files of the same days in which records were found to be copies of these."""
    later = session.execute(
        select(SourceFile)
        .where(SourceFile.file_id > file.file_id, SourceFile.outcome_sha256.is_not(None))
        .where(SourceFile.first_day <= file.last_day, SourceFile.last_day >= file.first_day)
        .where(SourceFile.file_id.not_in(select(FileReversal.file_id)))
        .order_by(SourceFile.file_id)
    ).scalars()
    found = []
    for other in later:
        table = read_parquet(store.open(str(other.outcome_sha256)), ["bucket", "of_file"])
        meant = pc.and_(
            pc.equal(table["bucket"], Bucket.DUPLICATE.label),
            pc.equal(table["of_file"], file.file_id),
        )
        if pc.any(meant).as_py():
            found.append(other.name)
    return ", ".join(found)


def _waiting(session: Session, file_id: int) -> list[Waiting]:
    rows = session.execute(
        select(Suspense)
        .where(Suspense.file_id == file_id)
        .where(Suspense.suspense_id.not_in(select(SuspenseRelease.suspense_id)))
        .order_by(Suspense.record_no, Suspense.part_no)
    ).scalars()
    return [Waiting(**{name: getattr(row, name) for name in Waiting.__slots__}) for row in rows]


def _record(
    session: Session, file_id: int, waiting: list[Waiting], author: str, because: str, *,
    whole: bool,
) -> None:  # fmt: skip
    """Record the reversal, end what waits, and move everything to filtered."""
    session.execute(insert(FileReversal), [{"file_id": file_id, "actor": author,
                                            "reason": because}])  # fmt: skip
    moves: list[Move] = []
    moved: set[int] = set()
    for one in waiting:
        moves += moves_out(one, Bucket.FILTERED, records=int(one.record_no not in moved))
        moved.add(one.record_no)
    record_releases(
        session,
        [{"suspense_id": one.suspense_id, "bucket": "filtered"} for one in waiting],
        REVERSED, author,
    )  # fmt: skip
    for total in control_totals(session, file_id):
        moves += [
            Move(file_id, total.measure, bucket, Bucket.FILTERED, REVERSED, quantity)
            for bucket, quantity in (
                (Bucket.ACCEPTED, total.accepted), (Bucket.MERGED, total.merged),
                (Bucket.SUSPENDED, total.suspended if whole else 0),
            )
        ]  # fmt: skip
    post_moves(session, summed(moves), f"reversal of file {file_id}")
    for total in control_totals(session, file_id):
        if not total.ties or total.accepted or total.merged or total.suspended:
            raise DoesNotTie(
                f"File {file_id} received {total.received} {total.measure}; taken back, "
                f"{total.accepted + total.merged} are still used and {total.suspended} still wait. "
                "Nothing was recorded.",
                file_id=file_id,
            )
