"""What a quote is asked for: a subscription in a month, its use, its orders."""

from dataclasses import dataclass
from datetime import date

from rating.quoted_allowances import Remaining
from rating.quoted_events import Event


@dataclass(frozen=True, slots=True)
class Order:
    """An order that costs something once."""

    on: str  # add | change | addon | cease
    day: date
    offering: str = ""  # what is ordered; empty is the subscription's own


@dataclass(frozen=True, slots=True)
class Asked:
    """A subscription to an offering in a month: what it uses, when it is active, what it orders.

    Without `active_from` no monthly price is asked for: only what the events cost.
    """

    offering: str
    period: str  # 2026-03
    events: tuple[Event, ...] = ()
    orders: tuple[Order, ...] = ()
    active_from: date | None = None
    active_to: date | None = None  # the day after the last; None is the end of the month
    remaining: tuple[Remaining, ...] = ()  # what is not said is as for a new subscription
