"""Sorting: from a decoded file to one outcome per record and the usage that is accepted.

    screen     copies and conflicts, within the file and against earlier ones
    date       what lies in the future of its file
    chain      parts are merged when their chain is whole, with parts that waited from other files
    guide      subscriber, payer and offering at the instant; what is filtered

Pure: what is known from before comes in, what is to be recorded goes out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediation.guiding import Agreements, Guided, guide, use_of
from mediation.kept import KEPT, join_rows, kept_rows
from mediation.outcomes import REASON_CODES, REASONS, Bucket
from mediation.partials import NO_CHAIN, chain_keys, find_chains, is_partial
from mediation.policy import Policy
from mediation.records import CONTENT, PRICES, Columns, Decoded, Int64
from mediation.screening import CONFLICT, COPY, FRESH, KeyBlock, mix, record_keys, screen
from rating.usage import NO_PRICE

_EVENT_SEED = 0x13198A2E03707344


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What was there before this file."""

    earlier: KeyBlock
    agreements: Agreements
    policy: Policy


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One row per record of the file that could be read, in file order."""

    record_no: Int64
    offset: Int64
    length: Int64
    bucket: NDArray[np.int8]
    reason: NDArray[np.int16]
    seconds: Int64
    octets: Int64
    of_file: Int64  # the first of its copies, or the first part of its chain; 0 for none
    of_record: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A part of another file that stopped waiting."""

    held_part_id: int
    file_id: int
    record_no: int
    bucket: Bucket
    reason: str
    seconds: int
    octets: int
    into_file_id: int
    into_record_no: int


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """What is to be recorded about a file."""

    outcomes: Outcomes
    keys: KeyBlock  # of the fresh records, for later files
    usage: Columns  # accepted usage, one row per event and rating group
    held: Columns  # rows of the parts that wait now, KEPT columns
    released: tuple[Release, ...]


def sort_file(
    decoded: Decoded, digests: Int64, file_id: int, closed_at: int | None, known: Known,
    waiting: Columns,
) -> Sorted:  # fmt: skip
    """Decide what becomes of each record of a file.

    Parameters
    ----------
    decoded : the file; its faults are not looked at here.
    digests : (records, 2) payload digests of the readable records, in file order.
    closed_at : when the file was closed. [UTC epoch seconds; None where it does not say]
    waiting : rows of parts of other files that wait for a chain of this file, KEPT columns.
    """
    rows = decoded.columns
    heads = np.flatnonzero(rows["part_no"] == 1)
    record = np.cumsum(rows["part_no"] == 1) - 1
    lead = {name: column[heads] for name, column in rows.items()}
    keys = keys_of(decoded, digests)
    number = lead["record_no"].astype(np.int64)
    screened = screen(keys, digests, known.earlier, file_id, number)
    octets = rows["octets_up"] + rows["octets_down"]
    outcomes = _first_verdict(lead, screened, closed_at, known.policy, heads, rows, octets)
    own = kept_rows(decoded, keys, file_id, known.policy)
    open_row = (outcomes.bucket == Bucket.ACCEPTED)[record]
    parts = is_partial(rows)
    single = {name: column[open_row & ~parts] for name, column in own.items()}
    chained = {name: np.concatenate([waiting[name], own[name][open_row & parts]]) for name in KEPT}
    merged, members, held = merge_chains(chained)
    events = join_rows([single, merged])
    event_of_row, first_rows = events_of(events)
    guided = guide_events(events, first_rows, known.agreements, known.policy)
    released = _settle(outcomes, events, first_rows, guided, members, file_id)
    _wait(outcomes, held, file_id)
    fresh = screened.verdict == FRESH
    return Sorted(
        outcomes=outcomes,
        keys=KeyBlock(
            keys[fresh], digests[fresh], np.full(int(fresh.sum()), file_id, np.int64), number[fresh]
        ),
        usage=usage_rows(events, event_of_row, guided),
        held={name: column[held["file_id"] == file_id] for name, column in held.items()},
        released=released,
    )


def keys_of(decoded: Decoded, digests: Int64) -> Int64:
    """Give the keys of a file's readable records, (records, 2), in file order."""
    first = decoded.columns["part_no"] == 1
    lead = {name: column[first] for name, column in decoded.columns.items()}
    return record_keys(lead, decoded.nodes, decoded.header.subject, digests)


def chain_keys_of(decoded: Decoded) -> Int64:
    """List the chains of which a file has parts, so that the caller can fetch what waits for them.

    Returns
    -------
    (n,) int64, each once.
    """
    parts = is_partial(decoded.columns)
    rows = {name: column[parts] for name, column in decoded.columns.items()}
    return np.unique(chain_keys(rows, decoded.nodes))


def _first_verdict(
    lead: Columns, screened: Any, closed_at: int | None, policy: Policy,
    heads: Int64, rows: Columns, octets: Int64,
) -> Outcomes:  # fmt: skip
    """Copies, conflicts and the future are decided; everything else is accepted for now."""
    count = len(heads)
    bucket = np.full(count, Bucket.ACCEPTED, np.int8)
    reason = np.zeros(count, np.int16)
    future = np.zeros(count, np.bool_)
    if closed_at is not None:
        future = lead["started_at"] > closed_at + policy.future_tolerance_s
    for applies, where, why in (
        (future, Bucket.SUSPENDED, "FUTURE_TIMESTAMP"),
        (screened.verdict == CONFLICT, Bucket.SUSPENDED, "DUP_CONFLICT"),
        (screened.verdict == COPY, Bucket.DUPLICATE, "EXACT"),
    ):
        bucket[applies], reason[applies] = where, REASON_CODES[why]
    none = np.zeros(0, np.int64)
    return Outcomes(
        record_no=lead["record_no"].astype(np.int64),
        offset=lead["offset"].astype(np.int64),
        length=lead["length"].astype(np.int64),
        bucket=bucket,
        reason=reason,
        seconds=np.add.reduceat(rows["duration_s"], heads) if count else none,
        octets=np.add.reduceat(octets, heads) if count else none,
        of_file=screened.of_file.copy(),
        of_record=screened.of_record.copy(),
    )


def merge_chains(chained: Columns) -> tuple[Columns, Columns, Columns]:
    """Merge whole chains.

    Returns
    -------
    merged : event rows, one per chain and rating group, carrying the first part's place.
    members : one row per part record of a whole chain: held_part_id, file_id, record_no, its sums,
        and the place of the first part.
    held : rows of what still waits.
    """
    heads = np.flatnonzero(chained["part_no"] == 1)
    lead = {name: column[heads] for name, column in chained.items()}
    chain = find_chains(
        lead["chain_key"], lead["started_at"], lead["chain_seq"], lead["is_last"] == 1
    ).first
    record = np.cumsum(chained["part_no"] == 1) - 1
    chain_of_row = chain[record]
    whole = chain_of_row != NO_CHAIN
    rows = {name: column[whole] for name, column in chained.items()}
    first = chain_of_row[whole]
    order = np.lexsort((rows["part_no"], rows["chain_seq"], rows["rating_group"], first))
    rows = {name: column[order] for name, column in rows.items()}
    first = first[order]
    starts = _starts(first, rows["rating_group"])
    merged = {name: column[starts].copy() for name, column in rows.items()}
    for name in KEPT:
        if name not in {"duration_s", "octets", "rating_group", "part_no"}:
            merged[name] = lead[name][first[starts]]
    if len(starts):
        merged["duration_s"] = np.add.reduceat(rows["duration_s"], starts)
        merged["octets"] = np.add.reduceat(rows["octets"], starts)
        # Number the rating groups of each event again: parts may have brought different ones.
        event_starts = _starts(first[starts])
        size = np.diff(np.append(event_starts, len(starts)))
        merged["part_no"] = np.arange(len(starts)) - np.repeat(event_starts, size) + 1
    in_chain = chain != NO_CHAIN
    members = {name: lead[name][in_chain] for name in ("held_part_id", "file_id", "record_no")}
    members["seconds"] = sums(chained["duration_s"], heads)[in_chain]
    members["octets"] = sums(chained["octets"], heads)[in_chain]
    for name in ("file_id", "record_no"):
        members[f"into_{name}"] = lead[name][chain[in_chain]]
    held = {name: column[~whole] for name, column in chained.items()}
    return merged, members, held


def events_of(events: Columns) -> tuple[Int64, Int64]:
    """Number the events of rows, and give the first row of each."""
    first_rows = _starts(events["file_id"], events["record_no"])
    marks = np.zeros(len(events["file_id"]), np.int64)
    marks[first_rows] = 1
    return np.cumsum(marks) - 1, first_rows


def guide_events(
    events: Columns, first_rows: Int64, agreements: Agreements, policy: Policy
) -> Guided:
    """Guide events by their first rows, each with what all its rows used."""
    asked = ("kind", "imsi", "msisdn", "started_at", "service")
    lead = {name: events[name][first_rows] for name in asked if name in events}
    seconds = sums(events["duration_s"], first_rows)
    octets = sums(events["octets"], first_rows)
    used = use_of(lead["kind"], seconds, octets)
    return guide(lead, used, agreements, policy)


def _settle(
    outcomes: Outcomes, events: Columns, first_rows: Int64, guided: Guided, members: Columns,
    file_id: int,
) -> tuple[Release, ...]:  # fmt: skip
    """Write the events' outcomes to their records, here and as releases in other files."""
    decided = {
        (int(f), int(r)): (Bucket(int(b)), int(why))
        for f, r, b, why in zip(
            events["file_id"][first_rows], events["record_no"][first_rows],
            guided.bucket, guided.reason, strict=True,
        )
        if f != file_id
    }  # fmt: skip
    here = events["file_id"][first_rows] == file_id
    place = np.searchsorted(outcomes.record_no, events["record_no"][first_rows][here])
    outcomes.bucket[place] = guided.bucket[here]
    outcomes.reason[place] = guided.reason[here]
    released = []
    partial = REASON_CODES["PARTIAL"]
    for n in range(len(members["file_id"])):
        own = (int(members["file_id"][n]), int(members["record_no"][n]))
        into = (int(members["into_file_id"][n]), int(members["into_record_no"][n]))
        if into[0] == file_id:
            at = int(np.searchsorted(outcomes.record_no, into[1]))
            bucket, why = Bucket(int(outcomes.bucket[at])), int(outcomes.reason[at])
        else:
            bucket, why = decided[into]
        if own != into and bucket is Bucket.ACCEPTED:
            bucket, why = Bucket.MERGED, partial
        if own[0] == file_id:
            at = int(np.searchsorted(outcomes.record_no, own[1]))
            outcomes.bucket[at], outcomes.reason[at] = bucket, why
            if own != into:
                outcomes.of_file[at], outcomes.of_record[at] = into
        else:
            released.append(_release(members, n, bucket, why, own, into))
    return tuple(released)


def _release(
    members: Columns, n: int, bucket: Bucket, why: int, own: tuple[int, int], into: tuple[int, int]
) -> Release:
    return Release(
        held_part_id=int(members["held_part_id"][n]),
        file_id=own[0],
        record_no=own[1],
        bucket=bucket,
        reason=REASONS[why],
        seconds=int(members["seconds"][n]),
        octets=int(members["octets"][n]),
        into_file_id=into[0],
        into_record_no=into[1],
    )


def _wait(outcomes: Outcomes, held: Columns, file_id: int) -> None:
    mine = held["record_no"][(held["file_id"] == file_id) & (held["part_no"] == 1)]
    place = np.searchsorted(outcomes.record_no, mine)
    outcomes.bucket[place] = Bucket.HELD
    outcomes.reason[place] = REASON_CODES["PARTIAL"]


def usage_rows(events: Columns, event_of_row: Int64, guided: Guided) -> Columns:
    """Lay out accepted usage: one row per event and rating group."""
    good = guided.bucket[event_of_row] == Bucket.ACCEPTED
    rows = {name: column[good] for name, column in events.items()}
    event = event_of_row[good]
    kind = rows["kind"].astype(np.int16)
    usage_type = np.select([kind <= 2, kind <= 4, kind == CONTENT], [1, 2, 4], 3).astype(np.int16)
    prices = {name: rows[name] for name in PRICES if name in rows}
    quantity = use_of(kind, rows["duration_s"], rows["octets"])
    if prices:  # What is given back of a purchase counts against what was bought.
        price = prices["price_micro"]
        quantity[(kind == CONTENT) & (price < 0) & (price != NO_PRICE)] *= -1
    return {
        "event_key": mix(_EVENT_SEED, rows["event_base"], rows["rating_group"]),
        "file_id": rows["file_id"],
        "record_no": rows["record_no"],
        "part_no": rows["part_no"],
        "offset": rows["offset"],
        "length": rows["length"],
        "subscription_id": guided.subscription[event],
        "billing_account_id": guided.payer[event],
        "offering": guided.offering[event],
        "usage_type": usage_type,
        "started_at": rows["started_at"],
        "quantity": quantity,
        "called": np.where(usage_type == 3, 0, rows["other"]),
        "called_text": rows["other_text"],
        "rating_group": rows["rating_group"].astype(np.int32),
        "seconds": rows["duration_s"],
        "octets": rows["octets"],
        **prices,
    }


def _starts(*columns: NDArray[Any]) -> Int64:
    """Give the rows at which any of the columns changes."""
    count = len(columns[0])
    changes = np.ones(count, np.bool_)
    if count:
        changes[1:] = False
        for column in columns:
            changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def sums(column: Int64, starts: Int64) -> Int64:
    """Sum the stretches of a column that begin at `starts`."""
    return np.add.reduceat(column, starts) if len(starts) else np.zeros(0, np.int64)
