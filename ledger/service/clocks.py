"""Two clocks on every read: the last effective day, and the last seal position that is known.

Batches commit out of the order of their ids, so "known" is a position in the order of the seals:
a report of a position gives the same figures for ever, whatever is posted later or dated back.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from ledger.errors import Invalid
from ledger.service.known import resolve_known


@dataclass(frozen=True, slots=True)
class Clocks:
    """What a report counted, as it is echoed to the reader.

    `effective_as_of` : the last day that counts; None is every day.
    `known_as_of` : the last seal position that counts. None: everything committed, of which
        something has no position yet; a reader who asks again may see more.
    `sealed` : whether everything that counts is sealed, and the figures therefore final.
    """

    effective_as_of: date | None
    known_as_of: int | None
    sealed: bool


def resolve_clocks(
    session: Session, effective_as_of: date | None, known_as_of: int | None
) -> Clocks:
    """Say what both clocks come to; where all is sealed, "everything" is the last position.

    Raises `NotYetKnown` for a position that no seal has reached.
    """
    known = resolve_known(session, known_as_of)
    position = known.position
    if position is None and known.sealed:
        position = known.last_position
    return Clocks(effective_as_of, position, known.sealed)


def check_span(first_day: date | None, effective_as_of: date | None) -> None:
    """Refuse a span that ends before it begins: what it opened with would lie after its end.

    Raises `Invalid`.
    """
    if first_day is not None and effective_as_of is not None and effective_as_of < first_day:
        raise Invalid(
            f"The period from {first_day} to {effective_as_of} ends before it begins. Give the "
            "first day first.",
            first_day=first_day.isoformat(), effective_as_of=effective_as_of.isoformat(),
        )  # fmt: skip


def hold_snapshot(session: Session) -> None:
    """Let all that this transaction reads be of one moment; must be its first statement."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def known_only(session: Session, batch: str, known_as_of: int | None) -> str:
    """Write the SQL condition that a row's batch is known; empty where everything is.

    Parameters
    ----------
    batch : the SQL expression of the batch, e.g. "d.batch_id"; a constant of this code.
    known_as_of : bound by the caller as :known.

    Raises `NotYetKnown`: an empty answer would be taken for a balance of zero.
    """
    if known_as_of is None:
        return ""
    resolve_known(session, known_as_of)
    return f" AND {batch} IN (SELECT batch_id FROM seal_member WHERE position <= :known)"
