"""Tariff versions: propose, judge and list them, and find those in force.

A version is a proposal until another person has approved it, bound to the hash of what was read;
only approved versions rate. The database keeps that too: migrations/sql/0018_catalogue.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger.errors import Conflict, Forbidden, Invalid, NotFound
from ledger.refusals import CommentMissing
from ledger.service.access import record_event
from rating.dated import day_number
from rating.models import TariffBookRow, TariffVerdict
from rating.service.checking import require_known
from rating.tariff import TariffBook, compile_tariff, parse_tariff
from rating.tariff_file import read_tariff
from rating.versions import InForce

APPROVED, REJECTED, PROPOSED = "approved", "rejected", "proposed"
# Who loads and approves where nobody has begun to work yet: the demo month and a first set-up.
_SET_UP, _SET_UP_APPROVAL = "system:set-up", "system:set-up-approval"

_VERSION_DIGITS = 9


class TariffNotFound(NotFound):
    """No approved tariff is in force on the day, several are and none is named, or no such version.

    What waits for approval is not in force.
    """

    title = "Tariff book not found"


class TariffVersionTaken(Conflict):
    """Another content was loaded under this name and version, or for this first day."""

    title = "Tariff version is taken"


class TariffChanged(Conflict):
    """The version has another content than the one that was read and judged.

    Raise as: f"{label} is not what you read: its hash is {hash}. Read it again.".
    """

    title = "Tariff is not what was read"


class TariffJudged(Conflict):
    """The version was approved or rejected before, and that is final."""

    title = "Tariff is judged"


class OwnTariff(Forbidden):
    """Whoever loaded a version does not judge it: another person has to look."""

    title = "Own tariff"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of loading a tariff file."""

    book: TariffBook
    new: bool


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """A version as lists show it. `valid_to` is when the next approved one takes over."""

    name: str
    version: int
    state: str  # proposed | approved | rejected
    valid_from: date
    valid_to: date | None  # None as well where it does not rate
    content_hash: str
    source: str
    loaded_by: str
    loaded_at: datetime
    judge: str | None = None
    comment: str = ""
    judged_at: datetime | None = None

    @property
    def label(self) -> str:
        """Name the version as people do: NORDLYS/1."""
        return f"{self.name}/{self.version}"

    @property
    def book(self) -> TariffBook:
        """Give the compiled content."""
        return _compiled(self.source, self.content_hash)


def propose_tariff(session: Session, source: bytes, *, actor: str) -> Loaded:
    """Keep a tariff file as an immutable version; the same content again is the same version.

    Raises
    ------
    TariffInvalid : the file breaks the format, or names a VAT code or a kind of revenue that no
        book knows.
    TariffVersionTaken : its name and version, or name and first day, belong to another content. A
        first day is free again when its version was rejected.
    """
    book = parse_tariff(source)
    tariff = book.tariff
    _wait_for_others(session)
    if session.scalar(select(TariffBookRow).filter_by(content_hash=book.content_hash)):
        return Loaded(book, new=False)
    require_known(session, source, tariff)
    for known in tariff_books(session, tariff.name):
        same_day = known.valid_from == tariff.valid_from and known.state != REJECTED
        if known.version == tariff.version or same_day:
            raise TariffVersionTaken(
                f"{known.label} valid from {known.valid_from} is loaded with other content. Give "
                "the changed tariff a new version and a first day of its own.",
                loaded_hash=known.content_hash,
                content_hash=book.content_hash,
            )
    session.add(
        TariffBookRow(
            name=tariff.name, version=tariff.version, valid_from=tariff.valid_from,
            content_hash=book.content_hash, source=source.decode("utf-8-sig"), loaded_by=actor,
        )
    )  # fmt: skip
    session.flush()
    record_event(session, actor, "tariff proposed", f"tariff/{book.label}", hash=book.content_hash)
    return Loaded(book, new=True)


def approve_tariff(
    session: Session, label: str, content_hash: str, *, judge: str, comment: str = ""
) -> TariffVersion:
    """Let a version rate from its first day on; approving again answers as the first time.

    Parameters
    ----------
    label : such as NORDLYS/2.
    content_hash : of what was read; its first 8 characters will do.

    Raises
    ------
    TariffNotFound, TariffChanged, TariffJudged.
    OwnTariff : the judge loaded it.
    """
    return _judge(session, label, content_hash, judge, APPROVED, comment)


def reject_tariff(
    session: Session, label: str, content_hash: str, *, judge: str, comment: str
) -> TariffVersion:
    """Turn a version down for good, with the reason; raises as `approve_tariff`.

    Raises `CommentMissing` where no reason is given.
    """
    if not comment.strip():
        raise CommentMissing(f"Say why {label} is rejected; its author has to know what to change.")
    return _judge(session, label, content_hash, judge, REJECTED, comment)


def load_tariff(session: Session, source: bytes) -> Loaded:
    """Propose a version and approve it at once, in the names of two systems.

    For the demo month and the first set-up of a home, before there is staff. Raises as
    `propose_tariff`.
    """
    loaded = propose_tariff(session, source, actor=_SET_UP)
    if loaded.new:
        approve_tariff(session, loaded.book.label, loaded.book.content_hash, judge=_SET_UP_APPROVAL)
    return loaded


def tariff_books(session: Session, name: str | None = None) -> list[TariffVersion]:
    """List the versions, by name, first day and version."""
    query = select(TariffBookRow, TariffVerdict).outerjoin(TariffVerdict)
    if name is not None:
        query = query.where(TariffBookRow.name == name)
    order = (TariffBookRow.name, TariffBookRow.valid_from, TariffBookRow.version)
    rows = session.execute(query.order_by(*order)).all()
    first_days = [
        (row.name, row.valid_from)
        for row, verdict in rows
        if verdict is not None and verdict.verdict == APPROVED
    ]
    return [_view(row, verdict, first_days) for row, verdict in rows]


def find_tariff(session: Session, label: str) -> TariffVersion:
    """Give a version by its label, such as NORDLYS/2; raises `TariffNotFound`."""
    name, _, version = label.rpartition("/")
    versions = tariff_books(session, name) or tariff_books(session)
    found = [one for one in versions if (one.name, str(one.version)) == (name, version)]
    if not found:
        known = ", ".join(one.label for one in versions) or "none; load one first"
        raise TariffNotFound(f"There is no tariff version {label}. Known: {known}.")
    return found[0]


def tariff_book(session: Session, on: date, name: str | None = None) -> TariffBook:
    """Give the book in force on a day: the last approved one whose first day has come.

    Parameters
    ----------
    name : which tariff; may be left out while only one sells to customers.

    Raises
    ------
    TariffNotFound : none is in force, or several names are and none was given.
    """
    found = tariff_versions(session, on, date.fromordinal(on.toordinal() + 1), name)
    return found[-1].book


def tariff_versions(
    session: Session, first: date, after: date, name: str | None = None
) -> list[InForce]:
    """Give the approved versions in force within some days [first, after), in order of the days.

    Days before the first version has come have none. Raises as `tariff_book` does.
    """
    versions = [one for one in tariff_books(session, name) if one.valid_from < after]
    ready = [one for one in versions if one.state == APPROVED]
    if name is None:
        # What partners ask of us is no price of a customer, also where nothing else is loaded.
        newest = {one.name: one for one in ready}
        ready = [one for one in ready if newest[one.name].book.tariff.sells == "retail"]
    names = sorted({one.name for one in ready if one.valid_from <= first})
    names = names or sorted({one.name for one in ready})
    if len(names) > 1:
        listed = ", ".join(names)
        raise TariffNotFound(f"Several tariffs are in force on {first}: {listed}; name one.")
    if not names:
        raise _not_found(first, name, versions)
    found = []
    for one in ready:
        begin, end = max(one.valid_from, first), min(one.valid_to or after, after)
        if one.name == names[0] and begin < end:
            found.append(InForce(one.book, day_number(begin), day_number(end)))
    return found


def tariff_book_by_hash(session: Session, content_hash: str) -> TariffBook:
    """Give the book that a rating run or a rated file names; raises `TariffNotFound`."""
    row = session.scalar(select(TariffBookRow).filter_by(content_hash=content_hash))
    if row is None:
        raise TariffNotFound(f"No tariff book has the content hash {content_hash}.")
    return _compiled(row.source, row.content_hash)


def tariff_book_labelled(session: Session, label: str) -> TariffBook:
    """Give a loaded book by NAME/VERSION; raises `Invalid`, `TariffNotFound`."""
    name, _, version = label.rpartition("/")
    if not name or not version.isdecimal() or len(version) > _VERSION_DIGITS:
        raise Invalid(f"{label!r} is no tariff book; write NAME/VERSION, as NORDLYS/2.")
    found = [one for one in tariff_books(session, name) if one.version == int(version)]
    if not found:
        raise TariffNotFound(
            f"No tariff book {label} is loaded; see hovedbok rating list, or load it with "
            "hovedbok rating load FILE."
        )
    if found[0].state != APPROVED:
        raise TariffNotFound(f"{label} is {found[0].state}, and only approved versions rate.")
    return found[0].book


def _wait_for_others(session: Session) -> None:
    """Let one load or judge at a time: the second waits for the first, then finds what it did."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('tariff_book'))"))


_SHORTEST_HASH = 8


def _judge(
    session: Session, label: str, read_hash: str, judge: str, verdict: str, comment: str
) -> TariffVersion:
    _wait_for_others(session)
    found = find_tariff(session, label)
    if len(read_hash) < _SHORTEST_HASH or not found.content_hash.startswith(read_hash):
        raise TariffChanged(
            f"{label} is not what you read: its hash is {found.content_hash}. Read it again and "
            "decide on that.",
            content_hash=found.content_hash,
        )
    if (found.state, found.judge) == (verdict, judge):
        return found
    if found.state != PROPOSED:
        raise TariffJudged(f"{label} was {found.state} by {found.judge}; that is final.")
    if found.loaded_by == judge:
        raise OwnTariff(f"{judge} loaded {label}. Another person has to judge it.")
    row = session.scalar(select(TariffBookRow).filter_by(content_hash=found.content_hash))
    assert row is not None, "the version was found just now"
    session.add(
        TariffVerdict(
            tariff_book_id=row.tariff_book_id, content_hash=found.content_hash, verdict=verdict,
            judge=judge, comment=comment,
        )
    )  # fmt: skip
    session.flush()
    record_event(
        session, judge, f"tariff {verdict}", f"tariff/{label}", hash=found.content_hash,
        **({"comment": comment} if comment else {}),
    )  # fmt: skip
    return find_tariff(session, label)


def _view(
    row: TariffBookRow, verdict: TariffVerdict | None, first_days: list[tuple[str, date]]
) -> TariffVersion:
    state = PROPOSED if verdict is None else verdict.verdict
    later = [day for name, day in first_days if name == row.name and day > row.valid_from]
    return TariffVersion(
        name=row.name, version=row.version, state=state, valid_from=row.valid_from,
        valid_to=min(later) if later and state == APPROVED else None,
        content_hash=row.content_hash, source=row.source, loaded_by=row.loaded_by,
        loaded_at=row.loaded_at,
        judge=None if verdict is None else verdict.judge,
        comment="" if verdict is None else verdict.comment,
        judged_at=None if verdict is None else verdict.judged_at,
    )  # fmt: skip


def _not_found(on: date, name: str | None, versions: list[TariffVersion]) -> TariffNotFound:
    waiting = [one.label for one in versions if one.state == PROPOSED]
    if waiting:
        return TariffNotFound(
            f"No approved tariff is valid on {on}; {', '.join(waiting)} waits for approval. "
            "Let another person approve it with hovedbok rating approve."
        )
    return TariffNotFound(
        f"No tariff book{f' {name}' if name else ''} is valid on {on}. "
        "Load one with hovedbok rating load FILE."
    )


@lru_cache(maxsize=8)
def _compiled(source: str, content_hash: str) -> TariffBook:
    book = compile_tariff(read_tariff(source.encode()))
    if book.content_hash != content_hash:
        raise Invalid(
            f"Tariff book {book.label} reads as {book.content_hash}, stored was {content_hash}."
        )
    return book
