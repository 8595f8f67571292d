"""Files that wait as a whole: nothing of them is used until somebody sees to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from mediation.formats import NOT_USAGE, ROW_FILES

PAYMENTS = tuple(name for name in NOT_USAGE if name not in ROW_FILES)
# The formats of files of a kind, or of all others: a file of nothing may have been of any format,
# and counts as usage.
KINDS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "usage": (NOT_USAGE, False),
    "orders": (tuple(ROW_FILES), True),
    "payments": (PAYMENTS, True),
}


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file that waits as a whole; the days that it is of are None where nobody can tell."""

    file_id: int
    name: str
    reason: str
    detail: str
    records: int
    used_from: date | None
    used_to: date | None
    has_no_place: bool = False  # of orders or payments, its first line lost: no copy can take it


def files_of_days(
    session: Session, kind: str, first_day: date, last_day: date
) -> list[WaitingFile]:
    """List the files of a kind that wait as a whole and may be of some days, both included.

    A file waits until it is taken back, or its whole copy has taken its place in the sequence. Of
    usage a name is a place too. Orders and payments come under one name every night, so a name
    says nothing there, but of lists, which have no other place. A file of orders or of payments
    whose first line cannot be read waits until it is taken back: nobody can tell which copy is its
    own.

    Parameters
    ----------
    kind : one of `KINDS`.
    """
    formats, among = KINDS[kind]
    rows = session.execute(
        _FILES,
        {"first": first_day, "last": last_day, "kind": kind, "formats": list(formats),
         "among": among},
    )  # fmt: skip
    return [WaitingFile(*row) for row in rows]


_FILES = text(
    "SELECT file_id, name, reason, detail, record_count, used_from, used_to,"
    " format IN ('order_csv', 'ocr_giro') AND sequence IS NULL FROM source_file f"
    " WHERE state = 'suspended' AND (format = ANY (:formats)) = :among"
    " AND coalesce(used_from <= :last AND used_to >= :first, true)"
    " AND NOT EXISTS (SELECT FROM file_reversal r WHERE r.file_id = f.file_id)"
    " AND NOT EXISTS (SELECT FROM source_file c WHERE c.file_id > f.file_id"
    "  AND c.state = 'accepted' AND ((c.node, c.sequence) = (f.node, f.sequence)"
    "   OR c.name = f.name AND (:kind = 'usage' OR :kind = 'orders' AND f.sequence IS NULL"
    "    AND f.format <> 'order_csv'))"
    "  AND NOT EXISTS (SELECT FROM file_reversal r WHERE r.file_id = c.file_id))"
    " ORDER BY file_id"
)
