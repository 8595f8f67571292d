"""Who subscribes to what: customers, billing accounts, subscriptions and their orders.

Four of five subscriptions belong to households of one to three, the rest to organisations of three
to twelve. Most exist before the month; a few are added, changed, extended or ceased in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mediation.demo import wallclock
from mediation.demo.numbering import valid_numbers
from mediation.demo.plan import Plan

CONSUMER_OFFERINGS = (
    "MOBIL-1GB",
    "MOBIL-5GB",
    "MOBIL-5GB",
    "MOBIL-5GB",
    "MOBIL-15GB",
    "MOBIL-15GB",
)
BUSINESS_OFFERINGS = ("BEDRIFT-BASIS", "BEDRIFT-BASIS", "BEDRIFT-PLUSS")
UPGRADE = {"MOBIL-1GB": "MOBIL-5GB", "MOBIL-5GB": "MOBIL-15GB", "MOBIL-15GB": "MOBIL-5GB"}
ADD_ON = "EKSTRA-SIM"
UNKNOWN_OFFERING = "MOBIL-99GB"

CITIES = (
    ("0150", "Oslo"),
    ("4006", "Stavanger"),
    ("5003", "Bergen"),
    ("7010", "Trondheim"),
    ("9008", "Tromsø"),
)


@dataclass(frozen=True)
class Account:
    """A billing account with its one customer."""

    number: str  # 8 digits
    customer_no: str  # 8 digits
    business: bool
    org_no: str  # "" for persons
    house: int

    @property
    def name(self) -> str:
        """A name that nobody bears."""
        return f"Bedrift {self.customer_no} AS" if self.business else f"Kunde {self.customer_no}"


@dataclass(frozen=True)
class Interval:
    """A subscription is on an offering from one instant to another, half-open; None is open."""

    start: int
    end: int | None
    offering: str


@dataclass
class Subscription:
    """A SIM card with its number, and what its orders made of it."""

    number: int  # 1, 2, 3 ... in order of creation
    account: Account
    intervals: list[Interval]
    add_ons: list[int] = field(default_factory=list)  # instants of purchase

    @property
    def id(self) -> str:
        """The order system's name of the subscription."""
        return f"SUB{self.number:07d}"

    @property
    def imsi(self) -> str:
        """Home network 242-01, a range of its own."""
        return f"242011{self.number:09d}"

    @property
    def msisdn(self) -> str:
        """E.164 without '+'."""
        return f"4791{self.number:06d}"


@dataclass(frozen=True)
class Order:
    """One row of an order file."""

    action: str  # add | change | addon | cease
    effective: int
    subscription: Subscription
    offering: str


def populate(plan: Plan) -> list[Subscription]:
    """Create all subscriptions of the month with their offerings over time."""
    dice = plan.dice(1)
    subscriptions = list(_found(plan, dice))
    _change_in_month(plan, dice, subscriptions)
    return subscriptions


def _found(plan: Plan, dice: np.random.Generator) -> Iterator[Subscription]:
    """Fill accounts one by one; of eight, the second is a business while any is wanted."""
    business_left = plan.subscribers // 5
    org_nos = iter(valid_numbers(30_100_000, business_left // 3 + 1))
    number = accounts = 0
    while number < plan.subscribers:
        accounts += 1
        left = plan.subscribers - number
        business = business_left >= 3 and accounts % 8 == 2
        size = int(dice.integers(3, 13)) if business else int(dice.choice((1, 1, 1, 1, 2, 2, 3)))
        size = 2 if accounts == 1 else min(size, left, business_left if business else left)
        business_left -= size if business else 0
        account = Account(
            number=f"{30_000_000 + accounts}",
            customer_no=f"{(20_000_000 if business else 10_000_000) + accounts}",
            business=business,
            org_no=next(org_nos) if business else "",
            house=int(dice.integers(1, 200)),
        )
        offerings = BUSINESS_OFFERINGS if business else CONSUMER_OFFERINGS
        for _ in range(size):
            number += 1
            offering = offerings[int(dice.integers(len(offerings)))]
            since = plan.start - int(dice.integers(2, 420)) * wallclock.DAY
            midnight = wallclock.midnight(wallclock.local_date(since))
            yield Subscription(number, account, [Interval(midnight, None, offering)])


def _instant(plan: Plan, dice: np.random.Generator, *, early: bool) -> int:
    """Choose office hours of a day from the second on; `early` keeps it inside short months."""
    day = 2 if early else int(dice.integers(2, plan.days_in_month))
    return plan.start + (day - 1) * wallclock.DAY + int(dice.integers(9 * 60, 18 * 60)) * 60


def _change_in_month(
    plan: Plan, dice: np.random.Generator, subscriptions: list[Subscription]
) -> None:
    """Let a few consumers join, change, buy and leave; no subscription does two of these.

    The first of each kind acts on day 2, so that even the shortest demo month shows it.
    """
    consumers = [s for s in subscriptions if not s.account.business]
    chosen = [consumers[int(i)] for i in dice.permutation(len(consumers))]
    few = max(1, plan.subscribers // 33)
    for place in range(few):
        early = place == 0
        joiner, changer, buyer, leaver = chosen[4 * place : 4 * place + 4]
        offering = joiner.intervals[0].offering
        joiner.intervals = [Interval(_instant(plan, dice, early=early), None, offering)]
        _switch(changer, _instant(plan, dice, early=early), UPGRADE)
        buyer.add_ons.append(_instant(plan, dice, early=early))
        since = leaver.intervals[0]
        until = _instant(plan, dice, early=early)
        leaver.intervals = [Interval(since.start, until, since.offering)]


def _switch(subscription: Subscription, at: int, path: dict[str, str]) -> None:
    since = subscription.intervals[0]
    subscription.intervals = [
        Interval(since.start, at, since.offering),
        Interval(at, None, path[since.offering]),
    ]


def orders_of(subscription: Subscription) -> Iterator[Order]:
    """Derive the orders that made a subscription what it is."""
    first = subscription.intervals[0]
    yield Order("add", first.start, subscription, first.offering)
    for interval in subscription.intervals[1:]:
        yield Order("change", interval.start, subscription, interval.offering)
    for instant in subscription.add_ons:
        yield Order("addon", instant, subscription, ADD_ON)
    last = subscription.intervals[-1]
    if last.end is not None:
        yield Order("cease", last.end, subscription, last.offering)
