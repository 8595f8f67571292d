"""The second charging run: what an event costs us at a partner, and what is left of its price.

The same usage is rated again with the tariff of wholesale prices, in its currency: one offering, a
zone per network, a component per partner and kind of traffic. Each event then has a revenue without
VAT, a cost at the rate of its day, and a margin; what has no cost price says why and counts as
cost unknown, never as zero.

Cost is booked per partner, account and currency (posting rule partner_cost): debit 4xxx, credit
2400, or 2994 where the partner is a maritime authority. A run books what the sums round to, less
what is booked already, so that any number of runs comes to the rounding of the whole.

Source: docs/pricing.md, "Partners and ships"; ledger/seed/posting_rules.csv.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ledger.journal import Line
from ledger.money import round_half_away
from rating.carried_usage import in_codes_of, with_vat_rates
from rating.charges import sum_by_key
from rating.clock import local_days
from rating.dated import NOT_KNOWN, Dated
from rating.pipeline import Rated, rate
from rating.rounding import MICRO, share_of
from rating.spend_limits import without_vat
from rating.tariff import TariffBook
from rating.usage import Int16, Int64, Reason, UsageBatch


@dataclass(frozen=True, slots=True, eq=False)
class Sold:
    """What customers pay for events, row by row; zero where there is no price."""

    amount_micro: Int64  # as it was rated, in the basis of its offering
    vat_bp: Int64  # in that; 0 where there is none. [hundredths of a per cent]
    revenue_micro: Int64  # without VAT
    reason: Int16  # a `Reason`

    def take(self, rows: Int64) -> "Sold":
        """Select rows by index."""
        return Sold(*(getattr(self, name)[rows] for name in Sold.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """Revenue, cost and margin per event; zero where one of them is not known."""

    revenue_micro: Int64  # without VAT, in the book's currency
    cost_micro: Int64  # at the rate of the day, in the book's currency
    cost_own_micro: Int64  # in the currency of the wholesale tariff
    margin_micro: Int64  # revenue - cost, 0 unless both are known
    revenue_reason: Int16  # a `Reason` of the retail run
    cost_reason: Int16  # a `Reason` of the wholesale run; NO_RATE also without a rate of the day


@dataclass(frozen=True, slots=True)
class Cost:
    """What is owed to one partner for one kind of traffic."""

    partner: str
    revenue: str  # the selector of the posting rule: interconnect, roaming, maritime
    currency: str
    micro: int
    events: int


def sold_events(
    rated: Rated, batch: UsageBatch, book: TariffBook, vat_rates_bp: Mapping[str, int]
) -> Sold:
    """Say what customers pay for the events of one version; `vat_rates_bp` is by VAT code."""
    rows = np.flatnonzero(rated.reason == Reason.OK)
    amount, vat, revenue = (np.zeros(len(batch), np.int64) for _ in range(3))
    rates = np.array([vat_rates_bp[each.vat] for each in book.tariff.components], np.int64)
    gross = book.sold_gross(batch.offering[rows])
    amount[rows] = rated.amount_micro[rows]
    vat[rows] = np.where(gross, rates[rated.component[rows]], 0)
    revenue[rows] = without_vat(rated, batch, book, rows, vat_rates_bp)
    return Sold(amount, vat, revenue, rated.reason)


def second_run(
    batch: UsageBatch, services: Sequence[str], currencies: Sequence[str], wholesale: TariffBook,
    offering: str, vat_rates_bp: Mapping[str, int],
) -> tuple[UsageBatch, Rated]:  # fmt: skip
    """Rate usage with wholesale prices: all of it as one offering, nothing shared or included.

    What a partner charges by the event costs what the event brings, by the wholesale terms of its
    service; without terms the cost is not known. `services` and `currencies` are what those codes
    of the batch mean; `vat_rates_bp` is by VAT code, for prices that partners ask with VAT.
    """
    code = np.full(len(batch), wholesale.offering_index(offering), np.int32)
    named = in_codes_of(wholesale, batch, services, currencies)
    sold = replace(named, offering=code, pool=None, vat_rate_bp=None)
    asked = with_vat_rates(sold, wholesale, vat_rates_bp)
    return asked, rate(asked, wholesale)


def margins(
    batch: UsageBatch, sold: Sold, wholesale: TariffBook, cost: Rated, rates: Dated,
    rate_unit: int = MICRO,
) -> Margins:  # fmt: skip
    """Compare what events bring with what they cost.

    Parameters
    ----------
    sold : what customers pay for them.
    rates : what `rate_unit` of the wholesale tariff's currency is worth in the book's, by day.
    """
    rate_of_day = rates.at(local_days(wholesale.clock, batch.started_at))
    why = cost.reason.copy()
    why[(why == Reason.OK) & (rate_of_day == NOT_KNOWN)] = Reason.NO_RATE
    known = why == Reason.OK
    worth = np.where(known, rate_of_day, 0)
    converted = share_of(cost.amount_micro, worth, rate_unit)
    both = known & (sold.reason == Reason.OK)
    return Margins(
        sold.revenue_micro, converted, np.where(known, cost.amount_micro, 0),
        np.where(both, sold.revenue_micro - converted, 0), sold.reason, why,
    )  # fmt: skip


def costs(found: Margins, wholesale: TariffBook, cost: Rated) -> list[Cost]:
    """Sum what is owed, exactly, per partner and kind of traffic, in order of both.

    A component without partner owes to nobody: its text names whom it is for.
    """
    good = np.flatnonzero(found.cost_reason == Reason.OK)
    component = cost.component[good].astype(np.int64)
    count = len(wholesale.components)
    micro = sum_by_key(component, found.cost_own_micro[good], count).tolist()
    events = np.bincount(component, minlength=count).tolist()
    sums: dict[tuple[str, str], list[int]] = {}
    for place, terms in enumerate(wholesale.tariff.components):
        if events[place]:
            at = sums.setdefault((terms.partner or terms.text, terms.revenue), [0, 0])
            at[0] += micro[place]
            at[1] += events[place]
    currency = wholesale.tariff.currency
    return [Cost(*key, currency, *value) for key, value in sorted(sums.items())]


def cost_lines(
    owed: Cost, booked_minor: int, cost_account: str, supplier_account: str
) -> tuple[Line, ...]:
    """Draft what is not booked yet of what is owed to a partner; nothing where that is no øre."""
    micro = np.array([owed.micro], np.int64)
    minor = int(round_half_away(micro)[0]) - booked_minor
    named = {"partner": owed.partner}
    if not minor:
        return ()
    return (
        Line(account=cost_account, amount_minor=minor, currency=owed.currency, dimensions=named),
        Line(
            account=supplier_account, amount_minor=-minor, currency=owed.currency, dimensions=named
        ),
    )
