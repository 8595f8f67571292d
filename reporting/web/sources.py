"""What the desk and the reports' API show of the rooms below: customers, files and suspense.

The only place of the web that reads the shapes of party and mediation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session

from ledger.errors import NotFound
from ledger.vault import vault
from mediation import service as mediation
from mediation.service import RowOutcome
from mediation.service.control import ControlTotal
from mediation.service.registration import FileView
from mediation.service.suspense import SuspenseView
from party import service as party
from party.service import CustomerFacts, CustomerRow
from reporting.web.dates import OSLO

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class MeasureTotals:
    """The control account of a file in one measure: received, and what became of it."""

    measure: str  # records, seconds, octets or øre.
    received: int
    accepted: int = 0
    filtered: int = 0
    duplicate: int = 0
    suspended: int = 0
    held: int = 0
    merged: int = 0

    @property
    def money(self) -> bool:
        """Tell whether the measure is money, counted in øre."""
        return self.measure in {"ore", "øre"}

    @property
    def difference(self) -> int:
        """Received less all that became of it; zero when the account ties."""
        became = (self.accepted, self.filtered, self.duplicate, self.suspended, self.held)
        return self.received - sum(became) - self.merged


@dataclass(frozen=True, slots=True)
class FeedFile:
    """A file received, with its control account per measure."""

    file_id: int
    name: str
    source_system: str
    state: str
    reason: str | None
    size: int  # [octets]
    sha256: str
    registered_at: datetime
    totals: tuple[MeasureTotals, ...]
    alarms: tuple[tuple[str, str], ...] = ()  # What to look at: its kind, and in words.
    detail: str | None = None  # The reason in words.
    waits: bool = False  # As a whole: nothing of it is used until somebody sees to it.

    @property
    def ties(self) -> bool:
        """Tell whether every measure's sums are equal."""
        return not any(row.difference for row in self.totals)

    @property
    def wants_a_look(self) -> bool:
        """Tell whether somebody has to see to the file: all of it is not simply in order."""
        return not self.ties or self.waits or self.state == "parked" or bool(self.alarms)

    @property
    def records(self) -> MeasureTotals:
        """Give the totals in records; all zero where the file has none."""
        found = (row for row in self.totals if row.measure == "records")
        return next(found, MeasureTotals("records", 0))


@dataclass(frozen=True, slots=True)
class SuspendedRecord:
    """A record that could not go on, and where it lies."""

    file_id: int
    file_name: str
    record_no: int
    place: int | None  # Offset in octets, or line, by the kind of file.
    reason: str
    detail: str | None
    traceable: bool = False  # It lies at an offset of a file that was read record by record.


@dataclass(frozen=True, slots=True)
class SuspenseReason:
    """How much is suspended for one reason."""

    reason: str
    records: int
    seconds: int
    octets: int


def search_customers(session: Session, wanted: str, limit: int) -> list[CustomerRow]:
    """Find customers by name, customer number, billing account or phone number."""
    return party.search_customers(session, wanted, limit)


def customer(session: Session, party_id: int) -> CustomerFacts:
    """Give one customer. Raises `CustomerNotFound`."""
    return party.customer(session, party_id)


def subscription_labels(session: Session, ids: set[int], on: date) -> dict[int, str]:
    """Give the number that each subscription had at the end of a day, as the invoice prints it."""
    midnight = datetime.combine(on + timedelta(days=1), time.min, OSLO)
    return party.subscription_labels(session, ids, int(midnight.timestamp()) - 1)


def files(session: Session) -> list[FeedFile]:
    """List the files registered, newest first."""
    totals: dict[int, list[MeasureTotals]] = {}
    for row in mediation.control_totals(session):
        totals.setdefault(row.file_id, []).append(_totals(row))
    waiting = _waiting(session)
    found = (_file(one, totals.get(one.file_id, []), waiting) for one in mediation.files(session))
    return list(found)[::-1]


def _waiting(session: Session) -> set[int]:
    """Give the files that wait as a whole, of whatever kind and whatever days."""
    return {
        one.file_id
        for kind in ("usage", "orders", "payments")
        for one in mediation.files_of_days(session, kind, date.min, date.max)
    }


def file(session: Session, file_id: int) -> FeedFile:
    """Give one file. Raises `NotFound`."""
    for one in mediation.files(session):
        if one.file_id == file_id:
            totals = [_totals(row) for row in mediation.control_totals(session, file_id)]
            return _file(one, totals, _waiting(session))
    raise NotFound(f"There is no file {file_id}. The list of feeds has the numbers.")


def suspended(
    session: Session, *, file_id: int | None = None, reason: str | None = None, limit: int
) -> list[SuspendedRecord]:
    """List suspended records, oldest first: all, of a file, or of a reason."""
    found: list[SuspendedRecord] = []
    after = 0
    while page := mediation.suspense(session, file_id, limit=_PAGE, after=after):
        found += [_suspended(one) for one in page if reason in {None, one.reason}]
        after = page[-1].suspense_id
        if len(found) >= limit:
            break
    return found[:limit]


def suspense_by_reason(session: Session) -> list[SuspenseReason]:
    """Sum what is suspended by reason, most records first."""
    sums = [SuspenseReason(*row) for row in mediation.suspense_by_reason(session)]
    return sorted(sums, key=lambda row: -row.records)


def rerun_rows(session: Session, author: str, because: str, *, dry_run: bool) -> list[RowOutcome]:
    """Run suspended rows of orders and lists again. Raises `Invalid`."""
    return mediation.rerun_rows(session, vault(), author, because, dry_run=dry_run)


def correct_row(
    session: Session, file: str, line_no: int, values: Mapping[str, str], author: str, because: str
) -> RowOutcome:
    """Correct a suspended row and run it again.

    Raises `CorrectionRefused`, `RowNotWaiting`, `NotFound`, `Invalid`.
    """
    return mediation.correct_row(session, vault(), file, line_no, values, author, because)


def give_up_row(session: Session, file: str, line_no: int, author: str, because: str) -> RowOutcome:
    """End the waiting of a suspended row. Raises `RowNotWaiting`, `NotFound`, `Invalid`."""
    return mediation.give_up_row(session, file, line_no, author, because)


def _file(one: FileView, totals: list[MeasureTotals], waiting: set[int]) -> FeedFile:
    return FeedFile(
        file_id=one.file_id,
        name=one.name,
        source_system=one.source_system,
        state=one.state,
        reason=one.reason,
        size=one.size,
        sha256=one.sha256,
        registered_at=one.registered_at,
        totals=tuple(totals),
        alarms=one.alarms,
        detail=one.detail,
        waits=one.file_id in waiting,
    )


def _totals(row: ControlTotal) -> MeasureTotals:
    return MeasureTotals(**{name: getattr(row, name) for name in MeasureTotals.__slots__})


def _suspended(one: SuspenseView) -> SuspendedRecord:
    place = one.byte_offset if one.byte_offset is not None else one.line_no
    return SuspendedRecord(
        one.file_id,
        one.file_name,
        one.record_no,
        place,
        one.reason,
        one.detail or None,
        one.byte_offset is not None,
    )
