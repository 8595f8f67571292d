"""Cases about parts of a period: proration, plan_change, seat_change."""

from collections.abc import Callable, Mapping
from math import lcm
from typing import Any

import numpy as np

from ledger.errors import Invalid
from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text, decimal_texts, exactly, units_for
from rating.changes import SeatTier, change_lines, seat_amount
from rating.proration import (
    Share,
    actual_over_fixed_share,
    actual_share,
    calendar_months_share,
    fixed_month_share,
)
from rating.rounding import share_of

BASES = ("actual", "fixed_month", "actual_over_fixed", "calendar_months", "fraction")
_ZERO = Figure(0)


def read_share(terms: Fields) -> Share:
    """Read a proration of any basis as a share."""
    basis = terms.choice("basis", BASES)
    try:
        if basis == "fraction":
            top, bottom = terms.number("numerator"), terms.positive("denominator")
            units = units_for([top, bottom])
            return Share(top.scaled(units), bottom.scaled(units))
        service = terms.day("service_from"), terms.day("service_to")
        if basis == "calendar_months":
            return calendar_months_share(service)
        if basis == "actual":
            return actual_share(service, (terms.day("period_from"), terms.day("period_to")))
        fixed_days = terms.whole("fixed_days", 30)
        if fixed_days <= 0:
            raise terms.fault("fixed_days", "must be above zero")
        counted = fixed_month_share if basis == "fixed_month" else actual_over_fixed_share
        return counted(service, fixed_days)
    except Invalid as fault:
        told = f"is wrong: {str(fault).rstrip('.')}"
        raise fault if "pointer" in fault.facts else terms.fault("", told) from None


def proration(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take the part of a full amount."""
    fields = Fields(given)
    full, share = fields.number("full_amount"), read_share(fields.object("proration"))
    rounding = fields.rounding()
    units = units_for([full], rounding) * share.denominator
    amount = exactly(
        lambda whole, top, bottom: share_of(whole, top, bottom, units, rounding),
        [full.scaled(units)], [share.numerator], [share.denominator],
    )  # fmt: skip
    return {"amount": decimal_text(int(amount[0]), units)}


def plan_change(given: Mapping[str, Any]) -> dict[str, Any]:
    """Credit what is left of one plan and charge the rest of the period of another."""
    fields = Fields(given)
    rounding = fields.rounding("line_rounding")
    items = [(-1, item) for item in fields.objects("credit", needed=False)]
    items += [(1, item) for item in fields.objects("charge", needed=False)]
    full = [item.number("full_amount") for _, item in items]
    shares = [read_share(item.object("proration")) for _, item in items]
    units = units_for(full, rounding) * lcm(*(share.denominator for share in shares))
    sign = np.array([each for each, _ in items], np.int64)
    lines = exactly(
        lambda whole, top, bottom: change_lines(sign, whole, top, bottom, units, rounding),
        [figure.scaled(units) for figure in full],
        [share.numerator for share in shares],
        [share.denominator for share in shares],
    )
    return {
        "net": decimal_text(sum(lines.tolist()), units),
        "lines": decimal_texts(lines, units),
    }


def seat_change(given: Mapping[str, Any]) -> dict[str, Any]:
    """Price seats that change in number within a period."""
    fields = Fields(given)
    changes, rounding = fields.objects("changes"), fields.rounding()
    tiers = fields.object("tariff").objects("tiers")
    change = [each.number("units") for each in changes]
    prorated = [each.number("prorated_units") for each in changes]
    bounds = [tier.positive("up_to") if tier.has("up_to") else None for tier in tiers]
    prices = [tier.number("unit_price", _ZERO) for tier in tiers]
    fees = [tier.number("flat_fee", _ZERO) for tier in tiers]
    if not tiers:
        raise fields.object("tariff").fault("tiers", "is empty: no seat has a price")
    _check_bounds(tiers, bounds)
    per_quantity = units_for([*change, *prorated, *(bound for bound in bounds if bound)])
    moved = [each.scaled(per_quantity) for each in change]
    units = units_for([*prices, *fees], rounding)
    units *= per_quantity * lcm(*(abs(each) for each in moved if each))
    terms = tuple(
        SeatTier(
            None if bound is None else bound.scaled(per_quantity),
            price.scaled(units),
            fee.scaled(units),
        )
        for bound, price, fee in zip(bounds, prices, fees, strict=True)
    )
    try:
        amount = exactly(
            lambda seats, part: seat_amount(terms, seats, part, per_quantity, units, rounding),
            moved,
            [each.scaled(per_quantity) for each in prorated],
        )
    except Invalid as fault:
        raise fields.fault("changes", f"are wrong: {str(fault).rstrip('.')}") from None
    return {"amount": decimal_text(amount, units)}


def _check_bounds(tiers: list[Fields], bounds: list[Figure | None]) -> None:
    """Refuse tiers that do not rise, or an inner one that is open."""
    units = units_for([bound for bound in bounds if bound])
    below: int | None = 0
    for tier, bound in zip(tiers, bounds, strict=True):
        if below is None or (bound is not None and bound.scaled(units) <= below):
            raise tier.fault("up_to", "must be above the one before; only the last may be open")
        below = None if bound is None else bound.scaled(units)


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "plan_change": plan_change,
    "proration": proration,
    "seat_change": seat_change,
}
