"""Order files, lists of subscriptions and of agreements: to the party room, row by row."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from mediation.formats import agreements_csv, orders_csv, subscriptions_csv
from mediation.formats.table_lines import Corrections, RowFault
from party import service as party
from party.orders import Outcome
from rating import service as rating


class _Numbered(Protocol):
    """A row of a file, or what is wrong with one."""

    @property
    def line_no(self) -> int:
        """Give the number of its line."""


One = TypeVar("One", bound=_Numbered)


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of the rows of a file: those applied, known already, and suspended, by line."""

    applied_lines: tuple[int, ...]
    already_lines: tuple[int, ...]
    suspended: tuple[tuple[int, str, str], ...]  # line number, reason, sentence; by line

    @property
    def applied(self) -> int:
        """Count the rows that changed something."""
        return len(self.applied_lines)

    @property
    def already(self) -> int:
        """Count the rows that had been applied before."""
        return len(self.already_lines)

    @property
    def rows(self) -> int:
        """Count the rows."""
        return self.applied + self.already + len(self.suspended)


def run_rows(
    session: Session, format_name: str, file_id: int, raw: bytes, name: str,
    again: Corrections | None = None,
) -> OrderOutcome:  # fmt: skip
    """Apply the rows of a file of orders, subscriptions or agreements.

    Parameters
    ----------
    format_name : one of `mediation.formats.ROW_FILES`.
    again : the lines to run once more, each with what was corrected of it; None for all, as they
        stand in the file.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used.
    TariffNotFound : of a file of orders: nothing is sold on its day.
    """
    if format_name == "subscription_csv":
        return register_subscription_file(session, file_id, raw, name, again)
    if format_name == "agreement_csv":
        return register_agreement_file(session, raw, name, again)
    business_date = orders_csv.read(raw, name).business_date
    sold = set(rating.tariff_book(session, business_date).offerings)
    return apply_order_file(session, file_id, raw, name, sold, again)


def apply_order_file(
    session: Session, file_id: int | None, raw: bytes, name: str, known_offerings: Container[str],
    again: Corrections | None = None,
) -> OrderOutcome:  # fmt: skip
    """Apply the orders of a file, or some of its lines again.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used; see `orders_csv.read`.
    """
    file = orders_csv.read(raw, name, again or {})
    done = party.apply_orders(session, _of(file.rows, again), known_offerings, file_id)
    return _outcome(done, _of(file.faults, again))


def register_subscription_file(
    session: Session, file_id: int | None, raw: bytes, name: str,
    again: Corrections | None = None,
) -> OrderOutcome:  # fmt: skip
    """Enrol the subscriptions of a list; `file_id` is where its suspense is kept, by the caller.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used; see `subscriptions_csv.read`.
    """
    del file_id  # A list has no orders that could carry it.
    file = subscriptions_csv.read(raw, name, again or {})
    done = party.register_subscriptions(session, _of(file.rows, again))
    return _outcome(done, _of(file.faults, again))


def register_agreement_file(
    session: Session, raw: bytes, name: str, again: Corrections | None = None
) -> OrderOutcome:
    """Put the accounts of a list under their agreements.

    Raises
    ------
    BrokenFile, EmptyFile : the file as a whole is not used; see `agreements_csv.read`.
    """
    file = agreements_csv.read(raw, name, again or {})
    done = party.register_agreements(session, _of(file.rows, again))
    return _outcome(done, _of(file.faults, again))


def _of(found: Sequence[One], again: Mapping[int, object] | None) -> list[One]:
    return [one for one in found if again is None or one.line_no in again]


def _outcome(done: Sequence[Outcome], faults: Sequence[RowFault]) -> OrderOutcome:
    suspended = [(o.line_no, o.reason, o.detail) for o in done if o.state == "suspended"]
    suspended += [(fault.line_no, fault.reason, fault.detail) for fault in faults]
    return OrderOutcome(
        applied_lines=tuple(one.line_no for one in done if one.state == "applied"),
        already_lines=tuple(one.line_no for one in done if one.state == "already"),
        suspended=tuple(sorted(suspended)),
    )
