"""What is known: everything committed, or what was sealed up to a position.

A report "known as of" a position counts the batches of `seal_member` up to it and nothing else,
so its figures stay the same whatever is posted later, also into months before it.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.refusals import NotYetKnown


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
