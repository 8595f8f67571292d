"""What the network writes about the sessions: records in files, and what must become of each.

Outcomes are those of a mediation control account: received = accepted + filtered + duplicate +
suspended + held + merged. A complete chain of partial records counts its first part as accepted and
the others as merged into it; all parts of a chain with a hole are held.
"""

from dataclasses import dataclass

import numpy as np

from mediation.demo import wallclock
from mediation.demo.ber import Int64
from mediation.demo.plan import Plan
from mediation.demo.traffic import LONG_PART, SESSION_PART, Identities, Messages, Packets, Voice

OUTCOMES = (
    ("accepted", ""),
    ("merged", "PARTIAL"),
    ("filtered", "TERMINATING"),
    ("filtered", "ZERO_USAGE"),
    ("filtered", "WHOLESALE"),
    ("duplicate", "EXACT"),
    ("suspended", "UNKNOWN_SUBSCRIBER"),
    ("held", "PARTIAL"),
)
ACCEPTED, MERGED, TERMINATING, ZERO_USAGE, WHOLESALE, DUPLICATE, UNKNOWN, HELD = range(8)
FILES_PER_DAY = 4  # of the packet gateway
NORMAL, PARTIAL_CALL, UNANSWERED, TIME_LIMIT = 0, 1, 3, 17


@dataclass(frozen=True)
class Parts:
    """Records of one shape, in the order in which they stand in their files."""

    session: Int64  # row of the sessions
    start: Int64  # [s, UTC]
    duration: Int64  # [s]
    sequence: Int64  # 1, 2, 3 in a chain; 0 outside
    cause: Int64
    outcome: Int64
    file: Int64  # 0-based: day, or quarter of a day
    number: Int64  # 0, 1, 2 ... over the month; a duplicate has the number of its original

    def take(self, rows: Int64) -> "Parts":
        """Select and reorder records."""
        return Parts(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def voice_parts(plan: Plan, dice: np.random.Generator, who: Identities, voice: Voice) -> Parts:
    """Expand calls to records; a record is written when its part ends."""
    session, place = _expand(voice.parts)
    last = place == voice.parts[session]
    rest = voice.duration[session] - (place - 1) * LONG_PART
    duration = np.where(last, rest, LONG_PART)
    start = voice.start[session] + (place - 1) * LONG_PART
    chained = voice.parts[session] > 1
    cause = np.where(last, NORMAL, PARTIAL_CALL)
    cause[voice.duration[session] == 0] = UNANSWERED
    outcome = _chain_outcomes(place, voice.missing[session])
    outcome[voice.duration[session] == 0] = ZERO_USAGE
    outcome[voice.incoming[session]] = TERMINATING
    _mark_strangers(outcome, who, voice.identity[session])
    parts = Parts(
        session,
        start,
        duration,
        np.where(chained, place, 0),
        cause,
        outcome,
        _file_of(plan, start + duration, 1),
        np.zeros(len(session), np.int64),
    )
    return _lay_out(plan, dice, parts.take(np.flatnonzero(place != voice.missing[session])), 1)


def message_parts(plan: Plan, dice: np.random.Generator, messages: Messages) -> Parts:
    """Write each message once, at its time."""
    count = len(messages.start)
    none = np.zeros(count, np.int64)
    parts = Parts(
        np.arange(count),
        messages.start,
        none,
        none,
        none,
        none,
        _file_of(plan, messages.start, 1),
        none,
    )
    return _lay_out(plan, dice, parts, 1)


def packet_parts(plan: Plan, dice: np.random.Generator, who: Identities, packets: Packets) -> Parts:
    """Expand data sessions to records; a record is written when it closes."""
    session, place = _expand(packets.parts)
    last = place == packets.parts[session]
    chained = packets.parts[session] > 1
    rest = packets.duration[session] - (place - 1) * SESSION_PART
    duration = np.where(last, rest, SESSION_PART)
    start = packets.start[session] + (place - 1) * SESSION_PART
    outcome = _chain_outcomes(place, packets.missing[session])
    volume = packets.up + packets.down + packets.free_up + packets.free_down
    outcome[volume[session] == 0] = ZERO_USAGE
    _mark_strangers(outcome, who, packets.identity[session])
    parts = Parts(
        session,
        start,
        duration,
        np.where(chained, place, 0),
        np.where(last, NORMAL, TIME_LIMIT),
        outcome,
        _file_of(plan, start + duration, FILES_PER_DAY),
        np.zeros(len(session), np.int64),
    )
    present = np.flatnonzero(place != packets.missing[session])
    return _lay_out(plan, dice, parts.take(present), FILES_PER_DAY)


def _expand(parts: Int64) -> tuple[Int64, Int64]:
    """Repeat each session for its parts: row of the session, and the part's place from 1."""
    session = np.repeat(np.arange(len(parts)), parts)
    first = np.cumsum(parts) - parts
    return session, np.arange(len(session)) - first[session] + 1


def _chain_outcomes(place: Int64, missing: Int64) -> Int64:
    return np.where(missing > 0, HELD, np.where(place > 1, MERGED, ACCEPTED)).astype(np.int64)


def _mark_strangers(outcome: Int64, who: Identities, identity: Int64) -> None:
    outcome[identity >= who.known] = UNKNOWN
    outcome[identity >= who.home] = WHOLESALE


def _file_of(plan: Plan, closed: Int64, per_day: int) -> Int64:
    """Find the file of a record by its closing time; what closes too late goes to the last file."""
    wall = closed + wallclock.offset_seconds(closed)
    first = plan.start + int(wallclock.offset_seconds(np.array([plan.start]))[0])
    file = (wall - first) // (wallclock.DAY // per_day)
    clipped: Int64 = np.minimum(file, plan.days * per_day - 1)
    return clipped


def _lay_out(plan: Plan, dice: np.random.Generator, parts: Parts, per_day: int) -> Parts:
    """Put records in file order, number them, and repeat a few exactly, every other a file later.

    A repeated record keeps its number, and all its octets with it; it comes after its original.
    """
    ordered = parts.take(np.lexsort((parts.session, parts.start + parts.duration, parts.file)))
    count = len(ordered.session)
    single = np.flatnonzero((ordered.outcome == ACCEPTED) & (ordered.sequence == 0))
    copied = np.sort(dice.permutation(single)[: max(2, count // 20_000)])
    rows = np.concatenate([np.arange(count), copied])
    outcome = ordered.outcome[rows]
    outcome[count:] = DUPLICATE
    file = ordered.file[rows]
    later = np.minimum(file[count:] + np.arange(len(copied)) % 2, plan.days * per_day - 1)
    file[count:] = later
    numbered = Parts(
        ordered.session[rows],
        ordered.start[rows],
        ordered.duration[rows],
        ordered.sequence[rows],
        ordered.cause[rows],
        outcome,
        file,
        rows,
    )
    return numbered.take(np.lexsort((np.arange(len(rows)), file)))
