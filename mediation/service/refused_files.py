"""Files that were refused for what lies with us: a closed period, an account that is not there.

They are not registered, so that the very same file is good once that is put right. Their refusal is
kept until then: money that was sent and is not booked must hold up the next close, not be forgotten
with the output of a night.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from ledger.errors import Invalid, NotFound
from mediation.models import RefusedFile, RefusedFileEnd
from mediation.service.arrival import Arrival
from mediation.service.registration import lock_feed


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that waits to be taken in again, as it was refused last."""

    refused_file_id: int
    name: str
    source_system: str
    book: str
    sha256: str
    size: int
    reason: str
    detail: str
    refused_at: datetime


def record_refusal(
    session: Session, arrival: Arrival, book: str, reason: str, detail: str
) -> None:  # fmt: skip
    """Keep that a file was refused; the same again, as every night, is kept once."""
    if any(
        (one.sha256, one.name, one.reason, one.detail)
        == (arrival.sha256, arrival.name, reason, detail)
        for one in refused_files(session)
    ):
        return
    row = {"source_system": arrival.source_system, "book": book, "name": arrival.name,
           "sha256": arrival.sha256, "size": len(arrival.raw), "reason": reason,
           "detail": detail}  # fmt: skip
    session.execute(insert(RefusedFile), [row])


def refused_files(session: Session) -> list[Refusal]:
    """List the files that wait to be taken in again, oldest first.

    One waits until a file of its bytes is registered, or somebody gives it up.
    """
    return [Refusal(*row) for row in session.execute(_WAITING)]


def give_up_refused(session: Session, name_or_number: str, author: str, because: str) -> Refusal:
    """End the waiting of a refused file that is not needed, or came by another way.

    Parameters
    ----------
    name_or_number : as `refused_files` lists it; a number where several have the name.
    author, because : who looked, and why it is not needed; kept.

    Raises `Invalid` where nobody signs for it or several have the name, `NotFound`.
    """
    if not author.strip() or not because.strip():
        raise Invalid("A file that is given up is never booked: give an author and a reason.")
    lock_feed(session)  # Nobody takes it in, or gives it up, at the same time.
    waiting = refused_files(session)
    found = [one for one in waiting if name_or_number in (str(one.refused_file_id), one.name)]
    if not found:
        raise NotFound(
            f"No refused file {name_or_number!r} waits. See those that do: hovedbok mediation "
            "files."
        )
    if len(found) > 1:
        numbers = ", ".join(str(one.refused_file_id) for one in found)
        raise Invalid(
            f"{len(found)} refused files are called {name_or_number}. Say which by its number: "
            f"{numbers}."
        )
    row = {"refused_file_id": found[0].refused_file_id, "actor": author.strip(),
           "reason": because.strip()}  # fmt: skip
    session.execute(insert(RefusedFileEnd), [row])
    return found[0]


_WAITING = text(
    "SELECT refused_file_id, name, source_system, book, sha256, size, reason, detail, refused_at"
    " FROM refused_file f"
    " WHERE refused_file_id = (SELECT max(refused_file_id) FROM refused_file l"
    "  WHERE l.sha256 = f.sha256)"
    " AND NOT EXISTS (SELECT FROM source_file s WHERE s.sha256 = f.sha256)"
    " AND NOT EXISTS (SELECT FROM refused_file_end e"
    "  WHERE e.refused_file_id = f.refused_file_id)"
    " ORDER BY refused_file_id"
)
