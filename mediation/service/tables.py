"""Orders, lists and payments: registered like any other file, then read by their own room.

Their records are rows; their control account counts rows, and for payments also øre.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from ledger.errors import Problem
from mediation.formats import ROW_FILES, BrokenFile, EmptyFile, ocr_giro, orders_csv
from mediation.outcomes import Bucket
from mediation.service import orders, payments, registration
from mediation.service.arrival import Arrival
from mediation.service.control import Move, post_moves, verify_file
from mediation.service.registration import Registration
from mediation.service.suspense import Suspended, suspend

_ACTOR = "system:mediation"  # Nobody posts what a bank sends: the file does.


@dataclass(frozen=True, slots=True)
class _Head:
    """What a file of rows says about itself; a list that nobody numbers has no system."""

    rows: int
    system: str | None = None
    sequence: int | None = None


def ingest_orders(session: Session, arrival: Arrival) -> Registration:
    """Apply an order file; rows that cannot be applied wait in suspense, the others go on."""

    def read() -> _Head:
        file = orders_csv.read(arrival.raw, arrival.name)
        return _Head(len(file.rows) + len(file.faults), file.system, file.sequence)

    return _ingest_rows(session, arrival, "order_csv", read)


def ingest_list(session: Session, arrival: Arrival, format_name: str) -> Registration:
    """Register subscriptions, or put accounts under frame agreements, from a list."""

    def read() -> _Head:
        file = ROW_FILES[format_name](arrival.raw, arrival.name)
        return _Head(len(file.rows) + len(file.faults))

    return _ingest_rows(session, arrival, format_name, read)


def ingest_payments(session: Session, arrival: Arrival, book: str) -> Registration:
    """Book a payment file: whole or not at all, since its sums are one.

    Raises
    ------
    Problem : the books refuse it, for instance `PeriodClosed`; the caller takes everything back.
    """
    node, number = ocr_giro.place(arrival.raw)
    try:
        transmission = ocr_giro.read(arrival.raw, arrival.name)
    except _FAULTS as problem:
        made = _refused(arrival, "ocr_giro", problem)
        days = None
        if isinstance(problem, ocr_giro.ControlTotalsDiffer):  # All records can be read.
            days = ocr_giro.settled_days(arrival.raw, arrival.name)
        used_from, used_to = days or (None, None)
        made = replace(made, node=node, sequence=number, used_from=used_from, used_to=used_to)
        registration.register(session, made)
        return made
    paid = [payment for part in transmission.assignments for payment in part.payments]
    made = Registration(
        file_id=arrival.file_id, source_system="OCR", name=arrival.name, sha256=arrival.sha256,
        size=len(arrival.raw), format="ocr_giro", state="accepted", record_count=len(paid),
        declared_count=len(paid), node=node, sequence=number,
    )  # fmt: skip
    registration.register(session, made)
    outcome = payments.book_payments(session, arrival.file_id, transmission, book, _ACTOR)
    received = {"records": len(paid), "ore": sum(payment.amount_minor for payment in paid)}
    booked = {"records": outcome.booked, "ore": outcome.amount_minor}
    _move_all(session, arrival.file_id, booked, Bucket.ACCEPTED, "")
    repeated = {"records": outcome.repeated, "ore": outcome.repeated_minor}
    _move_all(session, arrival.file_id, repeated, Bucket.DUPLICATE, "EXACT")
    left = {name: received[name] - booked[name] - repeated[name] for name in received}
    _move_all(session, arrival.file_id, left, Bucket.SUSPENDED, "NOT_BOOKED")
    verify_file(session, arrival.file_id, received)
    return made


# What is wrong with the file itself. Any other problem is ours, and goes when we put it right.
_FAULTS = (BrokenFile, EmptyFile)


def _ingest_rows(
    session: Session, arrival: Arrival, format_name: str, read: Callable[[], _Head]
) -> Registration:
    """Register a file of rows and apply them; a fault of its frame sets the whole file aside."""
    made = Registration(
        file_id=arrival.file_id, source_system="orders", name=arrival.name, sha256=arrival.sha256,
        size=len(arrival.raw), format=format_name, state="accepted",
    )  # fmt: skip
    try:
        head = read()
    except _FAULTS as problem:
        made = _refused(arrival, format_name, problem)
        if format_name == "order_csv":
            system, sequence = orders_csv.place(arrival.raw)
            gaps = registration.gap_alarms(session, system, sequence)
            made = replace(made, node=system, sequence=sequence, alarms=gaps)
        registration.register(session, made)
        return made
    alarms = registration.gap_alarms(session, head.system, head.sequence)
    if head.system is None:  # Only a file of orders counts its rows.
        alarms += arrival.cut_alarms
    made = replace(
        made, record_count=head.rows, node=head.system, sequence=head.sequence, alarms=alarms
    )
    # The rows name their file, so the file is registered before them.
    registration.register(session, made)
    outcome = orders.run_rows(session, format_name, arrival.file_id, arrival.raw, arrival.name)
    received = {"records": outcome.rows}
    _move_all(session, arrival.file_id, {"records": outcome.applied}, Bucket.ACCEPTED, "")
    _move_all(session, arrival.file_id, {"records": outcome.already}, Bucket.DUPLICATE, "EXACT")
    for line_no, reason, detail in outcome.suspended:
        _move_all(session, arrival.file_id, {"records": 1}, Bucket.SUSPENDED, reason)
        suspend(
            session,
            [Suspended(arrival.file_id, line_no, reason, detail, line_no=line_no)],
        )
    verify_file(session, arrival.file_id, received)
    return made


def _move_all(
    session: Session, file_id: int, received: dict[str, int], bucket: Bucket, reason: str
) -> None:
    post_moves(
        session,
        [
            Move(file_id, measure, Bucket.RECEIVED, bucket, reason, quantity)
            for measure, quantity in received.items()
        ],
        f"file {file_id}",
    )


def _refused(arrival: Arrival, format_name: str, problem: Problem) -> Registration:
    """Write down that a file waits as a whole, and why."""
    return Registration(
        file_id=arrival.file_id, source_system=arrival.source_system, name=arrival.name,
        sha256=arrival.sha256, size=len(arrival.raw), format=format_name, state="suspended",
        reason=problem.code().replace("-", "_").upper(), detail=str(problem),
    )  # fmt: skip
