"""The second charging run of a month: what usage costs at partners, booked as a difference.

The whole month is rated every time with the wholesale tariff; what is booked already for a partner
and kind of traffic is read from the journal, and only the difference is posted. A second run over
the same usage posts nothing. Every event is kept with its cost, its margin and why.
"""

from collections.abc import Mapping
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
from mediation.rated_files import write_rated
from mediation.service import explaining
from mediation.service.month_entries import MonthEntries
from mediation.service.rated_month import rate_month
from mediation.service.usage_rating import EVENTS_PER_OBJECT
from rating import service as rating
from rating.codes import Codes, check_codes, codes_of
from rating.dated import Dated
from rating.margin_codes import MARGIN_COLUMNS, MarginCodes, check_margins, margin_codes
from rating.margins import Cost, Margins, cost_lines, costs, margins, second_run
from rating.pipeline import Rated
from rating.settled_codes import partner_codes
from rating.spend_limits import without_vat
from rating.tariff import TariffBook
from rating.usage import Int32, Reason, UsageBatch

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


def charge_partners(
    session: Session, store: Vault, month: Month, tariff: str, offering: str, *,
    dry_run: bool = False, actor: str = "system:wholesale",
) -> WholesaleOutcome:  # fmt: skip
    """Rate a month's accepted usage with a wholesale tariff, and book what its partners are owed.

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
    wholesale = rating.tariff_book(session, month.first_day, tariff)
    if wholesale.tariff.sells != "wholesale":
        raise Invalid(
            f"{wholesale.label} holds what customers pay, not what partners ask of us. Name a "
            'tariff with sells = "wholesale".',
            tariff=wholesale.label,
        )
    run = MonthEntries.begin(session, month, SOURCE_SYSTEM, "partner_cost", of=f"{tariff}/")
    rated = rate_month(session, store, month)
    asked, cost = second_run(
        rated.batch, rated.book, wholesale, offering, rated.setting.vat_rates_bp
    )
    codes = codes_of(asked, cost, wholesale)
    check_codes(codes, asked, cost, wholesale)
    revenue = np.zeros(len(rated.batch), np.int64)
    good = np.flatnonzero(rated.rated.reason == Reason.OK)
    revenue[good] = without_vat(
        rated.rated, rated.batch, rated.book, good, rated.setting.vat_rates_bp
    )
    rates = _rates(session, month, wholesale)
    found = margins(rated.batch, rated.rated, revenue, wholesale, cost, rates, rate_unit=RATE_UNIT)
    left = margin_codes(
        rated.batch, rated.rated, rated.book, rated.setting.vat_rates_bp, wholesale, codes, cost,
        rates, rate_unit=RATE_UNIT,
    )  # fmt: skip
    check_margins(left, found, rated.batch)
    owed = _with_withdrawn(costs(found, wholesale, cost), run, tariff)
    accounts = {(each.partner, each.revenue): _accounts(session, run, each) for each in owed}
    told = _book(run, tariff, owed, accounts)
    why = _told(run, tariff, wholesale, cost.component, codes, left, accounts)
    explaining.prove(run, why)
    if dry_run:
        return _outcome(found, told, None)
    refs = _store_events(store, rated.table, wholesale, offering, asked, cost, codes, left)
    why = replace(why, event_refs=refs)
    return _outcome(found, told, explaining.post(session, store, run, why, actor))


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
    run: MonthEntries, tariff: str, wholesale: TariffBook, component: Int32, codes: Codes,
    left: MarginCodes, accounts: Mapping[tuple[str, str], _Accounts],
) -> explaining.Told:  # fmt: skip
    """Explain what each partner is owed, by the explanations of its events."""
    documents = {name: _document(run.month, tariff, name[1], name[0]) for name in accounts}
    explained = partner_codes(
        wholesale, component.astype(np.int64), codes.amount_micro, left.known,
        {name: (documents[name], cost) for name, (cost, _) in accounts.items()},
    )  # fmt: skip
    mirrored = {documents[name]: supplier for name, (_, supplier) in accounts.items()}
    return explaining.Told(wholesale, explained, mirrored)


def _store_events(
    store: Vault, usage: pa.Table, wholesale: TariffBook, offering: str, asked: UsageBatch,
    cost: Rated, codes: Codes, left: MarginCodes,
) -> list[str]:  # fmt: skip
    """Keep the events with their costs and margins, in order of their keys."""
    if not len(asked):
        return []
    named = pa.array([offering] * usage.num_rows, pa.string())
    usage = usage.set_column(usage.column_names.index("offering"), "offering", named)
    beside = {name: getattr(left, name) for name in MARGIN_COLUMNS}
    order = np.argsort(asked.event_key, kind="stable")
    return [
        store.put(
            write_rated(
                usage,
                asked,
                cost,
                codes,
                wholesale,
                order[begin : begin + EVENTS_PER_OBJECT],
                beside,
            ),
            "traffic",
        ).sha256
        for begin in range(0, len(order), EVENTS_PER_OBJECT)
    ]


def _document(month: Month, tariff: str, kind: str, partner: str) -> str:
    return f"{month.period}/{tariff}/{kind}/{partner}"


def _outcome(found: Margins, told: list[PartnerCost], batch_id: int | None) -> WholesaleOutcome:
    both = (found.cost_reason == Reason.OK) & (found.revenue_reason == Reason.OK)
    revenue, cost = (
        int(round_half_away(np.array([sum(column[both].tolist())]))[0])
        for column in (found.revenue_micro, found.cost_micro)
    )
    return WholesaleOutcome(
        tuple(told), revenue, cost, revenue - cost,
        int((found.cost_reason != Reason.OK).sum()), batch_id,
    )  # fmt: skip
