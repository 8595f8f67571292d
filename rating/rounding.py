"""Exact division and rounding of scaled integers: four modes, any scale, nothing ever wraps.

An amount is an integer of `units_per_currency` (10^6 in production: millionths), a quantity one of
`units_per_quantity`. A kernel multiplies first, keeps numerator and denominator apart, and rounds
once, here. Columns are int64. Where a product might not fit, the few rows concerned are computed
with Python's integers in the same code (`by_magnitude`); what does not fit int64 at the end is
refused. Columns of Python integers (dtype object) come in only where figures of any size are
wanted, as in the cases of `rating.cases`; they go out as such.

Source: docs/pricing.md; the conventions of the pricing case format.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid

# int64, or Python's integers where figures of any size are wanted; checked by `check_integers`.
Integers: TypeAlias = NDArray[Any]

FITS = 2**62  # Any two figures below it can be added without wrapping.
MICRO = 1_000_000


class Overflow(Invalid):
    """A figure does not fit in 64 bits.

    Raise as: f"{what} does not fit in 64 bits; the largest is {largest}.".
    """

    title = "Figure too large"


class Mode(StrEnum):
    """Which way a figure between two steps goes."""

    UP = "up"  # away from zero
    DOWN = "down"  # towards zero
    HALF_UP = "half_up"  # to the nearest, half away from zero
    HALF_EVEN = "half_even"  # to the nearest, half to the even neighbour


@dataclass(frozen=True, slots=True)
class Rounding:
    """To how many decimals, and which way; a negative scale rounds to tens, hundreds."""

    mode: Mode
    scale: int


def check_integers(column: Integers, what: str) -> Integers:
    """Let through int64 below 2**62 and Python's integers; a float has already lost money.

    Raises
    ------
    Invalid : another dtype.
    Overflow : an int64 of 2**62 or more; two of them could wrap when added.
    """
    if column.dtype not in (np.int64, np.object_):
        raise Invalid(f"{what} must be int64.", dtype=str(column.dtype))
    if column.dtype == np.int64 and largest(column) >= FITS:
        raise Overflow(f"{what} must be below 2**62; the largest is {largest(column)}.")
    return column


def divide(numerator: Integers, denominator: Integers | int, mode: Mode) -> Integers:
    """Divide integers and round to whole ones.

    Parameters
    ----------
    numerator : (n,) of either sign, |numerator| < 2**62 where int64.
    denominator : > 0, a scalar or (n,), < 2**62 where int64.
    mode : which way a rest goes.
    """
    signed = bool((numerator < 0).any())
    magnitude = np.abs(numerator) if signed else numerator
    whole = magnitude // denominator
    rest = magnitude - whole * denominator
    if mode is Mode.UP:
        step = rest > 0
    elif mode is Mode.DOWN:
        step = rest < 0
    else:
        other = denominator - rest
        step = rest >= other
        if mode is Mode.HALF_EVEN:
            step = (rest > other) | ((rest == other) & (whole % 2 == 1))
    whole += step
    return np.sign(numerator) * whole if signed else whole


def round_ratio(
    numerator: Integers,
    denominator: Integers | int,
    units_per_currency: int,
    rounding: Rounding | None = None,
) -> Integers:
    """Round exact amounts once.

    Parameters
    ----------
    numerator : (n,) amount × denominator. [units × denominator]
    denominator : > 0, a scalar or (n,).
    units_per_currency : units of one currency unit, 10**6 in production.
    rounding : None for whole units, half away from zero: the policy of docs/pricing.md.

    Returns
    -------
    (n,) of the dtype of the numerator. [units]

    Raises
    ------
    Invalid : the step of the rounding is no whole number of units.
    Overflow : an amount does not fit in int64.
    """
    mode, step = (Mode.HALF_UP, 1) if rounding is None else _step(rounding, units_per_currency)
    widest = max(largest(numerator), largest(np.asarray(denominator)) * step, step)
    if numerator.dtype != np.object_ and widest >= FITS:
        exact = divide(numerator.astype(object), _exact(denominator) * step, mode) * step
        return narrow(exact, "An amount")
    return divide(numerator, denominator * step, mode) * step


def share_of(
    amount: Integers,
    numerator: Integers | int,
    denominator: Integers | int,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> Integers:
    """Take numerator / denominator of amounts: days of a month, a rate, a part of a bill.

    Parameters
    ----------
    amount : (n,) int64 of either sign. [currency units]
    numerator : a whole number, or (n,) int64.
    denominator : > 0, a whole number or (n,) int64.
    rounding : None for whole units, half away from zero.

    Returns
    -------
    (n,) int64. [currency units]

    Raises
    ------
    Overflow : an amount does not fit in int64.
    """
    check_integers(amount, "Amounts")
    over = np.asarray(numerator)
    columns = (amount, over, np.asarray(denominator))
    wanted = any(column.dtype == np.object_ and column.ndim for column in columns)
    if not wanted and largest(amount) * max(largest(over), 1) < FITS:
        return round_ratio(amount * numerator, denominator, units_per_currency, rounding)
    exact = round_ratio(
        amount.astype(object) * _exact(numerator), _exact(denominator), units_per_currency, rounding
    )
    return exact if wanted else narrow(exact, "An amount")


def round_amounts(amount: Integers, units_per_currency: int, rounding: Rounding) -> Integers:
    """Round amounts to the decimals of a rounding; units in, units out."""
    return round_ratio(amount, 1, units_per_currency, rounding)


def _step(rounding: Rounding, units_per_currency: int) -> tuple[Mode, int]:
    """Give the mode and the step of a rounding in units; finer than a unit, nothing changes."""
    if rounding.scale < 0:
        return rounding.mode, units_per_currency * 10**-rounding.scale
    step, rest = divmod(units_per_currency, 10**rounding.scale)
    if not rest:
        return rounding.mode, step
    if 10**rounding.scale % units_per_currency:
        raise Invalid(
            f"{rounding.scale} decimals are no whole number of units of 1/{units_per_currency}."
        )
    return rounding.mode, 1


def by_magnitude(
    compute: Callable[..., Integers], *columns: Integers, safe: int, what: str = "An amount"
) -> Integers:
    """Compute int64 rows within ±safe as int64, the others with Python's integers.

    Parameters
    ----------
    compute : works on columns of either dtype, row by row, and keeps their dtype and length.
    columns : (n,) int64 each, or object to compute all rows with Python's integers.
    safe : the largest magnitude whose intermediate figures stay below 2**62; negative if none.

    Raises
    ------
    Overflow : a result does not fit in int64.
    """
    if any(column.dtype == np.object_ for column in columns):
        return compute(*(column.astype(object) for column in columns))
    wide = np.zeros(len(columns[0]), np.bool_)
    for column in columns:
        wide |= (column > safe) | (column < -safe)
    if not wide.any():
        # Of no rows, too: where nothing is safe the terms themselves may be wider than int64.
        return compute(*columns) if len(wide) else np.zeros(0, np.int64)
    result = np.zeros(len(wide), np.int64)
    if not wide.all():
        result[~wide] = compute(*(column[~wide] for column in columns))
    result[wide] = narrow(compute(*(column[wide].astype(object) for column in columns)), what)
    return result


def narrow(exact: Integers, what: str) -> Integers:
    """Bring Python's integers back to int64.

    Raises
    ------
    Overflow : one reaches 2**62; the sum of any two that pass fits in int64.
    """
    widest = largest(exact)
    if widest >= FITS:
        raise Overflow(f"{what} does not fit in 64 bits; the largest is {widest}.")
    return exact.astype(np.int64)


def sum_by_group(column: Integers, group: NDArray[np.int64], groups: int) -> Integers:
    """Sum a column by group.

    Parameters
    ----------
    column : (n,) int64.
    group : (n,) position of each row's sum, from 0 to groups - 1.

    Raises
    ------
    Overflow : a sum might not fit in int64.
    """
    if column.dtype == np.int64 and largest(column) * len(column) >= FITS:
        exact = sum_by_group(column.astype(object), group, groups)
        return narrow(exact, "A sum")
    sums = np.zeros(groups, column.dtype)
    np.add.at(sums, group, column)
    return sums


def largest(column: Integers) -> int:
    """Give the largest magnitude of a column; 0 of an empty one."""
    if not column.size:
        return 0
    # The magnitude of the smallest int64 is no int64: compare its ends instead.
    return max(abs(int(column.max())), abs(int(column.min())))


def _exact(denominator: Integers | int) -> Integers | int:
    return denominator if isinstance(denominator, int) else denominator.astype(object)
