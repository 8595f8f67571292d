"""Order files, lists of subscriptions and of agreements: to the party room, row by row."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mediation.formats import agreements_csv, orders_csv, subscriptions_csv
from mediation.formats.table_lines import RowFault
from party import service as party
from party.orders import Outcome


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of the rows of a file; applied, already and suspended sum to rows."""

    rows: int
    applied: int
    already: int
    suspended: tuple[tuple[int, str, str], ...]  # line number, reason, sentence; by line


def apply_order_file(
    session: Session, file_id: int | None, raw: bytes, name: str, known_offerings: Container[str]
) -> OrderOutcome:
    """Apply the orders of a file.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used; see `orders_csv.read`.
    """
    file = orders_csv.read(raw, name)
    return _sum(party.apply_orders(session, file.rows, known_offerings, file_id), file.faults)


def register_subscription_file(
    session: Session, file_id: int | None, raw: bytes, name: str
) -> OrderOutcome:
    """Enrol the subscriptions of a list; `file_id` is where its suspense is kept, by the caller.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used; see `subscriptions_csv.read`.
    """
    del file_id  # A list has no orders that could carry it.
    file = subscriptions_csv.read(raw, name)
    return _sum(party.register_subscriptions(session, file.rows), file.faults)


def register_agreement_file(session: Session, raw: bytes, name: str) -> OrderOutcome:
    """Put the accounts of a list under their agreements.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used; see `agreements_csv.read`.
    """
    file = agreements_csv.read(raw, name)
    return _sum(party.register_agreements(session, file.rows), file.faults)


def _sum(outcomes: Sequence[Outcome], faults: Sequence[RowFault]) -> OrderOutcome:
    suspended = [(o.line_no, o.reason, o.detail) for o in outcomes if o.state == "suspended"]
    suspended += [(fault.line_no, fault.reason, fault.detail) for fault in faults]
    states = [outcome.state for outcome in outcomes]
    return OrderOutcome(
        rows=len(outcomes) + len(faults),
        applied=states.count("applied"),
        already=states.count("already"),
        suspended=tuple(sorted(suspended)),
    )
