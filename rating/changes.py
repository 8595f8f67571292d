"""Changes in mid-period: the credit and the charge of another plan, and seats that come and go.

Source: docs/pricing.md; kinds plan_change and seat_change of the pricing case format.
"""

from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid
from rating.rounding import (
    MICRO,
    Integers,
    Rounding,
    check_integers,
    round_ratio,
    share_of,
)


@dataclass(frozen=True, slots=True)
class SeatTier:
    """One step of a price per seat."""

    up_to: int | None  # inclusive count; None is open. [quantity units]
    unit_price: int  # of one seat for the whole period. [currency units]
    flat_fee: int = 0  # once the tier is reached. [currency units]


def change_lines(
    sign: NDArray[np.int64],
    full_amount: Integers,
    numerator: Integers,
    denominator: Integers,
    units_per_currency: int = MICRO,
    line_rounding: Rounding | None = None,
) -> Integers:
    """Give the lines of plan changes: prorated, rounded one by one, a credit as its negative.

    Parameters
    ----------
    sign : (n,) 1 for a charge, -1 for a credit.
    full_amount : (n,) int64, of the whole period. [currency units]
    numerator, denominator : (n,) int64, the share of each; see `rating.proration`.
    """
    lines = share_of(full_amount, numerator, denominator, units_per_currency, line_rounding)
    return sign * lines


def seat_amount(
    tiers: tuple[SeatTier, ...],
    change: Integers,
    prorated: Integers,
    units_per_quantity: int = 1,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> int:
    """Price the seats of one period that change in number.

    Each change moves along the tiers from the count before it; its prorated units are spread over
    the tiers it crosses in proportion to the units in each. A tier costs its prorated units × unit
    price, all together never less than nothing; the flat fee is paid for every tier that the
    highest count reaches into, so for none where there never was a seat. A negative total of units
    pays nothing.

    Parameters
    ----------
    change : (n,) int64, seats added or taken away, in order. [quantity units]
    prorated : (n,) int64, the same seats by the part of the period they are there. [quantity units]

    Returns
    -------
    One amount, a Python integer of any size. [currency units]

    Raises
    ------
    Invalid : the count passes a bounded last tier, or units are prorated where none change.
    """
    check_integers(change, "Changes")
    check_integers(prorated, "Prorated units")
    # Few rows with a common denominator of any size: Python's integers throughout.
    change, prorated = change.astype(object), prorated.astype(object)
    count = np.cumsum(change) if len(change) else change
    if len(change) and count[-1] < 0:
        return 0
    if np.any((change == 0) & (prorated != 0)):
        raise Invalid("Units cannot be prorated in a change of no units.")
    highest = max(count, default=0)
    last = tiers[-1].up_to
    if last is not None and highest > last:
        raise Invalid(f"A count of {highest} is above the last tier, which ends at {last}.")
    common = lcm(*(abs(units) for units in change if units))
    weight = np.array([common // units if units else 0 for units in change], object)
    numerator, fees, below = 0, 0, None
    for tier in tiers:
        crossed = _inside(count, below, tier.up_to) - _inside(count - change, below, tier.up_to)
        numerator += int((prorated * crossed * weight).sum()) * tier.unit_price
        fees += tier.flat_fee if highest > (below or 0) else 0
        below = tier.up_to
    denominator = units_per_quantity * common
    exact = np.empty(1, object)
    # Seats that leave give back no more than what the period's seats cost; its fees stay due.
    exact[0] = max(numerator, 0) + fees * denominator
    return int(round_ratio(exact, denominator, units_per_currency, rounding)[0])


def _inside(count: Integers, below: int | None, up_to: int | None) -> Integers:
    """Give how much of each count lies in a tier; what is under zero lies in the first."""
    inside = count if up_to is None else np.minimum(count, up_to)
    return inside if below is None else np.maximum(inside - below, 0)
