"""What the front page tells: one tile per thing the reader is responsible for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import BigInteger, Select, cast, func, select
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.access import Actor
from ledger.errors import DoesNotTie
from reporting import service
from reporting.models import BillRun, Document, InvoiceRow
from reporting.norwegian import kroner, whole_number
from reporting.service.aging import RECEIVABLES
from reporting.web import sources
from reporting.web.dates import default_day

_MONTHS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure, what it means, and the page behind it."""

    name: str
    figure: str
    note: str
    endpoint: str
    mark: str = ""  # good, wait or alarm: the note's colour; the note says it in words.


@dataclass(frozen=True, slots=True)
class Month:
    """What was billed for a month, and what of it is paid. [øre]"""

    period: str
    invoices: int
    net_minor: int
    vat_minor: int
    gross_minor: int
    outstanding_minor: int


@dataclass(frozen=True, slots=True)
class State:
    """The state of the books as far as an actor may see it."""

    as_of: date
    tiles: tuple[Tile, ...]
    months: tuple[Month, ...]


def state_of(session: Session, book: str, actor: Actor) -> State:
    """Gather the tiles that the actor's scopes allow."""
    as_of = default_day(session, book)
    tiles = [
        tile
        for needed, make in _TILES
        if actor.may(needed)
        for tile in make(session, book, as_of)
    ]  # fmt: skip
    billed = actor.may("documents:read") and actor.may("receivables:read")
    return State(as_of, tuple(tiles), tuple(_months(session, book)) if billed else ())


def _months(session: Session, book: str) -> Iterator[Month]:
    """Sum the invoices of the newest months; what is unpaid comes from the open items."""
    left = {
        item.open_item_id: item.outstanding_minor
        for item in ledger.open_items(session, book, accounts=RECEIVABLES)
    }
    unpaid: Counter[str] = Counter()
    claims = session.execute(
        select(BillRun.period, InvoiceRow.open_item_id)
        .join(BillRun, BillRun.bill_run_id == InvoiceRow.bill_run_id)
        .where(InvoiceRow.book == book, InvoiceRow.open_item_id == func.any(list(left)))
    )
    for period, item in claims:
        if item is not None:
            unpaid[period] += left[item]
    for row in session.execute(_billed(book)):
        period, invoices, net, vat, gross, _rendered = row
        yield Month(period, invoices, net, vat, gross, unpaid[period])


def _billed(book: str) -> Select[str, int, int, int, int, int]:
    return (
        select(
            BillRun.period,
            func.count(),
            cast(func.sum(InvoiceRow.net_minor), BigInteger),
            cast(func.sum(InvoiceRow.vat_minor), BigInteger),
            cast(func.sum(InvoiceRow.gross_minor), BigInteger),
            func.count(Document.document_id).label("rendered"),
        )
        .join(BillRun, BillRun.bill_run_id == InvoiceRow.bill_run_id)
        .outerjoin(
            Document, (Document.invoice_id == InvoiceRow.invoice_id) & (Document.kind == "pdf")
        )
        .where(InvoiceRow.book == book)
        .group_by(BillRun.period)
        .order_by(BillRun.period.desc())
        .limit(_MONTHS_SHOWN)
    )


def _balance(session: Session, book: str, _as_of: date) -> Iterator[Tile]:
    try:
        totals = service.trial_balance(session, book).totals
    except DoesNotTie as fault:
        yield Tile("Trial balance", "Does not tie", str(fault), "desk.trial_balance", "alarm")
        return
    for total in totals:
        yield Tile(
            f"Trial balance, {total.currency}", kroner(total.debit_minor),
            "Debit and credit are equal", "desk.trial_balance", "good",
        )  # fmt: skip


def _receivables(session: Session, book: str, as_of: date) -> Iterator[Tile]:
    items = ledger.open_items(session, book, effective_as_of=as_of)
    claims = [item for item in items if item.account in RECEIVABLES]
    outstanding = sum(item.outstanding_minor for item in claims)
    late = sum(
        item.outstanding_minor
        for item in claims
        if item.outstanding_minor > 0 and item.due_date < as_of
    )
    yield Tile(
        "Outstanding from customers", kroner(outstanding),
        f"{kroner(late)} is past due" if late else "Nothing is past due",
        "desk.aging", "wait" if late else "good",
    )  # fmt: skip
    unmatched = service.unmatched_payments(session, book, as_of)
    waiting = sum(payment.outstanding_minor for payment in unmatched)
    count = f"{whole_number(len(unmatched))} payment{'' if len(unmatched) == 1 else 's'}"
    yield Tile(
        "Unmatched payments", kroner(waiting),
        f"{count} to place" if unmatched else "Every payment has found its claim",
        "desk.unallocated", "wait" if unmatched else "good",
    )  # fmt: skip


def _invoices(session: Session, book: str, _as_of: date) -> Iterator[Tile]:
    months = session.execute(_billed(book)).all()
    if not months:
        yield Tile("Invoices issued", "0", "No month is billed yet", "desk.invoices")
        return
    period, count, _net, _vat, gross, rendered = months[0]
    unrendered = count - rendered
    yield Tile(
        f"Invoices for {period}", whole_number(count),
        f"{whole_number(unrendered)} without a PDF" if unrendered else f"{kroner(gross)} in all",
        "desk.invoices", "wait" if unrendered else "",
    )  # fmt: skip


def _feeds(session: Session, _book: str, _as_of: date) -> Iterator[Tile]:
    files = sources.files(session)
    untied = sum(not file.ties for file in files)
    alarms = sum(len(file.alarms) for file in files)
    told = f"{whole_number(alarms)} alarm{'' if alarms == 1 else 's'}"
    yield Tile(
        "Files registered", whole_number(len(files)),
        f"{untied} do not tie" if untied else told if alarms else "Every file's sums tie",
        "desk.feeds", "alarm" if untied else "wait" if alarms else "good",
    )  # fmt: skip
    suspended = sum(row.records for row in sources.suspense_by_reason(session))
    yield Tile(
        "Records in suspense", whole_number(suspended),
        "Waiting for a correction" if suspended else "Nothing waits",
        "desk.suspense", "wait" if suspended else "good",
    )  # fmt: skip


_Make = Callable[[Session, str, date], Iterator[Tile]]
_TILES: tuple[tuple[str, _Make], ...] = (
    ("ledger:read", _balance),
    ("receivables:read", _receivables),
    ("documents:read", _invoices),
    ("mediation:read", _feeds),
)
