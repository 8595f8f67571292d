"""Cases about prices that events bring, and who gets them: carried_price, revenue_share."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np

from rating.carried import Carried, CarriedEvents, carried_prices
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text, decimal_texts
from rating.dated import Exchange, day_number, exchange_rates
from rating.revenue_shares import Share, Sharing, split
from rating.rounding import FITS, MICRO
from rating.usage import NO_PRICE, Reason

_OWN_CURRENCY = "NOK"


def millionths(fields: Fields, name: str, default: Figure | None = None) -> int:
    """Read a decimal as production keeps it: in millionths, at most six decimals."""
    found = fields.number(name) if default is None else fields.number(name, default)
    if found.decimals > 6:
        raise fields.fault(name, "has more than six decimals")
    scaled = found.scaled(MICRO)
    if abs(scaled) >= FITS:
        raise fields.fault(name, "does not fit in 62 bits of millionths")
    return scaled


def positive_millionths(fields: Fields, name: str, default: Figure | None = None) -> int:
    """Read a rate of exchange or a cap, in millionths: above zero."""
    found = millionths(fields, name, default)
    if found <= 0:
        raise fields.fault(name, "must be above zero")
    return found


def carried_price(given: Mapping[str, Any]) -> dict[str, Any]:
    """Price events that bring a price: converted at the rate of their day, with a mark-up."""
    fields = Fields(given)
    rates = exchange_rates(
        Exchange(item.text("currency"), item.day("valid_from"), positive_millionths(item, "rate"))
        for item in fields.objects("exchange", needed=False)
    )
    terms = [_terms(item) for item in fields.objects("terms")]
    events = fields.objects("events")
    services = tuple(sorted({item.text("service") for item in events}))
    currencies = tuple(sorted({item.text("currency", _OWN_CURRENCY) for item in events}))
    priced = carried_prices(
        CarriedEvents(
            np.array([services.index(item.text("service")) for item in events], np.int32),
            np.array([day_number(item.day("on")) for item in events], np.int64),
            np.array(
                [millionths(i, "price") if i.has("price") else NO_PRICE for i in events], np.int64
            ),
            np.array(
                [currencies.index(item.text("currency", _OWN_CURRENCY)) for item in events],
                np.int32,
            ),
        ),
        terms, services, rates, currencies, _OWN_CURRENCY,
    )  # fmt: skip
    return {
        "charges": [
            {"event": event.text("id"), "rejected": _rejected(Reason(int(reason)))}
            if reason
            else {
                "event": event.text("id"),
                "amount": decimal_text(int(amount), MICRO),
                "markup": decimal_text(int(amount - base), MICRO),
            }
            for event, amount, base, reason in zip(
                events, priced.amount_micro, priced.base_micro, priced.reason, strict=True
            )
        ]
    }


def _rejected(reason: Reason) -> str:
    """Name a reason as cases do: to them an event without a price is one that has no rate."""
    return (Reason.NO_RATE if reason is Reason.NO_PRICE else reason).name.lower()


def _terms(item: Fields) -> Carried:
    most = millionths(item, "maximum") if item.has("maximum") else None
    return Carried(
        service=item.text("service"),
        component="",
        valid_from=item.day("valid_from") if item.has("valid_from") else date.min,
        percent_micro=millionths(item, "percent", Figure(0)),
        fixed_micro=millionths(item, "fixed", Figure(0)),
        minimum_micro=millionths(item, "minimum", Figure(0)),
        maximum_micro=most,
    )


def revenue_share(given: Mapping[str, Any]) -> dict[str, Any]:
    """Split prices over holders and provider, to whole øre."""
    fields = Fields(given)
    shares = tuple(
        Share(
            item.text("holder"),
            millionths(item, "percent", Figure(0)),
            millionths(item, "fixed", Figure(0)),
        )
        for item in fields.objects("shares", needed=False)
    )
    provider = fields.text("provider")
    prices = fields.numbers("prices")
    if any(price.decimals > 2 for price in prices):
        raise fields.fault("prices", "are charged in whole hundredths")
    if any(abs(price.scaled(100)) >= FITS for price in prices):
        raise fields.fault("prices", "do not fit in 62 bits of hundredths")
    parts = split(
        np.array([price.scaled(100) for price in prices], np.int64),
        Sharing(provider, "NO", shares),
        100,
    )
    holders = [*(share.holder for share in shares), provider]
    return {
        "holders": holders,
        "shares": [decimal_texts(row, 100) for row in parts],
    }


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "carried_price": carried_price,
    "revenue_share": revenue_share,
}
