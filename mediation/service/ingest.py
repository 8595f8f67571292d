"""Taking in a file: recognise, register, decide, record. One transaction per file.

Blobs go to the vault first, rows follow in the caller's transaction: a crash before the commit
leaves nothing but unreferenced blobs, and the same file is simply taken in again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from sqlalchemy.orm import Session

from ledger.errors import DoesNotTie, Problem
from ledger.vault import Vault
from mediation import formats
from mediation.formats import (
    HEAD_OCTETS,
    NETWORK,
    ROW_FILES,
    BrokenFile,
    EmptyFile,
    FormatMatch,
    UnknownFormat,
    agreements_csv,
    damaged,
    ocr_giro,
    orders_csv,
    subscriptions_csv,
)
from mediation.records import FileHeader
from mediation.service import registration
from mediation.service.arrival import Arrival, printable_name, read_whole
from mediation.service.control import verify_file
from mediation.service.refused_files import record_refusal
from mediation.service.registration import Registration
from mediation.service.tables import ingest_list, ingest_orders, ingest_payments
from mediation.service.taking import suspend_whole, take_usage

_SWITCH_NAME = re.compile(r"(?P<node>[A-Za-z0-9-]+?)_-?_?(?P<sequence>\d{1,9})[._]")


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of a file.

    `state` is accepted, suspended, parked, duplicate, or refused: that one is not registered (file
    number 0), because what stands against it lies with us and the same file is good afterwards.
    `refused_files` lists it until then.
    """

    file_id: int
    name: str
    state: str
    format: str
    reason: str | None
    detail: str | None
    records: int
    alarms: tuple[tuple[str, str], ...] = ()


def ingest_file(
    session: Session,
    store: Vault,
    path: Path,
    *,
    source_system: str = "network",
    book: str = "NO01",
) -> FileOutcome:
    """Take in a file of any known format.

    Payments are booked in the `book`; usage and orders belong to none until they are rated.

    A file that was taken in before is a no-op. What is wrong with a file is recorded and said
    in the outcome, never raised: it is kept, nothing of it is used, and the next file goes on.

    Raises
    ------
    DoesNotTie : our own outcomes do not sum to what the file holds; nothing is recorded.
    """
    name = printable_name(path)
    try:
        raw = read_whole(path)
    except OSError as problem:
        return FileOutcome(
            0, name, "refused", "", "UNREADABLE",
            f"{name} cannot be read: {problem.strerror}. Put that right and take it in again.", 0,
        )  # fmt: skip
    digest = sha256(raw).hexdigest()
    registration.lock_feed(session)
    known = registration.find_by_hash(session, digest)
    if known is not None:
        return FileOutcome(
            known.file_id, name, "duplicate", known.format, "DUPLICATE_FILE",
            f"{name} holds the same bytes as file {known.file_id}, {known.name}.",
            known.record_count,
        )  # fmt: skip
    arrival = Arrival(path, raw, digest, registration.next_file_id(session), source_system)
    if raw:
        store.put(raw, "traffic")
    try:
        with session.begin_nested():
            made = _take(session, store, arrival, book)
    except DoesNotTie:
        raise
    except Problem as problem:
        reason, detail = refused_by(problem), f"{name}: {problem}"
        record_refusal(session, arrival, book, reason, detail)
        told = f"{detail} Nothing was recorded; put that right and take the file in again."
        return FileOutcome(0, name, "refused", "", reason, told, 0)
    return FileOutcome(
        made.file_id, made.name, made.state, made.format, made.reason, made.detail,
        made.record_count, made.alarms,
    )  # fmt: skip


def _take(session: Session, store: Vault, arrival: Arrival, book: str) -> Registration:
    """Find who reads the file, and let them."""
    head = arrival.raw[:HEAD_OCTETS]
    routes: tuple[tuple[Callable[[bytes], bool], Callable[[], Registration]], ...] = (
        (orders_csv.recognises, lambda: ingest_orders(session, arrival)),
        (subscriptions_csv.recognises, lambda: ingest_list(session, arrival, "subscription_csv")),
        (agreements_csv.recognises, lambda: ingest_list(session, arrival, "agreement_csv")),
        (ocr_giro.recognises, lambda: ingest_payments(session, arrival, book)),
    )
    for recognises, take in routes:
        if head and recognises(head):
            return take()
    try:
        match = formats.recognise(arrival.name, head, len(arrival.raw))
    except EmptyFile as problem:
        return _set_aside(session, arrival, "suspended", "EMPTY_FILE", str(problem), "empty")
    except UnknownFormat as problem:
        return _take_unknown(session, arrival, str(problem), book)
    if match.parked:
        return _set_aside(
            session, arrival, "parked", match.parked,
            f"Recognised as {match.title}; there is no decoder for it yet.", match.format,
        )  # fmt: skip
    return _take_usage(session, store, arrival, match)


def _take_unknown(session: Session, arrival: Arrival, unknown: str, book: str) -> Registration:
    """Park what nobody reads; what was of a known format, and is damaged, is missed and waits."""
    head, name = arrival.raw[:HEAD_OCTETS], arrival.name
    was = damaged.resembles(head, len(arrival.raw))
    if was == "order_csv":
        return ingest_orders(session, arrival)
    if was is not None and was in ROW_FILES:
        return ingest_list(session, arrival, was)
    if was == "ocr_giro":
        return ingest_payments(session, arrival, book)
    why = "what is left of it is"
    if was is None:
        was, why = registration.format_of_name(session, name, _stem(name)), "files of its name are"
    if was is None:
        return _set_aside(session, arrival, "parked", "unknown_format", unknown, "unknown")
    detail = (
        f"{name}, offset 0: it has no known signature, and begins with {head[:8].hex(' ')}. As "
        f"{why} of format {was}, it is damaged. Nothing of the file is used. Fetch it again from "
        "its source."
    )
    return _set_aside(session, arrival, "suspended", "BROKEN_FILE", detail, was)


def _stem(name: str) -> str | None:
    """Give what a network element names all its files by; None where the name counts no files."""
    named = _SWITCH_NAME.match(name)
    return name[: named.start("sequence")] if named else None


def _take_usage(
    session: Session, store: Vault, arrival: Arrival, match: FormatMatch
) -> Registration:
    try:
        decoded = formats.decode(arrival.raw, match)
    except BrokenFile as problem:
        return _set_aside(session, arrival, "suspended", "BROKEN_FILE", str(problem), match.format)
    node, sequence = _place(arrival.name, match.format, decoded.header)
    refusal = _refusal(session, arrival, node, sequence, decoded)
    if refusal is not None:
        made, received = suspend_whole(arrival, decoded, *refusal, node, sequence)
        gaps = registration.gap_alarms(session, node, sequence)
        made.registration = replace(made.registration, alarms=gaps)
    else:
        made, received = take_usage(session, store, arrival, decoded, node, sequence)
    made.record(session)
    verify_file(session, arrival.file_id, received)
    return made.registration


def _refusal(
    session: Session, arrival: Arrival, node: str | None, sequence: int | None, decoded: object
) -> tuple[str, str] | None:
    """Give why a file as a whole must wait for a person: reason and sentence."""
    conflict = registration.find_conflict(session, arrival.name, node, sequence)
    if conflict is not None:
        reason, other = conflict
        return reason, (
            f"{arrival.name} claims the place of file {other.file_id}, {other.name} "
            f"(node {node}, sequence {sequence}), but holds other bytes. Compare the two."
        )
    declared = decoded.header.declared_count  # type: ignore[attr-defined]
    framed = decoded.record_count  # type: ignore[attr-defined]
    if declared is not None and declared != framed:
        return "COUNT_MISMATCH", (
            f"{arrival.name} declares {declared} records at offset 18 and holds {framed}. "
            "Fetch it again from the node."
        )
    return None


def _place(name: str, format_name: str, header: FileHeader) -> tuple[str | None, int | None]:
    """Give node and sequence; network elements that write neither have them in the file's name.

    In the name of a list a number may be a date or somebody's telephone: it counts no files.
    """
    named = _SWITCH_NAME.match(name) if format_name in NETWORK else None
    if header.sequence is not None:
        return header.node or (named["node"] if named else None), header.sequence
    if named is None:
        return None, None
    return named["node"], int(named["sequence"])


def _set_aside(
    session: Session, arrival: Arrival, state: str, reason: str, detail: str, format_name: str
) -> Registration:
    made = Registration(
        file_id=arrival.file_id, source_system=arrival.source_system, name=arrival.name,
        sha256=arrival.sha256, size=len(arrival.raw), format=format_name, state=state,
        reason=reason, detail=detail,
    )  # fmt: skip
    registration.register(session, made)
    return made


def refused_by(problem: Problem) -> str:
    """Name a problem as the reason for which a file waits, such as PERIOD_CLOSED."""
    return problem.code().replace("-", "_").upper()
