"""Recycling suspense: records whose subscriber was not known are tried again, exactly once.

The raw files are read again from the vault, so nothing of a suspended record has to be kept twice.
What is found becomes usage of its own file, in a further object; the next rating run prices it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ledger.errors import DoesNotTie, Invalid
from ledger.vault import Vault
from mediation import formats
from mediation.formats import HEAD_OCTETS, payload_digests
from mediation.kept import kept_rows
from mediation.models import FileUsage, SourceFile
from mediation.policy import policy_on
from mediation.records import Columns
from mediation.recycling import REASONS, Found, join, recycle
from mediation.service import registration
from mediation.service.control import control_totals, post_moves
from mediation.service.suspense import (
    Waiting,
    moves_out,
    record_releases,
    summed,
    waiting_for,
)
from mediation.service.taking import business_day, store_usage
from mediation.sorting import keys_of
from party import service as party
from party.agreements import Agreements


@dataclass(frozen=True, slots=True)
class RecyclingOutcome:
    """What a round came to, in records; tried = accepted + merged + those that still wait."""

    tried: int
    accepted: int
    merged: int

    @property
    def waiting(self) -> int:
        """How many records stay suspended."""
        return self.tried - self.accepted - self.merged


def recycle_suspense(
    session: Session, store: Vault, author: str, because: str, *, dry_run: bool = False
) -> RecyclingOutcome:
    """Try records again that had no subscriber, offering or payer; a second round finds it done.

    Parameters
    ----------
    author, because : who asks for it and why; kept with every release.
    dry_run : say what would happen, and record nothing.

    Raises
    ------
    Invalid : nobody signs for it.
    DoesNotTie : a file's control account would not tie any more; nothing may be committed.
    """
    if not author.strip() or not because.strip():
        raise Invalid("Recycling changes what is billed: give an author and a reason.")
    registration.lock_feed(session)
    waiting = waiting_for(session, REASONS)
    agreements = party.load_agreements(session)
    rows = join(_suspended_rows(session, store, waiting))
    done = recycle(rows, agreements, policy_on(business_day(rows["started_at"])))
    merged = sum(one.into_file_id is not None for one in done.found)
    outcome = RecyclingOutcome(len(waiting), len(done.found) - merged, merged)
    if done.found and not dry_run:
        _record(session, waiting, done.found, because, author)
        _add_usage(session, store, done.usage, agreements)
        _check(session, {one.file_id for one in done.found})
    return outcome


def _suspended_rows(session: Session, store: Vault, waiting: Sequence[Waiting]) -> list[Columns]:
    """Decode the files again and keep the rows of what waits."""
    wanted: dict[int, list[int]] = {}
    for one in waiting:
        wanted.setdefault(one.file_id, []).append(one.record_no)
    files = session.execute(
        select(SourceFile)
        .where(SourceFile.file_id.in_(wanted), SourceFile.outcome_sha256.is_not(None))
        .order_by(SourceFile.file_id)
    ).scalars()
    return [_rows_of(store, file, wanted[file.file_id]) for file in files]


def _rows_of(store: Vault, file: SourceFile, record_nos: list[int]) -> Columns:
    raw = store.get(file.sha256)
    decoded = formats.decode(raw, formats.recognise(file.name, raw[:HEAD_OCTETS], len(raw)))
    columns = decoded.columns
    first = columns["part_no"] == 1
    digests = payload_digests(raw, columns["offset"][first], columns["length"][first])
    policy = policy_on(business_day(columns["started_at"]))
    rows = kept_rows(decoded, keys_of(decoded, digests), file.file_id, policy)
    mine = np.isin(rows["record_no"], record_nos)
    return {name: column[mine] for name, column in rows.items()}


def _record(
    session: Session, waiting: Sequence[Waiting], found: Sequence[Found], because: str, author: str
) -> None:
    """Release what was found and move it in the control accounts."""
    by_place = {(one.file_id, one.record_no): one for one in waiting}
    releases: list[dict[str, object]] = []
    moves = []
    for one in found:
        suspended = by_place[one.file_id, one.record_no]
        releases.append(
            {
                "suspense_id": suspended.suspense_id,
                "bucket": one.bucket.label,
                "into_file_id": one.into_file_id,
                "into_record_no": one.into_record_no,
            }
        )
        moves += moves_out(suspended, one.bucket)
    record_releases(session, releases, because, author)
    post_moves(session, summed(moves), "recycling")


def _add_usage(session: Session, store: Vault, usage: Columns, agreements: Agreements) -> None:
    """Keep the usage as further objects of the files it lies in."""
    for file_id in np.unique(usage["file_id"]).tolist():
        mine = {name: column[usage["file_id"] == file_id] for name, column in usage.items()}
        session.execute(insert(FileUsage), store_usage(store, file_id, mine, agreements))


def _check(session: Session, file_ids: set[int]) -> None:
    for total in control_totals(session):
        if total.file_id in file_ids and not total.ties:
            raise DoesNotTie(
                f"File {total.file_id} received {total.received} {total.measure}, its outcomes sum "
                f"to {total.ends} after recycling. Nothing was recorded.",
                file_id=total.file_id,
            )
