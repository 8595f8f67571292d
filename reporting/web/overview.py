"""What the front page tells: one tile per thing the reader is responsible for.

Figures of the books are read by both clocks; what is work to be done is what waits now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Select, cast, func, select

from ledger import service as ledger
from ledger.access import Actor
from ledger.errors import DoesNotTie
from mediation import service as mediation
from reporting import service
from reporting.models import BillRun, InvoiceRow
from reporting.norwegian import kroner, whole_number
from reporting.service.aging import RECEIVABLES
from reporting.service.invoices import is_known
from reporting.web import sources
from reporting.web.clocks import Reading

_MONTHS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure, what it means, and the page behind it."""

    name: str
    figure: str
    note: str
    endpoint: str
    mark: str = ""  # good, wait or alarm: the note's colour; the note says it in words.
    waits: bool = False  # Work that waits now: no clock turns it back.
    asks: Mapping[str, str] = field(default_factory=dict)  # What the page is asked for.


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

    tiles: tuple[Tile, ...]
    months: tuple[Month, ...]


def state_of(read: Reading, actor: Actor) -> State:
    """Gather the tiles that the actor's scopes allow."""
    tiles = [tile for needed, make in _TILES if actor.may(needed) for tile in make(read)]
    billed = actor.may("documents:read") and actor.may("receivables:read")
    return State(tuple(tiles), tuple(_months(read)) if billed else ())


def _months(read: Reading) -> Iterator[Month]:
    """Sum the invoices of the newest months; what is unpaid comes from the open items."""
    left = {
        item.open_item_id: item.outstanding_minor
        for item in ledger.open_items(
            read.session, read.book, read.day, known_as_of=read.known, accounts=RECEIVABLES
        )
    }
    unpaid: Counter[str] = Counter()
    claims = read.session.execute(
        select(BillRun.period, InvoiceRow.open_item_id)
        .join(BillRun, BillRun.bill_run_id == InvoiceRow.bill_run_id)
        .where(InvoiceRow.book == read.book, InvoiceRow.open_item_id == func.any(list(left)))
    )
    for period, item in claims:
        if item is not None:
            unpaid[period] += left[item]
    for period, invoices, net, vat, gross in read.session.execute(_billed(read)):
        yield Month(period, invoices, net, vat, gross, unpaid[period])


def _billed(read: Reading) -> Select[str, int, int, int, int]:
    return (
        select(
            BillRun.period,
            func.count(),
            cast(func.sum(InvoiceRow.net_minor), BigInteger),
            cast(func.sum(InvoiceRow.vat_minor), BigInteger),
            cast(func.sum(InvoiceRow.gross_minor), BigInteger),
        )
        .join(BillRun, BillRun.bill_run_id == InvoiceRow.bill_run_id)
        .where(InvoiceRow.book == read.book, InvoiceRow.invoice_date <= read.day)
        .where(*is_known(read.session, read.known))
        .group_by(BillRun.period)
        .order_by(BillRun.period.desc())
        .limit(_MONTHS_SHOWN)
    )


def _balance(read: Reading) -> Iterator[Tile]:
    try:
        totals = service.trial_balance(read.session, read.book, read.day, read.known).totals
    except DoesNotTie as fault:
        yield Tile("Trial balance", "Does not tie", str(fault), "desk.trial_balance", "alarm")
        return
    for total in totals:
        yield Tile(
            f"Trial balance, {total.currency}", kroner(total.debit_minor),
            "Debit and credit are equal", "desk.trial_balance", "good",
        )  # fmt: skip


def _receivables(read: Reading) -> Iterator[Tile]:
    items = ledger.open_items(read.session, read.book, read.day, known_as_of=read.known)
    outstanding, late = Counter[str](), Counter[str]()
    for item in items:
        if item.account in RECEIVABLES:
            outstanding[item.currency] += item.outstanding_minor
            if item.outstanding_minor > 0 and read.day is not None and item.due_date < read.day:
                late[item.currency] += item.outstanding_minor
    own = ledger.functional_currency(read.session, read.book)
    for currency in (own, *sorted(set(outstanding) - {own})):
        yield Tile(
            "Outstanding from customers" + ("" if currency == own else f", {currency}"),
            kroner(outstanding[currency]),
            f"{kroner(late[currency])} is past due" if late[currency] else "Nothing is past due",
            "desk.aging", "wait" if late[currency] else "good",
            asks={} if currency == own else {"currency": currency},
        )  # fmt: skip
    unmatched = service.unmatched_payments(read.session, read.book, read.day, read.known)
    for currency in (own, *sorted({payment.currency for payment in unmatched} - {own})):
        waiting = [one.outstanding_minor for one in unmatched if one.currency == currency]
        count = f"{whole_number(len(waiting))} payment{'' if len(waiting) == 1 else 's'}"
        yield Tile(
            "Unmatched payments" + ("" if currency == own else f", {currency}"),
            kroner(sum(waiting)),
            f"{count} to place" if waiting else "Every payment has found its claim",
            "desk.unallocated", "wait" if waiting else "good",
        )  # fmt: skip


def _invoices(read: Reading) -> Iterator[Tile]:
    months = read.session.execute(_billed(read)).all()
    if not months:
        yield Tile("Invoices issued", "0", "No month is billed yet", "desk.invoices")
    else:
        period, count, _net, _vat, gross = months[0]
        yield Tile(
            f"Invoices for {period}", whole_number(count), f"{kroner(gross)} in all",
            "desk.invoices",
        )  # fmt: skip
    unrendered = len(service.unrendered(read.session, read.book))
    if unrendered:
        yield Tile(
            "Invoices without a PDF", whole_number(unrendered), "To be rendered", "desk.invoices",
            "wait", waits=True,
        )  # fmt: skip


def _feeds(read: Reading) -> Iterator[Tile]:
    files = sources.files(read.session)
    untied = sum(not file.ties for file in files)
    refused = len(mediation.refused_files(read.session))
    told = [
        _counted(untied, "does not tie", "do not tie"),
        _counted(refused, "refused and not taken in since", "refused and not taken in since"),
        _counted(sum(file.waits for file in files), "waits as a whole", "wait as a whole"),
        _counted(sum(file.state == "parked" for file in files), "not read", "not read"),
        _counted(sum(len(file.alarms) for file in files), "alarm", "alarms"),
    ]
    looked_at = any(file.wants_a_look for file in files)
    yield Tile(
        "Files registered", whole_number(len(files)),
        ", ".join(filter(None, told)) or "Every file's sums tie", "desk.feeds",
        "alarm" if untied else "wait" if looked_at or refused else "good", waits=True,
        asks={"look": "yes"} if looked_at else {},
    )  # fmt: skip
    suspended = sum(row.records for row in sources.suspense_by_reason(read.session))
    yield Tile(
        "Records in suspense", whole_number(suspended),
        "Waiting for a correction" if suspended else "Nothing waits",
        "desk.suspense", "wait" if suspended else "good", waits=True,
    )  # fmt: skip


def _counted(number: int, one: str, several: str) -> str:
    return f"{whole_number(number)} {one if number == 1 else several}" if number else ""


_Make = Callable[[Reading], Iterator[Tile]]
_TILES: tuple[tuple[str, _Make], ...] = (
    ("ledger:read", _balance),
    ("receivables:read", _receivables),
    ("documents:read", _invoices),
    ("mediation:read", _feeds),
)
