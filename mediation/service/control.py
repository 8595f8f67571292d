"""The usage ledger: moves between buckets, and the proof that nothing is lost between them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import DoesNotTie
from mediation.outcomes import Bucket

_ENDS = [bucket.label for bucket in Bucket if bucket is not Bucket.RECEIVED]


@dataclass(frozen=True, slots=True)
class Move:
    """So much of a measure goes from one bucket to another."""

    file_id: int
    measure: str
    from_bucket: Bucket
    to_bucket: Bucket
    reason: str
    quantity: int


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """The control account of a file and a measure."""

    file_id: int
    measure: str
    received: int
    accepted: int
    filtered: int
    duplicate: int
    suspended: int
    held: int
    merged: int

    @property
    def ends(self) -> int:
        """The sum of the buckets in which records end."""
        return (
            self.accepted + self.filtered + self.duplicate
            + self.suspended + self.held + self.merged
        )  # fmt: skip

    @property
    def ties(self) -> bool:
        """Whether what came in is what became of it."""
        return self.received == self.ends


def post_moves(session: Session, moves: Iterable[Move], cause: str) -> None:
    """Record moves; those of nothing are left out."""
    rows = [
        {
            "file_id": move.file_id,
            "measure": move.measure,
            "from_bucket": move.from_bucket.label,
            "to_bucket": move.to_bucket.label,
            "reason": move.reason,
            "quantity": move.quantity,
            "cause": cause,
        }
        for move in moves
        if move.quantity
    ]
    if rows:
        session.execute(
            text(
                "INSERT INTO control_move"
                " (file_id, measure, from_bucket, to_bucket, reason, quantity, cause)"
                " VALUES (:file_id, :measure, :from_bucket, :to_bucket, :reason, :quantity, :cause)"
            ),
            rows,
        )


def control_totals(session: Session, file_id: int | None = None) -> list[ControlTotal]:
    """Give the control accounts of a file, or of all files, by file and measure."""
    return [
        ControlTotal(
            file_id=row["file_id"],
            measure=row["measure"],
            received=int(row["received"]),
            **{label: int(row[label]) for label in _ENDS},
        )
        for row in session.execute(_TOTALS, {"file_id": file_id}).mappings()
    ]


def verify_file(session: Session, file_id: int, received: Mapping[str, int]) -> None:
    """Refuse to go on unless the control accounts of a file tie with what its bytes held.

    Raises
    ------
    DoesNotTie : with the measure and both figures.
    """
    found = {total.measure: total for total in control_totals(session, file_id)}
    for measure, quantity in received.items():
        total = found.get(measure)
        ends = total.ends if total else 0
        if ends != quantity or (total and not total.ties):
            raise DoesNotTie(
                f"File {file_id} holds {quantity} {measure}, its outcomes sum to {ends}. "
                "Nothing of the file was recorded.",
                file_id=file_id,
                measure=measure,
            )


_TOTALS = text(
    "SELECT file_id, measure,"
    " coalesce(sum(quantity) FILTER (WHERE from_bucket = 'received'), 0) AS received, "
    + ", ".join(
        f"coalesce(sum(quantity) FILTER (WHERE to_bucket = '{label}'), 0)"
        f" - coalesce(sum(quantity) FILTER (WHERE from_bucket = '{label}'), 0) AS {label}"
        for label in _ENDS
    )
    + " FROM control_move WHERE CAST(:file_id AS bigint) IS NULL OR file_id = :file_id"
    " GROUP BY file_id, measure ORDER BY file_id, measure"
)
