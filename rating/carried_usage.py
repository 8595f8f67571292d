"""Events of a batch that bring their price: between usage columns and the terms of a book.

They have no zone and draw on no allowance; they are priced by the terms of their service on their
local day, in the price basis of their offering. A refund has a price below zero, whether the tariff
knows refunds of usage or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rating.carried import (
    CarriedCodes,
    CarriedEvents,
    CarriedPriced,
    carried_codes,
    carried_prices,
)
from rating.clock import local_days
from rating.tariff import TariffBook
from rating.usage import (
    CONTENT,
    MAX_QUANTITY,
    NO_SERVICE,
    UNKNOWN_SERVICE,
    VOICE,
    Bool,
    Int32,
    Int64,
    Reason,
    UsageBatch,
)

_BASIS_POINTS = 10_000


def brings_price(batch: UsageBatch) -> Bool:
    """Tell the events that are priced by what they bring, or should have brought."""
    if batch.service is None:
        return np.zeros(len(batch), np.bool_)
    carried: Bool = batch.service != NO_SERVICE
    return carried


def price_carried(batch: UsageBatch, book: TariffBook) -> CarriedPriced:
    """Price events, all of which are of a service; of several reasons the last of the list wins."""
    priced = carried_prices(
        _events(batch, book), book.tariff.carried, book.services, book.exchange, book.currencies,
        book.tariff.currency,
    )  # fmt: skip
    start = batch.started_at
    sold = (batch.offering >= 0) & (batch.offering < len(book.offerings))
    for why, wrong in (
        (Reason.NO_RATE, (priced.reason == Reason.OK) & _without_vat_rate(batch, book)),
        (Reason.NOT_YET_VALID, start < book.valid_from),
        (Reason.OUT_OF_RANGE, ~_on_calendar(batch, book) | (np.abs(batch.quantity) > MAX_QUANTITY)),
        (Reason.UNKNOWN_OFFERING, ~sold),
        (Reason.UNKNOWN_USAGE, (batch.usage_type < VOICE) | (batch.usage_type > CONTENT)),
    ):
        priced.reason[wrong] = why
    suspended = priced.reason != Reason.OK
    priced.amount_micro[suspended] = priced.base_micro[suspended] = 0
    priced.terms[suspended] = -1
    return priced


def explain_carried(
    batch: UsageBatch, book: TariffBook
) -> tuple[CarriedEvents, CarriedPriced, CarriedCodes]:
    """Say of events, all of which are of a service, what their amounts are made of."""
    events, priced = _events(batch, book), price_carried(batch, book)
    codes = carried_codes(
        events, priced, book.tariff.carried, book.exchange, book.currencies, book.tariff.currency
    )
    return events, priced, codes


def components_of(priced: CarriedPriced, book: TariffBook) -> Int32:
    """Give the component of each event, an index into the book's, -1 where suspended."""
    own = [book.components.index(each.component) for each in book.tariff.carried]
    found: Int32 = np.array([*own, -1], np.int32)[priced.terms]
    return found


def in_codes_of(
    book: TariffBook, batch: UsageBatch, services: Sequence[str], currencies: Sequence[str]
) -> UsageBatch:
    """Give a batch with the book's codes of services and currencies, by their names.

    Parameters
    ----------
    services, currencies : what the codes of the batch mean; one outside means the same as before.
    """
    if batch.service is None or batch.currency is None:
        return batch
    service = np.array([*book.service_codes(services), UNKNOWN_SERVICE, NO_SERVICE], np.int32)
    currency = np.array([*book.currency_codes(currencies), -1], np.int32)
    return replace(batch, service=service[batch.service], currency=currency[batch.currency])


def _events(batch: UsageBatch, book: TariffBook) -> CarriedEvents:
    assert batch.service is not None
    assert batch.price_micro is not None
    assert batch.currency is not None
    day = np.zeros(len(batch), np.int64)
    rows = np.flatnonzero(_on_calendar(batch, book))
    day[rows] = local_days(book.clock, batch.started_at[rows])
    return CarriedEvents(batch.service, day, batch.price_micro, batch.currency, _vat(batch, book))


def with_vat_rates(
    batch: UsageBatch, book: TariffBook, vat_rates_bp: Mapping[str, int]
) -> UsageBatch:
    """Give events that bring prices the rate of VAT of their component, unless they have one."""
    if batch.service is None or batch.vat_rate_bp is not None:
        return batch
    rows = np.flatnonzero(brings_price(batch))
    # What an event is charged as does not depend on the rate: with any of them it is found.
    own = replace(batch.take(rows), vat_rate_bp=np.zeros(len(rows), np.int32))
    priced = price_carried(own, book)
    known = [vat_rates_bp.get(each.vat, -1) for each in book.tariff.components]
    rates = np.full(len(batch), -1, np.int32)
    rates[rows] = np.array([*known, -1], np.int32)[components_of(priced, book)]
    return replace(batch, vat_rate_bp=rates)


def other_basis(batch: UsageBatch, book: TariffBook) -> Bool:
    """Tell the events whose price has VAT where their offering has not, or the other way round."""
    assert batch.with_vat is not None
    other: Bool = batch.with_vat != book.sold_gross(batch.offering)
    return other


def _without_vat_rate(batch: UsageBatch, book: TariffBook) -> Bool:
    unknown = True if batch.vat_rate_bp is None else batch.vat_rate_bp < 0
    return other_basis(batch, book) & unknown


def _vat(batch: UsageBatch, book: TariffBook) -> Int64:
    """Give what turns prices into the basis of their offerings, as two factors."""
    factors = np.ones((2, len(batch)), np.int64)
    if batch.vat_rate_bp is None or batch.with_vat is None:
        return factors
    rows = np.flatnonzero(other_basis(batch, book) & (batch.vat_rate_bp >= 0))
    inside = batch.with_vat[rows].astype(np.int64)
    factors[inside, rows] = _BASIS_POINTS + batch.vat_rate_bp[rows]
    factors[1 - inside, rows] = _BASIS_POINTS
    return factors


def _on_calendar(batch: UsageBatch, book: TariffBook) -> Bool:
    start: Int64 = batch.started_at
    return (start >= book.clock.first) & (start < book.clock.last)
