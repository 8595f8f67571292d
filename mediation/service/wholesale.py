"""The second charging run of a month: what usage costs at partners, booked as a difference.

The whole month is rated every time with the wholesale tariff; what is booked already for a partner
and kind of traffic is read from the journal, and only the difference is posted. A second run over
the same usage posts nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger import service as ledger
from ledger.errors import Invalid
from ledger.exchange import RATE_UNIT
from ledger.journal import BatchDraft, EntryDraft
from ledger.money import round_half_away
from ledger.service.rates import list_rates
from ledger.vault import Vault
from mediation.charging import SERIES, Month
from mediation.service.rated_month import rate_month
from rating import service as rating
from rating.dated import Dated
from rating.margins import Cost, Margins, cost_lines, costs, margins, second_run
from rating.spend_limits import without_vat
from rating.tariff import TariffBook
from rating.usage import Reason

SOURCE_SYSTEM = "wholesale"


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
    UnknownCurrency : the tariff is in a currency without a rate on the day of the posting.
    """
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"wholesale/{month.book_code}/{month.period}"},
    )
    wholesale = rating.tariff_book(session, month.first_day, tariff)
    if wholesale.tariff.sells != "wholesale":
        raise Invalid(
            f"{wholesale.label} holds what customers pay, not what partners ask of us. Name a "
            'tariff with sells = "wholesale".',
            tariff=wholesale.label,
        )
    rated = rate_month(session, store, month)
    cost = second_run(rated.batch, wholesale, offering)
    revenue = np.zeros(len(rated.batch), np.int64)
    good = np.flatnonzero(rated.rated.reason == Reason.OK)
    revenue[good] = without_vat(
        rated.rated, rated.batch, rated.book, good, rated.setting.vat_rates_bp
    )
    rates = _rates(session, month, wholesale)
    found = margins(rated.batch, rated.rated, revenue, wholesale, cost, rates, rate_unit=RATE_UNIT)
    return _post(session, month, tariff, found, costs(found, wholesale, cost), dry_run, actor)


def _rates(session: Session, month: Month, wholesale: TariffBook) -> Dated:
    """Give the dated rates of a tariff's currency in the book's own. [e-8]"""
    own = ledger.functional_currency(session, month.book_code)
    currency = wholesale.tariff.currency
    if currency == own:
        return Dated.of(f"rate of {own}", [(date(2000, 1, 1), RATE_UNIT)])
    listed = list_rates(session, own, currency)
    return Dated.of(f"rate of {currency}", [(each.valid_on, each.rate_e8) for each in listed])


def _post(
    session: Session, month: Month, tariff: str, found: Margins, owed: list[Cost], dry_run: bool,
    actor: str,
) -> WholesaleOutcome:  # fmt: skip
    prefix = f"{month.book_code}/{month.period}/{tariff}/"
    booked: dict[tuple[str, str, str], int] = {}
    for (*place, _), minor in ledger.booked_by_document(
        session, month.book_code, SOURCE_SYSTEM, prefix
    ).items():
        name = (place[0], place[1], place[2])
        booked[name] = booked.get(name, 0) + minor
    last = month.after - timedelta(days=1)
    day = ledger.first_open_day(session, month.book_code, SERIES, last)
    run = ledger.batch_count(session, SOURCE_SYSTEM, prefix) + 1
    entries: list[EntryDraft] = []
    told: list[PartnerCost] = []
    for each in _with_withdrawn(owed, booked, month, tariff):
        account, supplier = (
            ledger.posting_account(
                session, month.book_code, "partner_cost", leg, each.revenue, on=last
            )
            for leg in ("cost", "supplier")
        )
        document = _document(month, tariff, each.revenue, each.partner)
        before = booked.get((document, account, each.currency), 0)
        lines = cost_lines(each, before, account, supplier)
        minor = int(round_half_away(np.array([each.micro]))[0])
        told.append(
            PartnerCost(
                each.partner, each.revenue, each.currency, each.events, minor, minor - before
            )
        )
        if lines:
            entries.append(
                EntryDraft(
                    series=SERIES, effective_date=day, document_date=day,
                    entry_type="partner_cost", source_ref=f"{prefix}{run}/{len(entries)}",
                    text=f"Cost of {each.revenue}, {each.partner}, {month.period}", lines=lines,
                    document_ref=document,
                )
            )  # fmt: skip
    batch_id = None
    if entries and not dry_run:
        draft = BatchDraft(month.book_code, SOURCE_SYSTEM, f"{prefix}{run}", actor, tuple(entries))
        batch_id = ledger.post_batch(session, draft).batch_id
    return _outcome(found, told, batch_id)


def _with_withdrawn(
    owed: list[Cost], booked: Mapping[tuple[str, str, str], int], month: Month, tariff: str
) -> list[Cost]:
    """Add what was booked and is owed no more: its usage was withdrawn or has another price."""
    known = {_document(month, tariff, each.revenue, each.partner) for each in owed}
    start = len(_document(month, tariff, "", "")) - 1
    gone = sorted({
        (*document[start:].split("/", 1), currency)
        for document, _, currency in booked
        if document not in known
    })  # fmt: skip
    return owed + [Cost(partner, kind, currency, 0, 0) for kind, partner, currency in gone]


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
