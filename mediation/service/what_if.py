"""Contracts as somebody asks about them: one subscription changed, ended, or sold something else.

The orders of a quote do what they would do if they came: a change gives the subscription another
offering at its list price from the first moment of its day, a cease ends it then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from ledger.errors import Invalid
from mediation.charging import Month
from mediation.service.contracts import Contracts
from mediation.wallclock import ZONE
from party.service import NOT_AGREED, ActiveIntervals, OrderCharge
from rating.quoted_asking import Asked, Order


class NotActive(Invalid):
    """A quote asks for use or an order at a time when the subscription does not have anything.

    Raise as: f"{subscription} is not active on {day}, so no order to {action} can take effect then;
    it is active {times}.".
    """

    title = "Subscription is not active then"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some time of the month with one offering and one payer. [UTC s]"""

    account: int
    offering: str
    begin: int
    end: int
    agreed_micro: int


@dataclass(frozen=True, slots=True, eq=False)
class Wished:
    """What is asked about: contracts with the change in them, and the orders that make it."""

    contracts: Contracts
    asked_days: Contracts  # with only those days of the subscription whose price is asked for
    ordered: tuple[OrderCharge, ...]  # those that are only asked about
    stretches: tuple[Stretch, ...]  # of the subscription, in order


def stretches_of(active: ActiveIntervals, subscription: int) -> tuple[Stretch, ...]:
    """Give the stretches of one subscription, in order."""
    return tuple(
        Stretch(
            int(active.billing_account_id[n]), active.offering[n], int(active.valid_from[n]),
            int(active.valid_to[n]), int(active.agreed_micro[n]),
        )
        for n in np.flatnonzero(active.subscription_id == subscription).tolist()
    )  # fmt: skip


def as_asked(contracts: Contracts, subscription: int, name: str, asked: Asked) -> Wished:
    """Change the contracts of a subscription as a quote asks.

    Parameters
    ----------
    name : what the subscription is called by who asks.

    Raises
    ------
    NotActive : it is not active when it would have to be.
    Invalid : it is added a second time, or changed before something that is ordered already.
    """
    own = stretches_of(contracts.active, subscription)
    held = list(own)
    _, after = Month("", asked.period).instants()
    begun: dict[tuple[int, str], datetime] = {}
    if asked.offering and asked.offering != held[0].offering:
        begun[subscription, asked.offering] = datetime.fromtimestamp(held[0].begin, UTC)
    if asked.offering:
        held = [_sold(one, asked.offering) for one in held]
    ordered = []
    for number, order in enumerate(sorted(asked.orders, key=lambda each: each.day), 1):
        at = _midnight(order.day)
        _check(order, at, held, name, after)
        (here,) = [one for one in held if one.begin <= at < one.end]
        ordered.append(_charge(order, number, subscription, here, at))
        if order.on == "change":
            begun[subscription, ordered[-1].offering] = ordered[-1].effective_at
        held = list(_after(held, order.on, at, ordered[-1].offering))
    wished = contracts
    if ordered or tuple(held) != own:
        wished = Contracts(
            _with(contracts.active, subscription, held),
            (*contracts.ordered, *ordered), contracts.agreed, begun,
        )  # fmt: skip
    days = _asked_days(wished, subscription, asked)
    if not stretches_of(days.active, subscription):
        raise NotActive(
            f"{name} is not active on the days asked for; it is active {told_stretches(held)}."
        )
    return Wished(wished, days, tuple(ordered), tuple(held))


def _check(order: Order, at: int, held: Sequence[Stretch], name: str, after: int) -> None:
    """Refuse an order that the party room would refuse.

    Parameters
    ----------
    after : the end of the month; an end before it was ordered already.
    """
    if order.on == "add":
        raise Invalid(
            f"{name} is there already, and is not added again. Ask for a change, or for the "
            "offering without a subscription."
        )
    if not any(one.begin <= at < one.end for one in held):
        raise NotActive(
            f"{name} is not active on {order.day}, so no order to {order.on} can take effect then; "
            f"it is active {told_stretches(held)}."
        )
    if order.on != "addon" and (held[-1].begin > at or held[-1].end < after):
        raise Invalid(
            f"What was ordered after {order.day} is not rewritten, so no order to {order.on} "
            f"{name} can come then; it is active {told_stretches(held)}."
        )


def _asked_days(contracts: Contracts, subscription: int, asked: Asked) -> Contracts:
    """Keep of a subscription the days that are asked for, and its orders on them.

    What it includes and what it has used are of the whole month all the same.
    """
    begin, end = first, after = Month("", asked.period).instants()
    if asked.active_from is not None:
        begin = max(begin, _midnight(asked.active_from))
    if asked.active_to is not None:
        end = min(end, _midnight(asked.active_to))
    if (begin, end) == (first, after):
        return contracts
    cut = [
        replace(one, begin=max(one.begin, begin), end=min(one.end, end))
        for one in stretches_of(contracts.active, subscription)
    ]
    return replace(
        contracts, active=_with(contracts.active, subscription, [
            one for one in cut if one.begin < one.end
        ]),
        ordered=tuple(
            one for one in contracts.ordered
            if one.subscription_id != subscription or begin <= one.effective_at.timestamp() < end
        ),
    )  # fmt: skip


def _sold(one: Stretch, offering: str) -> Stretch:
    """Sell another offering; an agreed price is of the offering that it was agreed for."""
    if one.offering == offering:
        return one
    return replace(one, offering=offering, agreed_micro=NOT_AGREED)


def _after(held: Sequence[Stretch], on: str, at: int, offering: str) -> Iterator[Stretch]:
    """Give the stretches as an order leaves them; a change to the same goes on unbroken."""
    for one in held:
        if on == "addon" or one.end <= at or (on == "change" and one.offering == offering):
            yield one
            continue
        if one.begin < at:
            yield replace(one, end=at)
        if on == "change":
            yield replace(one, begin=at, offering=offering, agreed_micro=NOT_AGREED)


def _charge(
    order: Order, number: int, subscription: int, held: Stretch, at: int
) -> OrderCharge:  # fmt: skip
    return OrderCharge(
        order_ref=f"quote/{number}", action=order.on, subscription_id=subscription,
        billing_account_id=held.account, offering=order.offering or held.offering,
        effective_at=datetime.fromtimestamp(at, UTC), agreed_price_micro=None,
    )  # fmt: skip


def _with(active: ActiveIntervals, subscription: int, held: Sequence[Stretch]) -> ActiveIntervals:
    """Give one subscription other stretches; all stay in order of subscription and time."""
    others = active.subscription_id != subscription
    rows = [(subscription, one.account, one.begin, one.end, one.agreed_micro) for one in held]
    own = np.array(rows, np.int64).reshape(-1, 5)
    known = (active.subscription_id, active.billing_account_id, active.valid_from, active.valid_to,
             active.agreed_micro)  # fmt: skip
    columns = [
        np.concatenate([column[others], mine]) for column, mine in zip(known, own.T, strict=True)
    ]
    names = [name for name, other in zip(active.offering, others.tolist(), strict=True) if other]
    names += [one.offering for one in held]
    order = np.lexsort((columns[2], columns[0]))
    who, account, begin, end, agreed = (column[order] for column in columns)
    offering = tuple(names[n] for n in order.tolist())
    return ActiveIntervals(who, account, offering, begin, end, agreed)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())


def told_stretches(held: Sequence[Stretch]) -> str:
    """Say when it is active, as local times."""
    spans = [
        " to ".join(
            f"{datetime.fromtimestamp(at, UTC).astimezone(ZONE):%Y-%m-%d %H:%M}"
            for at in (one.begin, one.end)
        )
        for one in held
    ]
    return ", ".join(spans) or "at no time of the month"
