"""The second charging run of a month: what usage costs at partners, booked as a difference.

The whole month is rated every time with the wholesale tariff; what is booked already for a partner
and kind of traffic is read from the journal, and only the difference is posted. A second run over
the same usage posts nothing. Every event is kept with its cost, its margin and why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.errors import Invalid
from ledger.exchange import RATE_UNIT
from ledger.money import round_half_away
from ledger.service.rates import list_rates
from ledger.vault import Vault
from mediation.charging import Month
from mediation.rated_files import event_names, write_rated
from mediation.records import Int64
from mediation.service import explaining
from mediation.service.month_entries import MonthEntries
from mediation.service.rated_month import RatedMonth, rate_month
from mediation.service.reckoning import vat_rates
from mediation.service.usage_rating import EVENTS_PER_OBJECT
from rating import service as rating
from rating.codes import Codes, check_codes, codes_of
from rating.dated import Dated
from rating.margin_codes import MARGIN_COLUMNS, MarginCodes, check_margins, margin_codes
from rating.margins import (
    Cost,
    Margins,
    Sold,
    cost_lines,
    costs,
    margins,
    second_run,
    sold_events,
)
from rating.pipeline import Rated
from rating.settled_codes import partner_codes
from rating.tariff import TariffBook, in_force
from rating.usage import Reason, UsageBatch
from rating.versions import InForce

SOURCE_SYSTEM = "wholesale"
_Accounts = tuple[str, str]  # of the cost, and of the supplier


@dataclass(frozen=True, slots=True)
class PartnerCost:
    """What is owed to a partner for one kind of traffic in a month. [minor units of `currency`]"""

    partner: str
    kind: str
    currency: str
    events: int
    owed_minor: int
    posted_minor: int  # in this run


@dataclass(frozen=True, slots=True)
class WholesaleOutcome:
    """What a run found and posted. Revenue, cost and margin in øre, of events with both."""

    costs: tuple[PartnerCost, ...]
    revenue_minor: int
    cost_minor: int
    margin_minor: int
    unknown: int  # events without a cost price: counted, never taken for free
    batch_id: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The events of one version of the wholesale tariff: what they cost, what is left, and why."""

    book: TariffBook
    rows: Int64  # in the month's usage
    asked: UsageBatch
    cost: Rated
    codes: Codes
    found: Margins
    left: MarginCodes


def charge_partners(
    session: Session, store: Vault, month: Month, tariff: str, offering: str, *,
    dry_run: bool = False, actor: str = "system:wholesale",
) -> WholesaleOutcome:  # fmt: skip
    """Rate a month's accepted usage with a wholesale tariff, and book what its partners are owed.

    Each event costs what the version of its start asks, and brings what a customer pays for it.

    Parameters
    ----------
    tariff, offering : the name of the tariff, and which of its offerings holds the prices.
    dry_run : say what would be posted, and post nothing.

    Raises
    ------
    Invalid : the tariff is one that customers pay by.
    DoesNotTie : explanations, amounts and postings differ; nothing may be committed.
    UnknownCurrency : the tariff is in a currency without a rate on the day of the posting.
    """
    versions = rating.tariff_versions(session, month.first_day, month.after, tariff)
    for one in versions:
        if one.book.tariff.sells != "wholesale":
            raise Invalid(
                f"{one.book.label} holds what customers pay, not what partners ask of us. Name a "
                'tariff with sells = "wholesale".',
                tariff=one.book.label,
            )
    run = MonthEntries.begin(session, month, SOURCE_SYSTEM, "partner_cost", of=f"{tariff}/")
    rated = rate_month(session, store, month)
    parts = _priced(session, month, rated, versions, offering)
    owed = _with_withdrawn(_owed(parts), run, tariff)
    accounts = {(each.partner, each.revenue): _accounts(session, run, each) for each in owed}
    told = _book(run, tariff, owed, accounts)
    why = _told(run, tariff, parts, accounts)
    explaining.prove(run, why)
    if dry_run:
        return _outcome(parts, told, None)
    refs = [ref for part in parts for ref in _store_events(store, rated.table, offering, part)]
    why = replace(why, event_refs=refs)
    return _outcome(parts, told, explaining.post(session, store, run, why, actor))


def _priced(
    session: Session, month: Month, rated: RatedMonth, versions: Sequence[InForce], offering: str
) -> list[_Part]:
    """Price the month a second time, each event by the version in force at its start.

    Before the first version there is none; the first says so of the event.
    """
    service, services = event_names(rated.table, "service")
    currency, currencies = event_names(rated.table, "currency")
    batch, sold = rated.batch, _sold(rated)
    if batch.service is not None:
        batch = replace(batch, service=service, currency=currency)
    began = np.array([one.book.valid_from for one in versions], np.int64)
    chosen = np.maximum(in_force(began, batch.started_at), 0)
    codes = {part.vat for one in versions for part in one.book.tariff.components}
    rates_bp = vat_rates(session, month, codes)
    found = []
    for number, one in enumerate(versions):
        rows = np.flatnonzero(chosen == number)
        mine, theirs = batch.take(rows), sold.take(rows)
        asked, cost = second_run(mine, services, currencies, one.book, offering, rates_bp)
        why = codes_of(asked, cost, one.book)
        check_codes(why, asked, cost, one.book)
        rates = _rates(session, month, one.book)
        margin = margins(mine, theirs, one.book, cost, rates, rate_unit=RATE_UNIT)
        left = margin_codes(mine, theirs, one.book, why, cost, rates, rate_unit=RATE_UNIT)
        check_margins(left, margin, mine)
        found.append(_Part(one.book, rows, asked, cost, why, margin, left))
    return found


def _sold(rated: RatedMonth) -> Sold:
    """Say what customers pay for the month's events, each by the version that priced it."""
    parts = [
        sold_events(part.rated, part.batch, part.book, rated.setting.vat_rates_bp)
        for part in rated.parts
    ]
    order = np.argsort(np.concatenate([part.rows for part in rated.parts]))
    return Sold(
        *(np.concatenate([getattr(part, name) for part in parts])[order]
          for name in Sold.__slots__)
    )  # fmt: skip


def _owed(parts: Sequence[_Part]) -> list[Cost]:
    """Sum what all versions' events cost, exactly, by partner, kind of traffic and currency."""
    sums: dict[tuple[str, str, str], Cost] = {}
    for part in parts:
        for each in costs(part.found, part.book, part.cost):
            name = (each.partner, each.revenue, each.currency)
            before = sums.get(name, replace(each, micro=0, events=0))
            sums[name] = replace(
                each, micro=before.micro + each.micro, events=before.events + each.events
            )
    return [sums[name] for name in sorted(sums)]


def _rates(session: Session, month: Month, wholesale: TariffBook) -> Dated:
    """Give the dated rates of a tariff's currency in the book's own. [e-8]"""
    own = ledger.functional_currency(session, month.book_code)
    currency = wholesale.tariff.currency
    if currency == own:
        return Dated.of(f"rate of {own}", [(date(2000, 1, 1), RATE_UNIT)])
    listed = list_rates(session, own, currency)
    return Dated.of(f"rate of {currency}", [(each.valid_on, each.rate_e8) for each in listed])


def _book(
    run: MonthEntries, tariff: str, owed: list[Cost], accounts: Mapping[tuple[str, str], _Accounts]
) -> list[PartnerCost]:
    """Add the differences of what is owed to a run; gives how each partner stands."""
    month, booked = run.month, _booked(run)
    told: list[PartnerCost] = []
    for each in owed:
        account, supplier = accounts[each.partner, each.revenue]
        document = _document(month, tariff, each.revenue, each.partner)
        before = booked.get((document, account, each.currency), 0)
        minor = int(round_half_away(np.array([each.micro]))[0])
        told.append(
            PartnerCost(
                each.partner, each.revenue, each.currency, each.events, minor, minor - before
            )
        )
        run.add(
            document, f"Cost of {each.revenue}, {each.partner}, {month.period}",
            cost_lines(each, before, account, supplier),
        )  # fmt: skip
    return told


def _accounts(session: Session, run: MonthEntries, owed: Cost) -> _Accounts:
    """Give the accounts of what is owed, of its cost and of the supplier."""
    last = run.month.after - timedelta(days=1)
    cost, supplier = (
        ledger.posting_account(
            session, run.month.book_code, "partner_cost", leg, owed.revenue, on=last
        )
        for leg in ("cost", "supplier")
    )
    return cost, supplier


def _booked(run: MonthEntries) -> dict[tuple[str, str, str], int]:
    """Sum what is booked by document, account and currency."""
    booked: dict[tuple[str, str, str], int] = {}
    for (document, account, currency, _), minor in run.booked.items():
        name = (document, account, currency)
        booked[name] = booked.get(name, 0) + minor
    return booked


def _with_withdrawn(owed: list[Cost], run: MonthEntries, tariff: str) -> list[Cost]:
    """Add what was booked and is owed no more: its usage was withdrawn or has another price."""
    month = run.month
    known = {(_document(month, tariff, each.revenue, each.partner), each.currency) for each in owed}
    start = len(_document(month, tariff, "", "")) - 1
    gone = sorted({
        (*document[start:].split("/", 1), currency)
        for document, _, currency in _booked(run)
        if (document, currency) not in known
    })  # fmt: skip
    return owed + [Cost(partner, kind, currency, 0, 0) for kind, partner, currency in gone]


def _told(
    run: MonthEntries, tariff: str, parts: Sequence[_Part],
    accounts: Mapping[tuple[str, str], _Accounts],
) -> explaining.Told:  # fmt: skip
    """Explain what each partner is owed, by the explanations of its events, version by version."""
    documents = {name: _document(run.month, tariff, name[1], name[0]) for name in accounts}
    places = {name: (documents[name], cost) for name, (cost, _) in accounts.items()}
    explained = [
        code
        for part in parts
        for code in partner_codes(
            part.book, part.cost.component.astype(np.int64), part.codes.amount_micro,
            part.left.known, places,
        )
    ]  # fmt: skip
    mirrored = {documents[name]: supplier for name, (_, supplier) in accounts.items()}
    return explaining.Told(parts[-1].book, explained, mirrored)


def _store_events(store: Vault, usage: pa.Table, offering: str, part: _Part) -> list[str]:
    """Keep a version's events with their costs and margins, in order of their keys."""
    if not len(part.asked):
        return []
    usage = usage.take(pa.array(part.rows))
    named = pa.array([offering] * usage.num_rows, pa.string())
    usage = usage.set_column(usage.column_names.index("offering"), "offering", named)
    beside = {name: getattr(part.left, name) for name in MARGIN_COLUMNS}
    order = np.argsort(part.asked.event_key, kind="stable")
    return [
        store.put(
            write_rated(
                usage, part.asked, part.cost, part.codes, part.book,
                order[begin : begin + EVENTS_PER_OBJECT], beside,
            ),
            "traffic",
        ).sha256
        for begin in range(0, len(order), EVENTS_PER_OBJECT)
    ]  # fmt: skip


def _document(month: Month, tariff: str, kind: str, partner: str) -> str:
    return f"{month.period}/{tariff}/{kind}/{partner}"


def _outcome(
    parts: Sequence[_Part], told: list[PartnerCost], batch_id: int | None
) -> WholesaleOutcome:
    revenue = cost = unknown = 0
    for part in parts:
        found = part.found
        both = (found.cost_reason == Reason.OK) & (found.revenue_reason == Reason.OK)
        revenue += sum(found.revenue_micro[both].tolist())
        cost += sum(found.cost_micro[both].tolist())
        unknown += int((found.cost_reason != Reason.OK).sum())
    sold, paid = (int(round_half_away(np.array([micro]))[0]) for micro in (revenue, cost))
    return WholesaleOutcome(tuple(told), sold, paid, sold - paid, unknown, batch_id)
