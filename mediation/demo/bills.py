"""What each billing account owes for the month: charges rounded to øre, invoices with VAT.

Charge key = (subscription, component) or one order's one-off. Its millionths are summed, then
rounded half away from zero. Consumers: keys are gross and split into net and VAT one by one.
Businesses: keys are net, VAT is computed on their sum.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from mediation.demo import wallclock
from mediation.demo.numbering import kid
from mediation.demo.plan import Plan
from mediation.demo.population import Subscription, orders_of
from mediation.demo.pricing import Priced, half_away
from mediation.demo.tariff import Tariff

MICRO_PER_MINOR = 10_000
VAT_PERCENT = 25


@dataclass
class Bill:
    """The invoice of one billing account."""

    account: str
    business: bool
    kid: str
    net_minor: int = 0
    vat_minor: int = 0
    lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # component → øre

    @property
    def gross_minor(self) -> int:
        """What is to be paid."""
        return self.net_minor + self.vat_minor


@dataclass(frozen=True)
class Billed:
    """All invoices, and what the charges come to per price basis and component."""

    bills: list[Bill]
    micro: dict[tuple[str, str], int]
    minor: dict[tuple[str, str], int]


def bill_month(
    plan: Plan, tariff: Tariff, subscriptions: list[Subscription], priced: Priced
) -> Billed:
    """Add recurring and one-off charges to the usage, and make one invoice per billing account."""
    charges: dict[tuple[int, str, int], int] = {
        (subscription, component, 0): amount
        for (subscription, component), amount in priced.charges.items()
    }
    for place, subscription in enumerate(subscriptions):
        _add_recurring(plan, tariff, place, subscription, charges)
        _add_one_off(plan, tariff, place, subscription, charges)
    return _collect(tariff, subscriptions, charges)


def _add_recurring(
    plan: Plan,
    tariff: Tariff,
    place: int,
    subscription: Subscription,
    charges: dict[tuple[int, str, int], int],
) -> None:
    """Charge the month in arrears: price × active days / days of the month, per interval."""
    for interval in subscription.intervals:
        since = max(wallclock.local_date(interval.start), plan.first_day)
        until = plan.next_month
        if interval.end is not None:
            until = min(until, wallclock.local_date(interval.end))
        days = (until - since).days
        for component, price in tariff.offerings[interval.offering].recurring:
            amount = half_away(price * max(days, 0), plan.days_in_month)
            key = (place, component, 0)
            charges[key] = charges.get(key, 0) + amount


def _add_one_off(
    plan: Plan,
    tariff: Tariff,
    place: int,
    subscription: Subscription,
    charges: dict[tuple[int, str, int], int],
) -> None:
    """Charge what orders of the month cost once; older orders were charged in their time."""
    for number, order in enumerate(orders_of(subscription), start=1):
        if order.effective >= plan.start:
            for component, price in tariff.offerings[order.offering].one_off.get(order.action, ()):
                charges[place, component, number] = price


def _collect(
    tariff: Tariff,
    subscriptions: list[Subscription],
    charges: dict[tuple[int, str, int], int],
) -> Billed:
    bills: dict[str, Bill] = {}
    micro: dict[tuple[str, str], int] = defaultdict(int)
    minor: dict[tuple[str, str], int] = defaultdict(int)
    for (place, component, _), amount in sorted(charges.items()):
        subscription = subscriptions[place]
        account = subscription.account
        bill = bills.setdefault(
            account.number, Bill(account.number, account.business, kid(account.number, 1))
        )
        gross = tariff.offerings[subscription.intervals[0].offering].gross
        assert gross or account.business, "the demo sells net prices to businesses only"
        rounded = half_away(amount, MICRO_PER_MINOR)
        basis = "gross" if gross else "net"
        micro[basis, component] += amount
        minor[basis, component] += rounded
        bill.lines[component] += rounded
        net = half_away(rounded * 100, 100 + VAT_PERCENT) if gross else rounded
        bill.net_minor += net
        bill.vat_minor += rounded - net
    for bill in bills.values():
        if bill.business:
            bill.vat_minor = half_away(bill.net_minor * VAT_PERCENT, 100)
    return Billed([bills[number] for number in sorted(bills)], micro, minor)
