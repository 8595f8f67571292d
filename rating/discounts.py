"""Discounts in a fixed order, their allocation to lines, and credits up to what was paid.

Percentages come before fixed amounts, each on what is left; a fixed amount is capped by what is
left. An allocation is proportional to the lines; rounded, it goes by largest remainder with ties to
the earlier line, so that its parts add up. Source: docs/pricing.md; kinds discount and credit_cap
of the pricing case format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid
from ledger.money import split_totals
from rating.rounding import (
    FITS,
    MICRO,
    Integers,
    Rounding,
    check_integers,
    largest,
    narrow,
    round_ratio,
    share_of,
    sum_by_group,
)


@dataclass(frozen=True, slots=True)
class Discount:
    """A fixed amount, or a rate of what is left; exactly one of them is given."""

    fixed: int | None = None  # what may still be used of it, 0 or above. [currency units]
    rate: tuple[int, int] | None = None  # numerator, denominator: 10 % is (10, 100)

    def __post_init__(self) -> None:
        if (self.fixed is None) == (self.rate is None):
            raise Invalid("A discount is either a fixed amount or a rate.")


def discount_amounts(
    subtotal: Integers,
    discounts: Sequence[Discount],
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> list[Integers]:
    """Compute what each discount takes off, in order of application: rates, then fixed amounts.

    Parameters
    ----------
    subtotal : (n,) int64: sums of bills that all have these discounts. [currency units]
    discounts : in the order of the agreement.
    rounding : of each discount; None for whole units, half away from zero.

    Returns
    -------
    One (n,) column for each discount; a subtotal of zero or less has no discount.
    """
    check_integers(subtotal, "Subtotals")
    left = np.maximum(subtotal, 0)
    taken = []
    for discount in sorted(discounts, key=lambda each: each.rate is None):
        if discount.rate is not None:
            wished = share_of(left, *discount.rate, units_per_currency, rounding)
        else:
            whole = np.full_like(left, discount.fixed)
            wished = round_ratio(whole, 1, units_per_currency, rounding)
        taken.append(np.minimum(wished, left))
        left = left - taken[-1]
    return taken


def allocate(
    total: Integers,
    line: Integers,
    group: NDArray[np.int64],
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> Integers:
    """Share totals over lines in proportion, by largest remainder; the parts add up.

    Parameters
    ----------
    total : (g,) int64, what is shared in each group. [currency units]
    line : (n,) int64, the weights. [currency units]
    group : (n,) position in `total`; lines of a group in their order on the bill.
    rounding : only its scale matters: the parts are whole steps of it where the total is.

    Returns
    -------
    (n,) int64, Σ over a group = its total. [currency units]

    Raises
    ------
    Invalid : the lines of a group with something to share do not sum to more than zero.
    """
    check_integers(total, "Totals")
    check_integers(line, "Lines")
    if line.dtype != np.object_ and largest(total) * largest(line) >= FITS:
        wide = allocate(
            total.astype(object), line.astype(object), group, units_per_currency, rounding
        )
        return narrow(wide, "A part")
    weight = sum_by_group(line, group, len(total))
    if (np.asarray(total != 0, np.bool_) & np.asarray(weight <= 0, np.bool_)).any():
        raise Invalid("There is nothing to allocate to: the lines do not sum to more than zero.")
    step = _common_step(total, units_per_currency, rounding)
    return split_totals(total // step, line, group) * step


def _common_step(total: Integers, units_per_currency: int, rounding: Rounding | None) -> int:
    """Give the step of the parts: that of the rounding, or finer where a total is no multiple."""
    if rounding is None:
        return 1
    step = units_per_currency * 10 ** max(0, -rounding.scale) // 10 ** max(0, rounding.scale)
    return gcd(max(step, 1), *(int(each) for each in np.unique(total)))


def capped_credits(credit: Integers, original_paid: Integers, credited: Integers) -> Integers:
    """Give the credits that may be given: with those before, never more than was paid.

    Parameters
    ----------
    credit, original_paid, credited : (n,) int64, wished now, paid, credited before. [units]
    """
    for column in (credit, original_paid, credited):
        check_integers(column, "Credits")
    allowed: Integers = np.minimum(credit, np.maximum(original_paid - credited, 0))
    return allowed
