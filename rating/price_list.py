"""A tariff as lists of prices and terms: what the desk's page and `hovedbok rating show` say.

Prices are named one by one; every other term comes from a walk over the values of the tariff, so
that what the format learns is shown without being named.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rating.all_terms import component_of, contracts_of, name_of, said, sections_of, terms_of
from rating.explain import kroner
from rating.listing import rate_terms
from rating.measures import measured, units_of
from rating.phrases import Language
from rating.tariff_terms import UNIT_OF_USAGE, Allowance, Offering, Rate, Tariff, TopUp

# Terms of an allowance that count what it counts.
_QUANTITIES = {"increment", "member_cap", "rollover_most"}


@dataclass(frozen=True, slots=True)
class Price:
    """A line of a price list: what it is for, what it costs, and its further terms."""

    what: str
    price: str
    terms: str
    component: str


def terms_for_all(tariff: Tariff, language: Language = "nb") -> list[Price]:
    """Write what holds for all products: exchange, carried prices, limits, discounts, frames."""
    listed = [
        Price(_kind(kind, part), "", said(part, language), component_of(part) or "")
        for kind, _, part in sections_of(tariff)
    ]  # fmt: skip
    if tariff.currency != "NOK":
        listed.insert(0, Price("Currency", "", f"all prices are in {tariff.currency}", ""))
    if tariff.sells != "retail":
        listed.insert(0, Price("Prices of partners", "", f"{tariff.sells}: customers do not pay "
                               "by it", ""))  # fmt: skip
    return listed


def price_list(tariff: Tariff, offering: Offering, language: Language = "nb") -> list[Price]:
    """Write the price list of a product: by the month, once, what is included, by use, by term."""
    listed = [
        Price(
            "Each month", kroner(month.price_micro, language),
            "by the days it is active" if month.proration == "days" else "whole, once a month",
            month.component,
        )
        for month in offering.recurring
    ]  # fmt: skip
    listed += [
        Price(f"Once, on {once.on}", kroner(once.price_micro, language), "", once.component)
        for once in offering.one_off
    ]
    listed += [_included(tariff, allowance, language) for allowance in offering.allowances]
    listed += [
        _top_up(tariff, part, language) if isinstance(part, TopUp) else
        Price(_kind(kind, part), "", said(part, language), component_of(part) or "")
        for kind, _, part in contracts_of(offering)
    ]  # fmt: skip
    if offering.frame is not None:
        listed.append(Price("Frame", "", offering.frame, ""))
    for rate in offering.rates:
        where = f"{rate.usage} to {rate.zone}{f', {rate.band}' if rate.band else ''}"
        listed.append(
            Price(
                where, f"{kroner(rate.price_micro, language)} per {_per(rate)}",
                "; ".join(rate_terms(rate, language)), rate.component,
            )
        )  # fmt: skip
    return listed


def _included(tariff: Tariff, allowance: Allowance, language: Language) -> Price:
    """Write what a month includes, and the terms of it."""
    terms = [
        word
        for word, holds in (("shared", allowance.shared), ("by days", allowance.prorate))
        if holds
    ]
    terms += [
        f"{key.replace('_', ' ')} "
        + (_amount(tariff, allowance, getattr(allowance, key), language)
           if key in _QUANTITIES else text)
        for key, text in terms_of(allowance, language)
        if key not in {"id", "components", "quantity", "prorate", "shared", "money"}
    ]  # fmt: skip
    return Price(
        f"Included: {allowance.id}", _amount(tariff, allowance, allowance.quantity, language),
        ", ".join(terms), ", ".join(allowance.components),
    )  # fmt: skip


def _top_up(tariff: Tariff, part: TopUp, language: Language) -> Price:
    """Write what is added to an allowance, which may be of another product."""
    topped = next(
        allowance
        for offering in tariff.offerings
        for allowance in offering.allowances
        if allowance.id == part.allowance
    )
    added = _amount(tariff, topped, part.quantity, language)
    return Price(f"Added to {topped.id}", added, "until the month ends", "")


def _amount(tariff: Tariff, allowance: Allowance, quantity: int, language: Language) -> str:
    """Write so much of an allowance: kroner, or usage in its unit."""
    if allowance.money:
        return kroner(quantity, language)
    return measured(quantity, units_of(tariff, allowance))


def _kind(kind: str, part: object) -> str:
    """Name a term: its kind, and what tells it from others of its kind where anything does."""
    told = kind.replace("_", " ").capitalize()
    return f"{told}: {name}" if (name := name_of(part)) else told


def _per(rate: Rate) -> str:
    """Say what a price is for: 60 s, a message, 1 GB."""
    unit = UNIT_OF_USAGE[rate.usage]
    if unit == "octet":
        return measured(rate.per, (unit,))
    return unit if rate.per == 1 else f"{rate.per:,} {unit}".replace(",", " ")


def price_lines(listed: list[Price]) -> Iterator[str]:
    """Write a list for a terminal: the price, what it is for, its terms and its component."""
    for one in listed:
        told = "; ".join(part for part in (one.what, one.terms, one.component) if part)
        yield f"{one.price:>18}  {told}"
