"""Money: integers of minor units (øre) in the books, of millionths of the unit while rating.

The rounding policy of the house is here and nowhere else: half away from zero (commercial rounding,
DIN 1333), once per amount; every split by largest remainder. No float touches money.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.errors import Invalid
from ledger.unstorable import NumberTooLarge

Int64 = NDArray[np.int64]

MICRO_PER_UNIT = 1_000_000
MICRO_PER_MINOR = 10_000
MINOR_PER_UNIT = 100

_TOO_LARGE = re.compile(r"-?0*[1-9]\d{15,}(?:\.\d{1,2})?", re.ASCII)
_AMOUNT = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,2}))?", re.ASCII)


def round_half_away(amount_micro: Int64, micro_per_minor: int = MICRO_PER_MINOR) -> Int64:
    """Round micro-units to minor units; ties go away from zero.

    Parameters
    ----------
    amount_micro : (n,) int64, either sign. [millionths of the currency unit]
    micro_per_minor : int > 0, 10_000 for a currency of two decimals. [micro-units per minor unit]

    Returns
    -------
    (n,) int64. [minor units, e.g. øre]

    Raises
    ------
    Invalid : the amounts are not int64; a float has already lost øre.

    Source: the rounding policy, docs/pricing.md; commercial rounding, DIN 1333.
    """
    _check_int64(amount_micro)
    minor, rest = np.divmod(np.abs(amount_micro), micro_per_minor)
    rounded: Int64 = np.sign(amount_micro) * (minor + (rest >= micro_per_minor - rest))
    return rounded


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total over weights without losing a unit; ties go to the lower position.

    Raises `Invalid` when the weights are negative or sum to zero while the total does not.

    >>> largest_remainder(100, [1, 1, 1])
    [34, 33, 33]
    """
    weight_sum = sum(weights)
    if any(weight < 0 for weight in weights) or (weight_sum == 0 and total != 0):
        raise Invalid("Weights must not be negative and must not all be zero.")
    if weight_sum == 0:
        return [0] * len(weights)
    one = np.zeros(len(weights), np.int64)
    parts = split_totals(np.array([total], object), np.array(weights, object), one)
    return [int(part) for part in parts]


def split_totals(total: NDArray[Any], weight: NDArray[Any], group: Int64) -> NDArray[Any]:
    """Split totals over weights, group by group, by largest remainder; ties go to the earlier.

    Parameters
    ----------
    total : (g,) of either sign, int64 or Python's integers. [units]
    weight : (n,) not negative, of the same dtype; those of a group with a total are not all zero.
    group : (n,) position in `total`. Products of a total and a weight fit in the dtype.

    Returns
    -------
    (n,) the parts; they sum to the total of their group. [units]
    """
    sums = np.zeros(len(total), weight.dtype)
    np.add.at(sums, group, weight)
    sums = np.where(sums == 0, 1, sums)
    size = np.abs(total)
    share = size[group] * weight
    whole = share // sums[group]
    rest = share - whole * sums[group]
    left = size.copy()
    np.subtract.at(left, group, whole)
    # Ranks of the rests, as int64 whatever their dtype: the largest come first, then the earlier.
    _, rank = np.unique(rest, return_inverse=True)
    order = np.lexsort((np.arange(len(weight)), -rank.astype(np.int64), group))
    first = np.searchsorted(group[order], np.arange(len(total)))
    place = np.empty(len(weight), np.int64)
    place[order] = np.arange(len(weight)) - first[group[order]]
    parts: NDArray[Any] = np.sign(total)[group] * (
        whole + np.asarray(place < left[group], np.bool_)
    )
    return parts


def parse_amount(text: object) -> int:
    """Read a decimal amount such as "1234.50" as minor units.

    Raises `Invalid` for anything but a string of digits with at most two decimals; a JSON number is
    refused with its own sentence, since a float has already lost øre. `NumberTooLarge` where there
    are more than 15 digits before the point.

    >>> parse_amount("-1234.5")
    -123450
    """
    if not isinstance(text, str):
        raise Invalid(
            f'Amounts are strings such as "1234.50", not JSON numbers; got {text!r}.',
        )
    match = _AMOUNT.fullmatch(text)
    if match is None:
        if _TOO_LARGE.fullmatch(text):
            raise NumberTooLarge(
                f"{text:.40} is too large: an amount has at most 15 digits before the point."
            )
        raise Invalid(f"{text!r} is not an amount; write digits with at most two decimals.")
    sign, whole, decimals = match.groups()
    minor = int(whole + (decimals or "").ljust(2, "0"))
    return -minor if sign else minor


def format_amount(minor: int) -> str:
    """Write minor units as a decimal string with two decimals.

    >>> format_amount(-5)
    '-0.05'
    """
    whole, rest = divmod(abs(minor), MINOR_PER_UNIT)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:02d}"


def _check_int64(amounts: Int64) -> None:
    if amounts.dtype != np.int64:
        raise Invalid("Amounts must be int64.", dtype=str(amounts.dtype))
