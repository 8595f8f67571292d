"""Two clocks on every read: the last effective day, and the last seal position that is known.

Batches commit out of the order of their ids, so "known" is a position in the order of the seals:
a report of a position gives the same figures for ever, whatever is posted later or dated back.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from ledger.errors import Invalid


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

    Raises `Invalid` for a position that no seal has reached.
    """
    known_only(session, "", known_as_of)
    return Clocks(effective_as_of, None, sealed=False)


def hold_snapshot(session: Session) -> None:
    """Let all that this transaction reads be of one moment; must be its first statement."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def known_only(session: Session, batch: str, known_as_of: int | None) -> str:
    """Write the SQL condition that a row's batch is known; empty where everything is.

    Parameters
    ----------
    batch : the SQL expression of the batch, e.g. "d.batch_id"; a constant of this code.
    known_as_of : bound by the caller as :known.

    Raises `Invalid`: an empty answer would be taken for a balance of zero.
    """
    if known_as_of is None:
        return ""
    del session, batch
    raise Invalid(f"Nothing is known as of position {known_as_of}: no seal has been made.")
