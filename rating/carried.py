"""Prices that events bring with them: content, and what partners charge (TAP); with a mark-up.

    amount = round(base + min(maximum, max(minimum, base x percent + fixed)))
    base = price x rate of exchange x (1 + VAT)          or / (1 + VAT)

The price is converted at the rate of its day, and to the price basis of the offering where that is
another: a mark-up is a price of the tariff, with or without VAT like all others. The mark-up is
held to its limits, and the sum is rounded once. A refund is the negative of the same charge. A
price of zero stays zero: nothing was sold that a mark-up could be on. An event without price, of a
service that the tariff does not know then, or in a currency without rate, is suspended and never
free.

Why an event costs what it does is computed apart from that, price by price with Python's integers:

    amount = price + mark-up + rounding

Source: docs/pricing.md, "Prices that events bring".
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
from rating.usage import NO_PRICE, Bool, Int16, Int32, Int64, Reason


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
    vat: Int64 | None = (
        None  # (2, n) what turns the price into its offering's basis: x first / second
    )

    def factors(self) -> Int64:
        """Give `vat`, one where the price is taken as it is."""
        if self.vat is None:
            return np.ones((2, len(self.price_micro)), np.int64)
        return self.vat


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
    lacking = events.price_micro == NO_PRICE
    reason[lacking] = Reason.NO_PRICE
    reason[(chosen < 0) | (~lacking & (rate == NOT_KNOWN))] = Reason.NO_RATE
    amount, base = np.zeros(count, np.int64), np.zeros(count, np.int64)
    good = np.flatnonzero(reason == Reason.OK)
    alike = np.stack([chosen[good].astype(np.int64), rate[good], *events.factors()[:, good]])
    kinds, place = np.unique(alike, axis=1, return_inverse=True)
    for number, (which, rate_micro, times, per) in enumerate(kinds.T.tolist()):
        worth = (rate_micro * times, MICRO * per)
        rows = good[place.ravel() == number]
        price, markup = events.price_micro[rows], terms[which].markup()
        amount[rows], fits = _as_fits(price, worth, markup)
        base[rows], _ = _as_fits(price, worth, Markup())
        reason[rows[~fits]] = Reason.OVERFLOW
    suspended = reason != Reason.OK
    amount[suspended] = base[suspended] = 0
    chosen[suspended] = -1
    return CarriedPriced(amount, base, chosen, reason)


@dataclass(frozen=True, slots=True, eq=False)
class CarriedCodes:
    """What each amount is made of; refunds have the opposite signs. [millionths]"""

    price_micro: Int64  # converted
    markup_micro: Int64  # within its limits
    rounding_micro: Int64  # of the sum, once, against that of its parts


def carried_codes(
    events: CarriedEvents,
    priced: CarriedPriced,
    terms: Sequence[Carried],
    exchange: Mapping[str, Dated],
    currencies: tuple[str, ...],
    own: str = "NOK",
) -> CarriedCodes:
    """Explain events that bring a price; of `priced` only the terms are believed."""
    parts = np.zeros((3, len(events.price_micro)), np.int64)
    rate = rates_at(exchange, own, currencies, events.currency, events.day)
    rows = np.flatnonzero(priced.reason == Reason.OK)
    alike = np.stack([
        priced.terms[rows].astype(np.int64), rate[rows], *events.factors()[:, rows],
        events.price_micro[rows],
    ])  # fmt: skip
    kinds, place = np.unique(alike, axis=1, return_inverse=True)
    told = [_parts(terms[which], *rest) for which, *rest in kinds.T.tolist()]
    parts[:, rows] = np.array(told or np.zeros((0, 3)), np.int64).T[:, place.ravel()]
    return CarriedCodes(*parts)


def _parts(
    terms: Carried, worth: int, times: int, divided: int, price: int
) -> tuple[int, int, int]:
    """Take one amount apart: price, mark-up, rounding."""
    size, sign = abs(price), (price > 0) - (price < 0)
    per = 100 * MICRO * MICRO * divided
    base = size * worth * times * 100 * MICRO
    added = size * worth * times * terms.percent_micro + terms.fixed_micro * per
    added = max(added, terms.minimum_micro * per)
    if terms.maximum_micro is not None:
        added = min(added, terms.maximum_micro * per)
    cost, markup, total = ((2 * exact + per) // (2 * per) for exact in (base, added, base + added))
    return sign * cost, sign * markup, sign * (total - cost - markup)


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


def _as_fits(price: Int64, worth: tuple[int, int], markup: Markup) -> tuple[Int64, Bool]:
    """Price rows of one rate and mark-up; says which of them fit in 62 bits."""
    try:
        return marked_up(price, worth, markup), np.ones(len(price), np.bool_)
    except Overflow:
        exact = marked_up(price.astype(object), worth, markup)
        fits = np.abs(exact) < FITS
        return np.where(fits, exact, 0).astype(np.int64), fits.astype(np.bool_)


def _reduced(fraction: tuple[int, int]) -> tuple[int, int]:
    common = gcd(*fraction)
    return fraction[0] // common, fraction[1] // common
