"""Commitments on top of a period's price: minimum, maximum, discount, true-up, windows, deltas.

A bill in the middle of a period charges what the period costs so far, less what was billed before:
only the final one is lifted to the minimum. Source: docs/pricing.md; kinds progressive_line,
delta_sequence, true_up and windowed_commitment of the pricing case format.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rating.rounding import (
    FITS,
    MICRO,
    Integers,
    Rounding,
    by_magnitude,
    check_integers,
    round_amounts,
    round_ratio,
    share_of,
    sum_by_group,
)
from rating.tiers import PeriodPrice, price_quantities


@dataclass(frozen=True, slots=True)
class Commitments:
    """What a period's spend is held to. [currency units]"""

    min_spend: int | None = None
    max_spend: int | None = None
    discount: tuple[int, int] = (0, 1)  # numerator, denominator: 10 % is (10, 100)


@dataclass(frozen=True, slots=True)
class WindowRule:
    """A commitment for each window, such as an hour."""

    unit_price: int  # for 1 of the quantity. [currency units]
    commitment: int  # [currency units]; by quantity, [quantity units]
    by_quantity: bool = False
    overage: tuple[int, int] = (1, 1)  # numerator, denominator of the factor above the commitment
    true_up: bool = False  # a window below the commitment pays the commitment


def committed_amounts(
    price: PeriodPrice,
    commitments: Commitments,
    quantity: Integers,
    final: NDArray[np.bool_],
    rounding: Rounding | None = None,
) -> Integers:
    """Give what a period costs up to a quantity: price, discount, maximum, and minimum if final.

    Parameters
    ----------
    quantity : (n,) int64, of the period so far. [quantity units]
    final : (n,) whether the period is over.
    rounding : of the price, and of the discount, which is a line of its own.

    Returns
    -------
    (n,) int64. [currency units]
    """
    units = price.units_per_currency
    amount = price_quantities(price, quantity, rounding=rounding)
    amount = amount - share_of(amount, *commitments.discount, units, rounding)
    if commitments.max_spend is not None:
        amount = np.minimum(amount, commitments.max_spend)
    if commitments.min_spend is not None:
        amount = np.where(final, np.maximum(amount, commitments.min_spend), amount)
    return amount


def progressive_lines(
    price: PeriodPrice,
    commitments: Commitments,
    before: Integers,
    quantity: Integers,
    billed_before: Integers,
    final: NDArray[np.bool_],
    rounding: Rounding | None = None,
) -> Integers:
    """Price lines that continue a period: its cost so far, less what was billed before.

    Parameters
    ----------
    before, quantity : (n,) int64, of the period before this line, and of this line.
    billed_before : (n,) int64. [currency units]
    """
    for column in (before, quantity, billed_before):
        check_integers(column, "Figures of a line")
    total = committed_amounts(price, commitments, before + quantity, final, rounding)
    return total - billed_before


def booked_deltas(
    price: PeriodPrice,
    commitments: Commitments,
    cumulative: Integers,
    *,
    last_is_final: bool,
    rounding: Rounding | None = None,
) -> Integers:
    """Give what each rating of one period books, given what the earlier ones booked.

    Parameters
    ----------
    cumulative : (n,) int64, the period's quantity at each rating, in order. [quantity units]
    """
    final = np.zeros(len(cumulative), np.bool_)
    if last_is_final:
        final[-1:] = True
    total = committed_amounts(price, commitments, cumulative, final, rounding)
    deltas = total.copy()
    deltas[1:] -= total[:-1]
    return deltas


def true_ups(
    commitment: Integers,
    line: Integers,
    group: NDArray[np.int64],
    units_per_currency: int = MICRO,
    line_rounding: Rounding | None = None,
) -> Integers:
    """Give what is missing to commitments: max(0, commitment - Σ lines).

    Parameters
    ----------
    commitment : (g,) int64. [currency units]
    line : (n,) int64, billed lines, each rounded first where a rounding is given.
    group : (n,) position in `commitment`.
    """
    check_integers(commitment, "Commitments")
    lines = rounded_lines(line, units_per_currency, line_rounding)
    billed = sum_by_group(lines, group, len(commitment))
    missing: Integers = np.maximum(commitment - billed, 0)
    return missing


def rounded_lines(
    line: Integers, units_per_currency: int = MICRO, line_rounding: Rounding | None = None
) -> Integers:
    """Round lines one by one, where a rounding is given; their sum is the sum of what is shown."""
    check_integers(line, "Lines")
    return line if line_rounding is None else round_amounts(line, units_per_currency, line_rounding)


def windowed_amounts(
    rules: Sequence[WindowRule],
    rule: NDArray[np.int64],
    quantity: Integers,
    units_per_quantity: int = 1,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> Integers:
    """Price windows, each under the commitment of its rule.

    Below the commitment a window pays the commitment under `true_up`, else its usage; above it the
    commitment, and the rest times the overage factor.

    Parameters
    ----------
    rule : (n,) position in `rules`.
    quantity : (n,) int64. [quantity units]

    Returns
    -------
    (n,) int64. [currency units]
    """
    check_integers(quantity, "Quantities")
    amount = np.zeros(len(quantity), quantity.dtype)
    for number, terms in enumerate(rules):
        rows = np.flatnonzero(rule == number)
        top, bottom = terms.overage
        per_unit = terms.unit_price if terms.by_quantity else units_per_quantity
        committed = terms.commitment * per_unit

        def compute(
            used: Integers,
            terms: WindowRule = terms,
            committed: int = committed,
            top: int = top,
            bottom: int = bottom,
        ) -> Integers:
            usage = used * terms.unit_price
            below = np.full_like(usage, committed) if terms.true_up else usage
            above = np.maximum(usage - committed, 0)
            numerator = np.where(usage < committed, below, committed) * bottom + above * top
            return round_ratio(numerator, units_per_quantity * bottom, units_per_currency, rounding)

        widest = max(abs(top), bottom) * 4
        safe = (FITS // widest - abs(committed)) // max(abs(terms.unit_price), 1)
        amount[rows] = by_magnitude(compute, quantity[rows], safe=safe)
    return amount
