"""A usage file to its outcomes: what is known from before is fetched, what follows is kept."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from ledger.vault import Vault
from mediation.formats import NETWORK, payload_digests
from mediation.kept import KEPT, waiting_columns
from mediation.models import FileUsage, HeldPart, HeldRelease
from mediation.outcomes import REASONS, Bucket
from mediation.policy import policy_on
from mediation.records import Columns, Decoded, Fault, Int64
from mediation.service import registration
from mediation.service.arrival import Arrival
from mediation.service.control import Move, post_moves
from mediation.service.copies import earlier_keys
from mediation.service.registration import Registration
from mediation.service.suspense import Suspended, suspend
from mediation.sorting import Known, Outcomes, Release, Sorted, chain_keys_of, keys_of, sort_file
from mediation.usage_files import write_keys, write_outcomes, write_usage
from mediation.wallclock import day_used, month_of, utc_day
from party import service as party
from party.agreements import Agreements

_UNREADABLE = {"undecodable": "UNDECODABLE", "unsupported_record": "UNSUPPORTED_RECORD",
               "bad_line": "BAD_LINE"}  # fmt: skip


@dataclass(slots=True)
class Made:
    """Everything to be recorded about a file, recorded together."""

    registration: Registration
    moves: list[Move] = field(default_factory=list)
    suspended: list[Suspended] = field(default_factory=list)
    usage: list[dict[str, object]] = field(default_factory=list)
    held: list[dict[str, object]] = field(default_factory=list)
    releases: list[dict[str, object]] = field(default_factory=list)

    def record(self, session: Session) -> None:
        """Insert the rows."""
        registration.register(session, self.registration)
        post_moves(session, self.moves, f"file {self.registration.file_id}")
        suspend(session, self.suspended)
        for model, rows in (
            (FileUsage, self.usage), (HeldPart, self.held), (HeldRelease, self.releases),
        ):  # fmt: skip
            if rows:
                session.execute(insert(model), rows)


def take_usage(
    session: Session,
    store: Vault,
    arrival: Arrival,
    decoded: Decoded,
    node: str | None,
    sequence: int | None,
) -> tuple[Made, dict[str, int]]:
    """Sort the records of a file and prepare what is to be recorded.

    Returns
    -------
    made : to be recorded.
    received : what the file's bytes hold, by measure, counted from the decoded rows.
    """
    rows = decoded.columns
    first = rows["part_no"] == 1
    digests = payload_digests(arrival.raw, rows["offset"][first], rows["length"][first])
    days = utc_day(rows["started_at"])
    span = (int(days.min()), int(days.max())) if len(days) else (None, None)
    agreements = party.load_agreements(session)
    known = Known(
        earlier=earlier_keys(session, store, days, keys_of(decoded, digests)),
        agreements=agreements,
        policy=policy_on(business_day(rows["started_at"])),
    )
    waiting = _waiting(session, decoded)
    done = sort_file(decoded, digests, arrival.file_id, _closed_at(decoded), known, waiting)
    made = Made(
        Registration(
            file_id=arrival.file_id, source_system=arrival.source_system, name=arrival.name,
            sha256=arrival.sha256, size=len(arrival.raw), format=decoded.header.format,
            state="accepted", node=node, sequence=sequence,
            declared_count=decoded.header.declared_count, record_count=decoded.record_count,
            first_day=span[0], last_day=span[1],
            keys_sha256=store.put(write_keys(done.keys), "traffic").sha256,
            outcome_sha256=store.put(write_outcomes(done.outcomes), "traffic").sha256,
            alarms=_alarms(session, arrival, decoded, node, sequence),
        )
    )  # fmt: skip
    made.moves = _moves(arrival.file_id, done.outcomes, decoded.faults)
    made.moves += _release_moves(done.released)
    made.suspended = _suspended(arrival.file_id, done, decoded, waiting)
    made.usage = store_usage(store, arrival.file_id, done.usage, agreements)
    made.held = _held_rows(done.held)
    made.releases = [_release_row(one, arrival.file_id) for one in done.released]
    return made, _received(decoded)


def suspend_whole(
    arrival: Arrival, decoded: Decoded, reason: str, detail: str, node: str | None,
    sequence: int | None,
) -> tuple[Made, dict[str, int]]:  # fmt: skip
    """Prepare the suspension of a whole file: every record waits with it."""
    used_from, used_to = _days_used(decoded)
    made = Made(
        Registration(
            file_id=arrival.file_id, source_system=arrival.source_system, name=arrival.name,
            sha256=arrival.sha256, size=len(arrival.raw), format=decoded.header.format,
            state="suspended", reason=reason, detail=detail, node=node, sequence=sequence,
            declared_count=decoded.header.declared_count, record_count=decoded.record_count,
            used_from=used_from, used_to=used_to,
        )
    )  # fmt: skip
    received = _received(decoded)
    made.moves = [
        Move(arrival.file_id, measure, Bucket.RECEIVED, Bucket.SUSPENDED, reason, quantity)
        for measure, quantity in received.items()
    ]
    return made, received


def _days_used(decoded: Decoded) -> tuple[date | None, date | None]:
    """Give the first and the last day of use in Oslo; none where a record cannot be read."""
    started = decoded.columns["started_at"]
    if decoded.faults or not len(started):
        return None, None
    return day_used(int(started.min())), day_used(int(started.max()))


def _received(decoded: Decoded) -> dict[str, int]:
    rows = decoded.columns
    return {
        "records": decoded.record_count,
        "seconds": int(rows["duration_s"].sum()),
        "octets": int(rows["octets_up"].sum()) + int(rows["octets_down"].sum()),
    }


def _closed_at(decoded: Decoded) -> int | None:
    """When the file was closed; its header tells no year, so the nearest to its records."""
    closed = decoded.header.last_append
    started = decoded.columns["started_at"]
    if closed is None or not len(started):
        return None
    return closed.near(int(np.median(started)))


def business_day(started_at: Int64) -> date:
    """Give the day in the middle of some records: the day by whose policy they are judged."""
    instant = int(np.median(started_at)) if len(started_at) else 0
    return datetime.fromtimestamp(instant, UTC).date()


def _waiting(session: Session, decoded: Decoded) -> Columns:
    """Fetch the parts that wait for a chain of which this file has parts."""
    keys = chain_keys_of(decoded).tolist()
    if not keys:
        return waiting_columns([])
    found = session.execute(
        text(
            "SELECT h.held_part_id, h.content FROM held_part h"
            " LEFT JOIN held_release r USING (held_part_id)"
            " WHERE r.held_part_id IS NULL AND h.chain_key = ANY(:keys)"
            " ORDER BY h.held_part_id"
        ),
        {"keys": keys},
    ).all()
    contents = [
        {**row.content, "held_part_id": [row.held_part_id] * len(row.content["part_no"])}
        for row in found
    ]
    return waiting_columns(contents)


def _alarms(
    session: Session, arrival: Arrival, decoded: Decoded, node: str | None, sequence: int | None
) -> tuple[tuple[str, str], ...]:
    alarms = list(registration.gap_alarms(session, node, sequence))
    if decoded.header.format not in NETWORK:
        alarms += arrival.cut_alarms
    lost = decoded.header.lost
    if lost is not None and lost.indicator:
        count = f"{lost.at_least}" if lost.exact else f"at least {lost.at_least}"
        alarms.append(("LOST_CDR", f"The node lost {count} records (indicator {lost.indicator})."))
    return tuple(alarms)


def _moves(file_id: int, outcomes: Outcomes, faults: tuple[Fault, ...]) -> list[Move]:
    """Sum the outcomes into moves out of `received`."""
    moves = []
    pairs = np.stack([outcomes.bucket.astype(np.int64), outcomes.reason.astype(np.int64)])
    kinds, place = np.unique(pairs, axis=1, return_inverse=True)
    for n, (bucket, reason) in enumerate(kinds.T.tolist()):
        mine = place == n
        moves += [
            Move(file_id, measure, Bucket.RECEIVED, Bucket(bucket), REASONS[reason], quantity)
            for measure, quantity in (
                ("records", int(mine.sum())),
                ("seconds", int(outcomes.seconds[mine].sum())),
                ("octets", int(outcomes.octets[mine].sum())),
            )
        ]
    unreadable: dict[str, int] = {}
    for fault in faults:
        reason = _UNREADABLE[fault.reason]
        unreadable[reason] = unreadable.get(reason, 0) + 1
    moves += [
        Move(file_id, "records", Bucket.RECEIVED, Bucket.SUSPENDED, reason, count)
        for reason, count in sorted(unreadable.items())
    ]
    return moves


def _release_moves(released: tuple[Release, ...]) -> list[Move]:
    return [
        Move(one.file_id, measure, Bucket.HELD, one.bucket, one.reason, quantity)
        for one in released
        for measure, quantity in (
            ("records", 1), ("seconds", one.seconds), ("octets", one.octets),
        )
    ]  # fmt: skip


def _suspended(file_id: int, done: Sorted, decoded: Decoded, waiting: Columns) -> list[Suspended]:
    outcomes = done.outcomes
    started = decoded.columns["started_at"][decoded.columns["part_no"] == 1]
    part_began = dict(
        zip(waiting["held_part_id"].tolist(), waiting["started_at"].tolist(), strict=True)
    )
    subject = decoded.header.subject
    found = [
        Suspended(
            file_id=file_id,
            record_no=int(outcomes.record_no[n]),
            reason=REASONS[outcomes.reason[n]],
            detail=_sentence(outcomes, n, subject),
            byte_offset=int(outcomes.offset[n]),
            seconds=int(outcomes.seconds[n]),
            octets=int(outcomes.octets[n]),
            # A time that lies in the future is the very thing that is wrong with the record.
            used_on=(
                None
                if REASONS[outcomes.reason[n]] == "FUTURE_TIMESTAMP"
                else day_used(int(started[n]))
            ),
        )
        for n in np.flatnonzero(outcomes.bucket == Bucket.SUSPENDED).tolist()
    ]
    found += [
        Suspended(
            file_id=file_id, record_no=fault.record_no, reason=_UNREADABLE[fault.reason],
            detail=f"{fault.detail} (offset {fault.at})", byte_offset=fault.offset,
            line_no=fault.line,
        )
        for fault in decoded.faults
    ]  # fmt: skip
    found += [
        Suspended(
            file_id=one.file_id, record_no=one.record_no, reason=one.reason,
            detail="The chain of which this is a part was suspended when it was whole.",
            seconds=one.seconds, octets=one.octets, used_on=day_used(part_began[one.held_part_id]),
        )
        for one in done.released
        if one.bucket is Bucket.SUSPENDED
    ]  # fmt: skip
    return found


_SENTENCES = {
    "UNKNOWN_SUBSCRIBER": "Nobody had this IMSI or number at that instant. Check the order.",
    "NO_OFFERING": "The subscription had no offering or no payer at that instant.",
    "FUTURE_TIMESTAMP": "The record lies more than a day after its file was closed.",
}


def _sentence(outcomes: Outcomes, n: int, subject: str | None) -> str:
    reason = REASONS[outcomes.reason[n]]
    if reason == "UNKNOWN_SUBSCRIBER" and subject is not None and not subject.isdecimal():
        return (
            f"The file is named after {subject!r}, which is no telephone number. "
            "Ask its sender whose usage it is."
        )
    if reason == "DUP_CONFLICT":
        return (
            f"Has the key of record {outcomes.of_record[n]} of file {outcomes.of_file[n]} "
            "but other content. Compare the two."
        )
    return _SENTENCES.get(reason, reason)


def store_usage(
    store: Vault, file_id: int, usage: Columns, agreements: Agreements
) -> list[dict[str, object]]:
    """Put accepted usage into the vault, one object per month used; gives rows of file_usage."""
    rows = []
    months = month_of(usage["started_at"])
    for period in sorted(set(months.tolist())):
        mine = {name: column[months == period] for name, column in usage.items()}
        ref = store.put(write_usage(mine, agreements.offering_names), "traffic")
        rows.append(
            {
                "file_id": file_id,
                "period": period,
                "sha256": ref.sha256,
                "row_count": len(mine["event_key"]),
                "seconds": int(mine["seconds"].sum()),
                "octets": int(mine["octets"].sum()),
            }
        )
    return rows


def _held_rows(held: Columns) -> list[dict[str, object]]:
    """Keep what each waiting part needs to remember."""
    heads = np.flatnonzero(held["part_no"] == 1).tolist()
    rows: list[dict[str, object]] = []
    for begin, end in pairwise([*heads, len(held["part_no"])]):
        content = {
            name: [_plain(value) for value in held[name][begin:end].tolist()] for name in KEPT
        }
        rows.append(
            {
                "file_id": int(held["file_id"][begin]),
                "record_no": int(held["record_no"][begin]),
                "chain_key": int(held["chain_key"][begin]),
                "is_last": bool(held["is_last"][begin]),
                "content": content,
            }
        )
    return rows


def _plain(value: object) -> object:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _release_row(one: Release, by_file_id: int) -> dict[str, object]:
    return {
        "held_part_id": one.held_part_id,
        "by_file_id": by_file_id,
        "bucket": one.bucket.label,
        "reason": one.reason,
        "into_file_id": one.into_file_id,
        "into_record_no": one.into_record_no,
    }
