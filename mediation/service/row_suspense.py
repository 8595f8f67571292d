"""Suspended rows of orders and lists: corrected, run again, or given up, each exactly once.

The row is read again from the raw bytes; what somebody corrected is a fact beside it. A row that is
still refused waits on under the reason that it was suspended for, and what stands in its way now is
told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ledger.errors import Conflict, DoesNotTie, Invalid
from ledger.vault import Vault
from mediation.formats import ROW_FILES
from mediation.models import RowCorrection, SourceFile, Suspense, SuspenseRelease
from mediation.outcomes import Bucket
from mediation.service import registration
from mediation.service.control import control_totals, post_moves
from mediation.service.orders import run_rows
from mediation.service.suspense import Waiting, moves_out, record_releases, summed
from mediation.service.tracing import find_file

GIVEN_UP = "ROW_GIVEN_UP"


class RowNotWaiting(Conflict):
    """A row of a file does not wait in suspense, or waits no longer.

    Raise as: f"Line {line} of {name} does not wait. See what does: hovedbok mediation suspense.".
    """

    title = "Row does not wait"


class CorrectionRefused(Invalid):
    """A row cannot be read with what it was to be corrected to; nothing is recorded.

    Raise as: f"{name}, line {line}, column {column}: {why} Nothing was recorded; …".
    """

    title = "Correction cannot be read"


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of a suspended row: applied, already (in another file), suspended or given up."""

    file_id: int
    file_name: str
    line_no: int
    state: str
    reason: str = ""  # of one that is still suspended: why, now
    detail: str = ""


def rerun_rows(
    session: Session, store: Vault, author: str, because: str, *,
    file: str | None = None, dry_run: bool = False,
) -> list[RowOutcome]:  # fmt: skip
    """Run suspended rows again, as they stand or were corrected; a second round finds them done.

    Parameters
    ----------
    author, because : who asks for it and why; kept with every release.
    file : the number of a file, or a name; None for all files, in the order in which they came.
    dry_run : say what would happen, and record nothing.

    Raises
    ------
    Invalid : nobody signs for it.
    NotFound : no such file.
    DoesNotTie : a file's control account would not tie any more; nothing may be committed.
    """
    _check_signed(author, because)
    registration.lock_feed(session)
    found = _waiting_rows(session)
    if file is not None:
        find_file(session, file)
        found = [one for one in found if one.is_called(file)]
    with session.begin_nested() as tried:
        outcomes = [one for waiting in found for one in _run(session, store, waiting, author,
                                                             because)]  # fmt: skip
        if dry_run:
            tried.rollback()
    return outcomes


def correct_row(
    session: Session, store: Vault, file: str, line_no: int, values: Mapping[str, str],
    author: str, because: str, *, dry_run: bool = False,
) -> RowOutcome:  # fmt: skip
    """Correct cells of a suspended row, and run it again.

    Parameters
    ----------
    values : what the row should say, by the name of the column; the same again is kept once.
    author, because, dry_run : as of `rerun_rows`; kept with the correction too.

    Raises
    ------
    CorrectionRefused : the row cannot be read with it, or there is no such column.
    RowNotWaiting : the line is not a suspended row of the file.
    Invalid, NotFound, DoesNotTie : as `rerun_rows`.
    """
    _check_signed(author, because)
    if not values:
        raise Invalid("Say what to correct: the name of a column and its value.")
    registration.lock_feed(session)
    waiting, one = _row(session, file, line_no)
    said = [
        {"suspense_id": one.suspense_id, "column_name": column, "value": value,
         "actor": author, "reason": because}
        for column, value in values.items()
        if not _stands(session, one, column, (value, author, because))
    ]  # fmt: skip
    with session.begin_nested() as tried:
        if said:
            session.execute(insert(RowCorrection), said)
        (outcome,) = _run(session, store, _Rows(waiting.file, (one,)), author, because)
        if dry_run:
            tried.rollback()
    if outcome.reason == "BAD_ROW":
        raise CorrectionRefused(
            f"{outcome.file_name}: {outcome.detail} Nothing was recorded; correct every cell that "
            "cannot be read at once.",
            file=outcome.file_name, line=line_no,
        )  # fmt: skip
    return outcome


def give_up_row(
    session: Session, file: str, line_no: int, author: str, because: str, *, dry_run: bool = False
) -> RowOutcome:
    """End the waiting of a row that will never be applied, such as one that came again elsewhere.

    Raises `Invalid`, `NotFound`, `RowNotWaiting`, `DoesNotTie`, as `correct_row`.
    """
    _check_signed(author, because)
    registration.lock_feed(session)
    waiting, one = _row(session, file, line_no)
    if not dry_run:
        _release(session, waiting.file, {one: Bucket.FILTERED}, author, f"{GIVEN_UP}: {because}")
    return RowOutcome(waiting.file.file_id, waiting.file.name, line_no, "given up")


# What a row came to that stopped waiting, by the bucket it went to.
_BECAME = {
    Bucket.ACCEPTED.label: "applied",
    Bucket.DUPLICATE.label: "found to be applied already",
    Bucket.FILTERED.label: "given up",
}


@dataclass(frozen=True, slots=True)
class _Rows:
    """A file and those of its rows that wait."""

    file: SourceFile
    rows: tuple[Waiting, ...]

    def is_called(self, name_or_id: str) -> bool:
        """Tell whether a person who says so may mean this file."""
        return name_or_id in {self.file.name, str(self.file.file_id)}


def _check_signed(author: str, because: str) -> None:
    if not author.strip() or not because.strip():
        raise Invalid("Running a row again changes who is billed: give an author and a reason.")


def _waiting_rows(session: Session) -> list[_Rows]:
    """Give what waits by file, in order of file and line."""
    rows = session.execute(
        select(SourceFile, Suspense)
        .join(Suspense, Suspense.file_id == SourceFile.file_id)
        .where(SourceFile.format.in_(ROW_FILES))
        .where(Suspense.suspense_id.not_in(select(SuspenseRelease.suspense_id)))
        .order_by(SourceFile.file_id, Suspense.record_no)
    )
    found: dict[int, tuple[SourceFile, list[Waiting]]] = {}
    for file, row in rows:
        one = Waiting(**{name: getattr(row, name) for name in Waiting.__slots__})
        found.setdefault(file.file_id, (file, []))[1].append(one)
    return [_Rows(file, tuple(waiting)) for file, waiting in found.values()]


def _row(session: Session, name_or_id: str, line_no: int) -> tuple[_Rows, Waiting]:
    """Find the row that is meant; where it could be in several files, it takes the number."""
    found = [
        (waiting, one)
        for waiting in _waiting_rows(session) if waiting.is_called(name_or_id)
        for one in waiting.rows if one.record_no == line_no
    ]  # fmt: skip
    if len(found) > 1:
        ids = [waiting.file.file_id for waiting, _ in found]
        raise Conflict(
            f"Line {line_no} waits in {len(ids)} files called {name_or_id}: "
            f"{', '.join(map(str, ids))}. Say which by its number.",
            file_ids=ids,
        )
    if not found:
        file = find_file(session, name_or_id)
        raise RowNotWaiting(
            f"Line {line_no} of {file.name} does not wait{_ended(session, file.file_id, line_no)}. "
            "See what does: hovedbok mediation suspense.",
            file_id=file.file_id, line=line_no,
        )  # fmt: skip
    return found[0]


def _ended(session: Session, file_id: int, line_no: int) -> str:
    """Say how a row stopped waiting; nothing of one that never waited."""
    release = session.scalars(
        select(SuspenseRelease)
        .join(Suspense, Suspense.suspense_id == SuspenseRelease.suspense_id)
        .where(Suspense.file_id == file_id, Suspense.record_no == line_no)
        .order_by(SuspenseRelease.released_at.desc())
        .limit(1)
    ).one_or_none()
    if release is None:
        return ""
    became = _BECAME.get(release.bucket, release.bucket)
    because = release.cause.removeprefix(f"{GIVEN_UP}: ")
    return f" any more: {release.actor} had it {became} ({because})"


def _run(
    session: Session, store: Vault, waiting: _Rows, author: str, because: str
) -> list[RowOutcome]:
    """Run the rows of a file, and release those that need nobody any more."""
    file = waiting.file
    by_line = {one.record_no: one for one in waiting.rows}
    again = _corrections(session, waiting.rows)
    done = run_rows(session, file.format, file.file_id, store.get(file.sha256), file.name, again)
    ended = {by_line[line]: Bucket.ACCEPTED for line in done.applied_lines}
    ended |= {by_line[line]: Bucket.DUPLICATE for line in done.already_lines}
    _release(session, file, ended, author, because)
    outcomes = [RowOutcome(file.file_id, file.name, line, "applied") for line in done.applied_lines]
    outcomes += [
        RowOutcome(file.file_id, file.name, line, "already") for line in done.already_lines
    ]
    outcomes += [
        RowOutcome(file.file_id, file.name, line, "suspended", reason, detail)
        for line, reason, detail in done.suspended
    ]
    return sorted(outcomes, key=lambda one: one.line_no)


def _corrections(session: Session, rows: Sequence[Waiting]) -> dict[int, dict[str, str]]:
    """Give each row's corrections by line and column; the last of a column counts."""
    lines = {one.suspense_id: one.record_no for one in rows}
    again: dict[int, dict[str, str]] = {line: {} for line in lines.values()}
    said = session.scalars(
        select(RowCorrection)
        .where(RowCorrection.suspense_id.in_(lines))
        .order_by(RowCorrection.row_correction_id)
    )
    for one in said:
        again[lines[one.suspense_id]][one.column_name] = one.value
    return again


def _stands(session: Session, one: Waiting, column: str, said: tuple[str, str, str]) -> bool:
    """Tell whether this was the last word on a cell: value, author and reason, sent once more."""
    last = session.execute(
        select(RowCorrection.value, RowCorrection.actor, RowCorrection.reason)
        .where(RowCorrection.suspense_id == one.suspense_id, RowCorrection.column_name == column)
        .order_by(RowCorrection.row_correction_id.desc())
        .limit(1)
    ).one_or_none()
    return last is not None and tuple(last) == said


def _release(
    session: Session, file: SourceFile, ended: Mapping[Waiting, Bucket], author: str, cause: str
) -> None:
    """Record that rows wait no longer, and move them in the control account of their file."""
    record_releases(
        session,
        [{"suspense_id": one.suspense_id, "bucket": bucket.label} for one, bucket in ended.items()],
        cause, author,
    )  # fmt: skip
    moves = [move for one, bucket in ended.items() for move in moves_out(one, bucket)]
    post_moves(session, summed(moves), "rows run again")
    for total in control_totals(session, file.file_id):
        if not total.ties or total.suspended < 0:
            raise DoesNotTie(
                f"File {file.file_id} received {total.received} {total.measure}, its outcomes sum "
                f"to {total.ends} after its rows were run again. Nothing was recorded.",
                file_id=file.file_id,
            )
