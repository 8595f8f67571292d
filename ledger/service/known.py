"""What is known: everything committed, or what was sealed up to a position.

A report "known as of" a position counts the batches of `seal_member` up to it and nothing else,
so its figures stay the same whatever is posted later, also into months before it.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Invalid
from ledger.refusals import NotYetKnown

_POSITION_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Known:
    """Which batches a report sees.

    `position` : the last seal position that counts; None counts everything committed.
    `sealed` : whether everything that counts is sealed.
    `last_position` : the last position there is; 0 before the first seal.
    `unsealed_batches` : committed batches without a position; they count only where that is None.
    """

    position: int | None
    sealed: bool
    last_position: int
    unsealed_batches: int


def read_known(written: str) -> int | datetime:
    """Read what a report is to know: a seal position, or a time in ISO 8601 with its offset.

    Raises `Invalid` for anything else.

    >>> read_known("17")
    17
    >>> read_known("2026-04-01T08:00:00+02:00").isoformat()
    '2026-04-01T08:00:00+02:00'
    """
    written = written.strip()
    if re.fullmatch("[0-9]{1,19}", written, re.ASCII) and int(written) <= _POSITION_MAX:
        return int(written)
    try:
        # In an address a plus sign is a blank.
        moment = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", written))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.utcoffset() is None:
        raise Invalid(
            f"{written!r} is neither a seal position nor a time with its offset, such as "
            "2026-04-01T08:00:00+02:00.",
            known_as_of=written,
        )
    return moment


def known_position(session: Session, wanted: int | datetime | None) -> int | None:
    """Give the position that is meant: that of the last block signed by then, where it is a time.

    A position is given back as it is, and so is None, which is everything committed. Before the
    first block nothing was known: position 0. A block that is signed and not committed yet is
    waited for, so that the same time is the same position for ever; the session must hold no
    snapshot that is older.

    Raises `NotYetKnown` for a time that is not past, for more could become known until then.
    """
    if not isinstance(wanted, datetime):
        return wanted
    found = session.execute(text(_BY_THEN), {"moment": wanted}).one()
    if found.is_ahead:
        raise NotYetKnown(
            f"Nobody knows yet what will be known at {wanted.isoformat()}; it is "
            f"{found.now.isoformat(timespec='seconds')}. Leave it out to see everything committed.",
            known_as_of=wanted.isoformat(),
        )
    if found.is_newest:
        session.execute(text(_NO_SEALER_AT_WORK))
        found = session.execute(text(_BY_THEN), {"moment": wanted}).one()
    return int(found.position)


# Sealers work one after the other: behind a time before the newest block no other can be signed.
_BY_THEN = """
    SELECT coalesce((SELECT last_position FROM seal_block WHERE signed_at <= :moment
            ORDER BY block_no DESC LIMIT 1), 0) AS position,
        :moment > clock_timestamp() AS is_ahead, clock_timestamp() AS now,
        coalesce((SELECT signed_at FROM seal_block ORDER BY block_no DESC LIMIT 1), '-infinity')
            <= :moment AS is_newest"""
# The lock of ledger_lock_seals(), shared among readers.
_NO_SEALER_AT_WORK = "SELECT pg_advisory_xact_lock_shared(x'7365616c'::bigint)"


def resolve_known(session: Session, known_as_of: int | None) -> Known:
    """Resolve what a report is to know; see `Known`. Readers filter by batch id with it:

    `:known IS NULL OR batch_id IN (SELECT batch_id FROM seal_member WHERE position <= :known)`

    Raises `NotYetKnown` for a position that is negative or beyond the last seal.
    """
    last, unsealed = session.execute(
        text(
            "SELECT (SELECT coalesce(max(position), 0) FROM seal_member),"
            " (SELECT count(*) FROM ledger_unsealed_batches())"
        )
    ).one()
    if known_as_of is not None and not 0 <= known_as_of <= last:
        raise NotYetKnown(
            f"Nothing is known as of position {known_as_of}: seals reach from 0 to {last}, and "
            f"{unsealed} batches are not sealed yet. Leave it out to see everything committed.",
            known_as_of=known_as_of,
            last_position=last,
            unsealed_batches=unsealed,
        )
    sealed = known_as_of is not None or unsealed == 0
    return Known(known_as_of, sealed, last, unsealed)
