"""Prices that events bring with them: content, and what partners charge (TAP); with a mark-up.

    amount = round(base + min(maximum, max(minimum, base x percent + fixed))),  base = price x rate

The price is converted at the rate of its day, the mark-up is held to its limits, and the sum is
rounded once. A refund is the negative of the same charge. A price of zero stays zero: nothing was
sold that a mark-up could be on. An event without price, of a service that the tariff does not know
then, or in a currency without rate, is suspended and never free.

Source: reference design, rating 1.5 and 4.8; docs/pricing.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import gcd

import numpy as np

from rating.dated import NOT_KNOWN, Dated, rates_at
from rating.revenue_shares import Sharing
from rating.rounding import (
    FITS,
    MICRO,
    Integers,
    Overflow,
    Rounding,
    by_magnitude,
    check_integers,
    narrow,
    round_ratio,
)
from rating.usage import Bool, Int16, Int32, Int64, Reason

NO_PRICE = np.iinfo(np.int64).min  # of an event that should have brought a price and did not


@dataclass(frozen=True, slots=True)
class Markup:
    """What is added to a price; limits are of the addition. [currency units]"""

    rate: tuple[int, int] = (0, 1)  # numerator, denominator: 10 % is (10, 100)
    fixed: int = 0
    minimum: int = 0
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A service whose price the event brings, from a day on. Amounts in millionths."""

    service: str
    component: str
    valid_from: date
    percent_micro: int = 0  # 10 % is 10_000_000
    fixed_micro: int = 0
    minimum_micro: int = 0
    maximum_micro: int | None = None
    sharing: Sharing | None = None  # where the price is another's: who gets what of it

    def markup(self) -> Markup:
        """Give the mark-up as the kernel takes it."""
        return Markup(
            (self.percent_micro, 100 * MICRO), self.fixed_micro, self.minimum_micro,
            self.maximum_micro,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class CarriedEvents:
    """Events with prices of their own, columns of equal length."""

    service: Int32  # index into `services` of the call, anything else is unknown
    day: Int64  # local days since 1970
    price_micro: Int64  # of either sign, in the event's currency; NO_PRICE where it brought none
    currency: Int32  # index into `currencies` of the call


@dataclass(frozen=True, slots=True, eq=False)
class CarriedPriced:
    """The outcome per event; zero and -1 where suspended."""

    amount_micro: Int64  # with mark-up, in the tariff's currency
    base_micro: Int64  # without; the mark-up is the difference
    terms: Int32  # index into the terms that applied
    reason: Int16  # a `Reason`; 0 is priced


def marked_up(
    price: Integers,
    rate: tuple[int, int],
    markup: Markup,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> Integers:
    """Convert prices at one rate and add one mark-up, rounded once.

    Parameters
    ----------
    price : (n,) int64 of either sign. [units of the event's currency]
    rate : numerator and denominator of what one unit is worth, above zero.
    rounding : None for whole units, half away from zero.

    Returns
    -------
    (n,) int64. [units of the tariff's currency]

    Raises
    ------
    Overflow : an amount does not fit in int64.
    """
    check_integers(price, "Prices")
    top, bottom = _reduced(rate)
    over, under = _reduced(markup.rate)
    common = bottom * under

    def compute(column: Integers) -> Integers:
        size = np.abs(column)
        added = size * (top * over) + markup.fixed * common
        added = np.maximum(added, markup.minimum * common)
        if markup.maximum is not None:
            added = np.minimum(added, markup.maximum * common)
        exact = np.sign(column) * (size * (top * under) + added)
        return round_ratio(exact, common, units_per_currency, rounding)

    room = FITS - 1 - (markup.fixed + markup.minimum + (markup.maximum or 0)) * common
    safe = room // (top * (under + over))
    if safe <= 0 and price.dtype != np.object_:
        return narrow(compute(price.astype(object)), "An amount")
    return by_magnitude(compute, price, safe=safe)


def carried_prices(
    events: CarriedEvents,
    terms: Sequence[Carried],
    services: tuple[str, ...],
    exchange: Mapping[str, Dated],
    currencies: tuple[str, ...],
    own: str = "NOK",
) -> CarriedPriced:
    """Price events that bring a price.

    Parameters
    ----------
    terms : what the tariff says; of a service the last that has begun holds.
    services, currencies : what the codes of the events mean.
    exchange : dated rates by currency. [millionths of the own currency]
    """
    count = len(events.price_micro)
    chosen = _terms_at(events, terms, services)
    rate = rates_at(exchange, own, currencies, events.currency, events.day)
    reason = np.zeros(count, np.int16)
    reason[(chosen < 0) | (rate == NOT_KNOWN) | (events.price_micro == NO_PRICE)] = Reason.NO_RATE
    amount, base = np.zeros(count, np.int64), np.zeros(count, np.int64)
    good = np.flatnonzero(reason == Reason.OK)
    pairs, place = np.unique(
        np.stack([chosen[good].astype(np.int64), rate[good]]), axis=1, return_inverse=True
    )
    for number, (which, worth) in enumerate(pairs.T.tolist()):
        rows = good[place.ravel() == number]
        price, markup = events.price_micro[rows], terms[which].markup()
        amount[rows], fits = _as_fits(price, worth, markup)
        base[rows], _ = _as_fits(price, worth, Markup())
        reason[rows[~fits]] = Reason.OVERFLOW
    suspended = reason != Reason.OK
    amount[suspended] = base[suspended] = 0
    chosen[suspended] = -1
    return CarriedPriced(amount, base, chosen, reason)


def sharing_by_component(terms: Sequence[Carried], day: date) -> dict[str, Sharing]:
    """Give who shares in what is charged for each component on a day: the last that has begun."""
    found: dict[str, Sharing] = {}
    for each in sorted(terms, key=lambda one: one.valid_from):
        if each.valid_from > day:
            continue
        if each.sharing is None:
            found.pop(each.component, None)
        else:
            found[each.component] = each.sharing
    return found


def _terms_at(events: CarriedEvents, terms: Sequence[Carried], services: tuple[str, ...]) -> Int32:
    """Find the terms of each event's service in force on its day, -1 where none are."""
    chosen = np.full(len(events.day), -1, np.int32)
    for code, service in enumerate(services):
        rows = np.flatnonzero(events.service == code)
        mine = [(each.valid_from, at) for at, each in enumerate(terms) if each.service == service]
        chosen[rows] = Dated.of(f"terms of {service}", mine).at(events.day[rows])
    return chosen


def _as_fits(price: Int64, worth: int, markup: Markup) -> tuple[Int64, Bool]:
    """Price rows of one rate and mark-up; says which of them fit in 62 bits."""
    try:
        return marked_up(price, (worth, MICRO), markup), np.ones(len(price), np.bool_)
    except Overflow:
        exact = marked_up(price.astype(object), (worth, MICRO), markup)
        fits = np.abs(exact) < FITS
        return np.where(fits, exact, 0).astype(np.int64), fits.astype(np.bool_)


def _reduced(fraction: tuple[int, int]) -> tuple[int, int]:
    common = gcd(*fraction)
    return fraction[0] // common, fraction[1] // common
