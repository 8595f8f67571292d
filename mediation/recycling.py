"""Recycling: suspended records once more, now that the reason may have gone.

Only records that nobody could be found for come here. They were screened, dated and chained when
their files came; what is done again is to merge their chains and to guide them. A record that finds
its subscriber becomes the very usage it would have been, with the same event key; every other one
stays where it is. Pure: what is suspended comes in, what stops waiting goes out.
"""

from dataclasses import dataclass

from mediation.guiding import Agreements
from mediation.kept import KEPT, join_rows, waiting_columns
from mediation.outcomes import Bucket
from mediation.policy import Policy
from mediation.records import Columns
from mediation.sorting import events_of, guide_events, merge_chains, usage_rows

REASONS = ("UNKNOWN_SUBSCRIBER", "NO_OFFERING")  # What an order that comes late can put right.


@dataclass(frozen=True, slots=True)
class Found:
    """A record that leaves suspense; one that was merged names the first part of its chain."""

    file_id: int
    record_no: int
    bucket: Bucket
    into_file_id: int | None = None
    into_record_no: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Recycled:
    """What comes of a round: records that leave suspense, and the usage they are."""

    found: tuple[Found, ...]
    usage: Columns


def join(files: list[Columns]) -> Columns:
    """Put the suspended rows of several files one after another; no file gives no rows."""
    return join_rows([waiting_columns([]), *files])


def recycle(rows: Columns, agreements: Agreements, policy: Policy) -> Recycled:
    """Guide suspended records again.

    Parameters
    ----------
    rows : rows of the suspended records of all files, KEPT columns, in order of file and record.
    """
    parts = rows["chain_seq"] >= 0
    single = {name: column[~parts] for name, column in rows.items()}
    merged, members, _ = merge_chains({name: rows[name][parts] for name in KEPT})
    events = join_rows([single, merged])
    event_of_row, first_rows = events_of(events)
    guided = guide_events(events, first_rows, agreements, policy)
    good = guided.bucket == Bucket.ACCEPTED
    accepted = {
        (file_id, record_no)
        for file_id, record_no in zip(
            events["file_id"][first_rows][good].tolist(),
            events["record_no"][first_rows][good].tolist(),
            strict=True,
        )
    }
    found = [Found(*place, Bucket.ACCEPTED) for place in sorted(accepted)]
    columns = ("file_id", "record_no", "into_file_id", "into_record_no")
    found += [
        Found(part[0], part[1], Bucket.MERGED, *part[2:])
        for part in zip(*(members[name].tolist() for name in columns), strict=True)
        if part[:2] != part[2:] and part[2:] in accepted
    ]
    return Recycled(tuple(found), usage_rows(events, event_of_row, guided))
