"""Prices of a period's total: unit, package, graduated, volume, percentage; all of them tiers.

    quantity -> converted (divide_by, rounded) -> less the free quantity -> tiers -> amount

A tier reaches up to and including its bound and is entered as soon as the quantity exceeds the
bound before. Graduated tiers price each its own part; under `by_volume` the tier that contains the
whole quantity prices all of it. A unit price is one open tier; a package is one open tier sold in
blocks; a percentage is a price per currency unit of the value. A negative quantity is the negative
of the same positive one. Nothing above a bounded last tier has a price: it is refused, never zero.

Everything is integers: prices of `units_per_currency`, quantities of `units_per_quantity`.
Source: docs/pricing.md; kind period_price of the pricing case format.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid
from rating.rounding import (
    FITS,
    MICRO,
    Integers,
    Mode,
    Rounding,
    by_magnitude,
    check_integers,
    divide,
    round_ratio,
)


class BeyondLastTier(Invalid):
    """A quantity is above the bound of the last tier: there is no price for it.

    Raise as: f"Quantity {quantity} is above the last tier, which ends at {bound}.".
    """

    title = "No price above the last tier"


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a price."""

    up_to: int | None  # inclusive, in quantity units; None is open
    unit_price: int  # for 1 of the quantity; of a block where there is one. [currency units]
    flat_fee: int = 0  # once the tier is entered. [currency units]
    cap: int | None = None  # the most that the tier costs, flat fee included. [currency units]
    block: int | None = None  # sold in whole ones only. [quantity units]


@dataclass(frozen=True)
class PeriodPrice:
    """What a period's quantity costs.

    Raises `Invalid` where the tiers are none, do not rise, or an inner one is open.
    """

    tiers: tuple[Tier, ...]
    by_volume: bool = False
    units_per_currency: int = MICRO
    units_per_quantity: int = 1
    free_quantity: int = 0  # after the conversion. [quantity units]
    divide_by: int | None = None  # what one of the priced unit is. [quantity units]
    conversion: Rounding | None = None  # of the converted quantity
    block_mode: Mode = Mode.UP  # a block that was begun: paid whole, or not at all
    flat_fee_at_zero_usage: bool = False

    def __post_init__(self) -> None:
        if not self.tiers:
            raise Invalid("A price needs at least one tier.")
        bounds = [0, *(tier.up_to for tier in self.tiers)]
        for number, (before, bound) in enumerate(pairwise(bounds)):
            if before is None or (bound is not None and bound <= before):
                raise Invalid(f"Tier {number + 1} must end above the one before; only the last "
                              "may be open.")  # fmt: skip
        if any(tier.block is not None and tier.block <= 0 for tier in self.tiers):
            raise Invalid("A block must be above zero.")

    @cached_property
    def safe_quantity(self) -> int:
        """The largest quantity that can be priced in int64 without a figure reaching 2**62."""
        units, rate, fixed = self.units_per_quantity, 1, 0
        for tier in self.tiers:
            price = abs(tier.unit_price)
            rate = max(rate, -(-price * units // tier.block) if tier.block else price)
            fixed += abs(tier.flat_fee) + abs(tier.cap or 0) + (price if tier.block else 0)
        sizes = [size for tier in self.tiers for size in (tier.up_to, tier.block) if size]
        terms = [*sizes, self.free_quantity, self.divide_by or 0, units, rate, fixed * units]
        if max(terms) >= FITS:
            return -1  # Terms of such a size meet no int64 column, not even one of zeros.
        safe = (FITS - 1 - fixed * units) // rate
        if self.divide_by is not None:
            step = units * 10 ** max(0, -self.conversion.scale) if self.conversion else 1
            safe = min(FITS // (units * step), (safe - 1 - step) * self.divide_by // units)
        return safe


def price_quantities(
    price: PeriodPrice,
    quantity: Integers,
    billed: Integers | None = None,
    rounding: Rounding | None = None,
) -> Integers:
    """Price quantities, each a period of its own, by one price.

    Parameters
    ----------
    quantity : (n,) int64 of either sign. [quantity units]
    billed : (n,) int64, by volume only: priced in the tier that `quantity` selects.
    rounding : of each amount; None for whole units, half away from zero.

    Returns
    -------
    (n,) int64. [currency units]

    Raises
    ------
    BeyondLastTier : a quantity has no price; `beyond_last_tier` finds such rows beforehand.
    Overflow : an amount does not fit in int64.
    """
    check_integers(quantity, "Quantities")
    beyond = beyond_last_tier(price, quantity)
    if beyond.any():
        row = int(np.argmax(beyond))
        raise BeyondLastTier(
            f"Quantity {quantity[row]} is above the last tier, which ends at "
            f"{price.tiers[-1].up_to}.", row=row
        )  # fmt: skip

    def compute(total: Integers, part: Integers | None = None) -> Integers:
        numerator = _numerator(price, total, total if part is None else part)
        return round_ratio(numerator, price.units_per_quantity, price.units_per_currency, rounding)

    if billed is None:
        return by_magnitude(compute, quantity, safe=price.safe_quantity)
    check_integers(billed, "Billed quantities")
    return by_magnitude(compute, quantity, billed, safe=price.safe_quantity)


def beyond_last_tier(price: PeriodPrice, quantity: Integers) -> NDArray[np.bool_]:
    """Say which quantities have no price, because they are above a bounded last tier."""
    last = price.tiers[-1].up_to
    if last is None:
        return np.zeros(len(quantity), np.bool_)
    usable = by_magnitude(
        lambda q: np.abs(_chargeable(price, q)), quantity, safe=price.safe_quantity
    )
    beyond: NDArray[np.bool_] = (usable > last).astype(np.bool_)
    return beyond


def _chargeable(price: PeriodPrice, quantity: Integers) -> Integers:
    """Convert, and take off what is free; the sign stays."""
    if price.divide_by is not None:
        quantity = round_ratio(
            quantity * price.units_per_quantity, price.divide_by,
            price.units_per_quantity, price.conversion,
        )  # fmt: skip
    if price.free_quantity:
        quantity = np.sign(quantity) * np.maximum(np.abs(quantity) - price.free_quantity, 0)
    return quantity


def _numerator(price: PeriodPrice, quantity: Integers, billed: Integers) -> Integers:
    """Give amount × units_per_quantity, exactly."""
    negative = quantity < 0
    sign = 1 - 2 * negative.astype(quantity.dtype)
    total = np.abs(_chargeable(price, quantity))
    part = total if billed is quantity else sign * _chargeable(price, billed)
    numerator = np.zeros(len(quantity), quantity.dtype)
    below = 0
    for number, tier in enumerate(price.tiers):
        entered = (total > below).astype(np.bool_)
        if number == 0 and price.flat_fee_at_zero_usage:
            entered = np.ones(len(total), np.bool_)
        if price.by_volume:
            if tier.up_to is not None:
                entered &= (total <= tier.up_to).astype(np.bool_)
            # Nothing lies in the first tier too; without usage only its flat fee waits for a flag.
            inside = np.where(entered | (total == 0) if number == 0 else entered, part, 0)
        else:
            inside = np.maximum(total - below, 0)
            if tier.up_to is not None:
                inside = np.minimum(inside, tier.up_to - below)
        numerator += _tier_numerator(price, tier, inside, entered)
        below = tier.up_to or below
    return sign * numerator


def _tier_numerator(
    price: PeriodPrice, tier: Tier, inside: Integers, entered: NDArray[np.bool_]
) -> Integers:
    units = price.units_per_quantity
    if tier.block:
        inside = divide(inside, tier.block, price.block_mode) * units
    cost = inside * tier.unit_price + entered.astype(inside.dtype) * (tier.flat_fee * units)
    capped: Integers = cost if tier.cap is None else np.minimum(cost, tier.cap * units)
    return capped
