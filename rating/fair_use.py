"""Roaming like at home: the volume of fair use by formula, and the surcharge on what lies beyond.

    volume = 2 x monthly price without VAT / wholesale cap per gigabyte, rounded up to an octet

Within the volume, data abroad costs what it costs at home; beyond, a surcharge is added, at most
the wholesale cap. Price, cap and rate of exchange of the first local day of the month give the
volume, which customers must be able to know; a surcharge has the cap and rate of its own day, by
the version of the tariff that priced the event.
Events use the volume in the order of their start, then of their key, not of arrival.

Source: Regulation (EU) 2022/612 articles 4 to 6 and 11; Implementing Regulation (EU) 2016/2286
article 4(2); in Norway by the regulation on electronic communications (ekomforskriften).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from rating.clock import local_days
from rating.dated import NOT_KNOWN, Dated, day_number, day_of, exchange_rates
from rating.drawing import first_come
from rating.pipeline import Rated
from rating.rounding import MICRO, Integers, Mode, divide, share_of
from rating.running_months import running_months
from rating.tariff import TariffBook
from rating.tariff_terms import FairUse, Offering
from rating.usage import MAX_QUANTITY, Int32, Int64, Reason, UsageBatch

BASIS_POINTS = 10_000
_TIMES = 2  # of the volume that the price pays for at the wholesale cap


@dataclass(frozen=True, slots=True, eq=False)
class Surcharges:
    """What lies beyond fair use, event by event; zero and -1 where nothing does."""

    beyond: Int64  # octets of the event
    amount_micro: Int64  # in the price basis of the offering
    component: Int32  # index into `book.components`
    price: Int64  # for so many octets, before rounding. [millionths]
    per: Int64


def fair_use_volume(
    price_micro: Integers, vat_rate_bp: int, cap_micro: int, gigabyte: int
) -> Int64:
    """Compute volumes of fair use.

    Parameters
    ----------
    price_micro : (n,) int64 monthly prices. [millionths]
    vat_rate_bp : the rate of the VAT inside the price, 0 where it has none. [1/100 per cent]
    cap_micro : the wholesale cap of a gigabyte in the same currency, above zero. [millionths]
    gigabyte : octets.

    Returns
    -------
    (n,) int64, no more than any event can use. [octets]
    """
    exact = price_micro.astype(object) * (_TIMES * BASIS_POINTS * gigabyte)
    volume = divide(exact, (BASIS_POINTS + vat_rate_bp) * cap_micro, Mode.UP)
    return np.minimum(volume, MAX_QUANTITY).astype(np.int64)


def beyond_volumes(
    batch: UsageBatch, rated: Rated, book: TariffBook, vat_rates_bp: Mapping[str, int],
    agreed_micro: Int64 | None = None,
) -> Int64:  # fmt: skip
    """Find what of a batch lies beyond fair use.

    Parameters
    ----------
    batch, rated : whole months of each subscription; what is suspended uses nothing.
    book : the version of the months' first day: a month has one volume.
    vat_rates_bp : by VAT code.
    agreed_micro : (n,) the monthly price of the event's subscription in place of the first one of
        its offering, in its price basis; negative for the list price.

    Returns
    -------
    (n,) int64. [octets]

    Raises
    ------
    FigureNotDated : there is no cap, or no rate of its currency, on the first day of a month.
    """
    beyond = np.zeros(len(batch), np.int64)
    agreed = np.full(len(batch), -1, np.int64) if agreed_micro is None else agreed_micro
    for offering, terms, rows in _counted(batch, rated, book):
        _serve(batch, book, offering, terms, rows, vat_rates_bp, agreed, beyond)
    return beyond


def surcharges(
    batch: UsageBatch, rated: Rated, book: TariffBook, vat_rates_bp: Mapping[str, int],
    beyond: Int64,
) -> Surcharges:  # fmt: skip
    """Price what lies beyond fair use, by the version that priced the events.

    Parameters
    ----------
    beyond : (n,) of `beyond_volumes`; what this version has no terms for costs nothing more.

    Raises
    ------
    FigureNotDated : there is no cap, or no rate of its currency, on a day that needs one.
    """
    count = len(batch)
    found = Surcharges(
        np.zeros(count, np.int64), np.zeros(count, np.int64), np.full(count, -1, np.int32),
        np.zeros(count, np.int64), np.ones(count, np.int64),
    )  # fmt: skip
    for offering, terms, counted in _counted(batch, rated, book):
        rows = counted[beyond[counted] > 0]
        if len(rows):
            found.beyond[rows] = beyond[rows]
            _surcharge(batch, book, offering, terms, rows, vat_rates_bp, found)
    return found


def _counted(
    batch: UsageBatch, rated: Rated, book: TariffBook
) -> Iterator[tuple[Offering, FairUse, Int64]]:
    """Give the events that each fair use of a book counts, where there are any."""
    for number, offering in enumerate(book.tariff.offerings):
        for terms in offering.fair_use:
            counted = np.array([book.components.index(name) for name in terms.components])
            rows = np.flatnonzero(
                (batch.offering == number) & (rated.reason == Reason.OK)
                & (batch.quantity > 0) & np.isin(rated.component, counted)
            )  # fmt: skip
            if len(rows):
                yield offering, terms, rows


def _serve(
    batch: UsageBatch, book: TariffBook, offering: Offering, terms: FairUse, rows: Int64,
    vat_rates_bp: Mapping[str, int], agreed: Int64, beyond: Int64,
) -> None:  # fmt: skip
    """Serve the events of one offering from their volumes of the month, in event order."""
    ran = running_months(batch, rows, book.clock)
    rows, heads = ran.rows, ran.heads
    caps = wholesale_caps(book)
    price = monthly_price(offering, agreed[rows[heads]])
    inside = _vat_of(book, offering.recurring[0].component, offering, vat_rates_bp)
    volume = np.zeros(len(heads), np.int64)
    for which in np.unique(ran.month).tolist():
        mine = ran.month[heads] == which
        cap = caps.on(date(which // 12, which % 12 + 1, 1))
        volume[mine] = fair_use_volume(price[mine], inside, cap, terms.gigabyte)
    used = batch.quantity[rows]
    beyond[rows] = used - within_volumes(used, volume, ran.group)


def _surcharge(
    batch: UsageBatch, book: TariffBook, offering: Offering, terms: FairUse, rows: Int64,
    vat_rates_bp: Mapping[str, int], found: Surcharges,
) -> None:  # fmt: skip
    """Price what events of one offering used beyond, each by the cap of its day."""
    caps = wholesale_caps(book)
    days = local_days(book.clock, batch.started_at[rows])
    found.component[rows] = book.components.index(terms.surcharge)
    with_vat = _vat_of(book, terms.surcharge, offering, vat_rates_bp)
    for day in np.unique(days).tolist():
        mine = rows[days == day]
        cap = caps.on(day_of(day))
        top, bottom = cap * (BASIS_POINTS + with_vat), BASIS_POINTS * terms.gigabyte
        if terms.price_micro is not None and terms.price_micro * BASIS_POINTS < top:
            top, bottom = terms.price_micro, terms.gigabyte
        found.price[mine], found.per[mine] = top, bottom
        found.amount_micro[mine] = share_of(found.beyond[mine], top, bottom)


def within_volumes(quantity: Int64, volume: Int64, group: Int64) -> Int64:
    """Give what each event may use of its group's volume; rows together, in event order."""
    within: Int64 = first_come(quantity, volume, group)
    return within


def monthly_price(offering: Offering, agreed_micro: Int64) -> Int64:
    """Give monthly prices: the offering's recurring ones, the first as agreed where it is."""
    listed = [each.price_micro for each in offering.recurring]
    own = np.where(agreed_micro >= 0, agreed_micro, listed[0])
    price: Int64 = own + sum(listed[1:])
    return price


def wholesale_caps(book: TariffBook) -> Dated:
    """Give the dated cap of a gigabyte in the tariff's currency, rounded down. [millionths]

    A new figure begins wherever the cap or the rate of its currency does.
    """
    rates = exchange_rates(book.tariff.exchange)
    caps = sorted(book.tariff.roaming_caps, key=lambda cap: cap.valid_from)
    rated_from = {each.valid_from for each in book.tariff.exchange}
    days = sorted(rated_from | {cap.valid_from for cap in caps})
    figures = []
    for day in days:
        in_force = [cap for cap in caps if cap.valid_from <= day]
        rate = NOT_KNOWN
        if in_force and in_force[-1].currency == book.tariff.currency:
            rate = MICRO
        elif in_force and in_force[-1].currency in rates:
            rate = int(rates[in_force[-1].currency].at(np.array([day_number(day)]))[0])
        if rate != NOT_KNOWN:
            figures.append((day, in_force[-1].gigabyte_micro * rate // MICRO))
    return Dated.of("wholesale cap on roaming data", figures)


def _vat_of(
    book: TariffBook, component: str, offering: Offering, vat_rates_bp: Mapping[str, int]
) -> int:
    """Give the rate of the VAT that prices of an offering hold for a component; 0 where net."""
    if offering.price_basis == "net":
        return 0
    return vat_rates_bp[book.tariff.components[book.components.index(component)].vat]
