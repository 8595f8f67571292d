"""Decimal strings of a case and the scaled integers that kernels take: exact both ways.

"12.50" is the figure 1250 × 10^-2. A case chooses its units so that all its figures are whole
numbers of them (`units_for`), runs a kernel, and writes the result as a decimal again.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ledger.errors import Invalid
from rating.rounding import Integers, Overflow, Rounding

MAX_DIGITS = 60  # before and after the point together, also when written with an exponent
UNENDING_DECIMALS = 28  # of a figure such as 1/3, which no decimal can hold

_DECIMAL = re.compile(r"(-?)(\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """An exact decimal: digits × 10^-decimals."""

    digits: int
    decimals: int = 0

    def scaled(self, units: int) -> int:
        """Give the figure in units; `units_for` has chosen them so that it is a whole number."""
        power: int = 10**self.decimals
        whole, rest = divmod(self.digits * units, power)
        assert not rest, "units_for chooses units in which every figure is whole"
        return whole

    def hundredth(self) -> "Figure":
        """Give a percentage as the fraction it stands for."""
        return Figure(self.digits, self.decimals + 2)

    def __bool__(self) -> bool:
        return self.digits != 0


def parse_figure(value: object) -> Figure:
    """Read a decimal string, or a JSON integer.

    Raises
    ------
    Invalid : anything else; a JSON number with a point may have lost digits already.

    >>> parse_figure("-1.50")
    Figure(digits=-15, decimals=1)
    """
    if isinstance(value, float):
        raise Invalid(f'a decimal is written as a string such as "1.50"; got the number {value}')
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Invalid(f'needs a decimal string such as "1.50"; got {_shown(value)}')
    match = _DECIMAL.fullmatch(value)
    if match is None or not (match[2] or match[3]):
        raise Invalid(f'needs a decimal such as "-1.50"; got {_shown(value)}')
    sign, whole, fraction, exponent = match.groups()
    fraction = (fraction or "").rstrip("0")
    decimals = len(fraction) - int(exponent or 0)
    text = (whole + fraction).lstrip("0")
    if max(len(text), len(text) - min(decimals, 0), decimals) > MAX_DIGITS and text:
        raise Invalid(f"has more than {MAX_DIGITS} digits")
    digits = int(text or 0) * (-1 if sign else 1)
    if not digits:
        return Figure(0)
    return Figure(digits * 10 ** -min(decimals, 0), max(decimals, 0))


def units_for(figures: Iterable[Figure], rounding: Rounding | None = None) -> int:
    """Choose the units in which all figures, and the steps of a rounding, are whole numbers."""
    decimals = max((figure.decimals for figure in figures), default=0)
    units: int = 10 ** max(decimals, rounding.scale if rounding else 0)
    return units


def column(values: Iterable[int]) -> Integers:
    """Make a column of int64, or of Python's integers where one does not fit."""
    exact = list(values)
    if all(-(2**62) < value < 2**62 for value in exact):
        return np.array(exact, np.int64)
    made = np.empty(len(exact), object)
    made[:] = exact
    return made


def exactly(kernel: Callable[..., T], *columns: Iterable[int]) -> T:
    """Run a kernel on int64 columns, and on Python's integers where its figures do not fit.

    The kernel is the one that bills; a case only allows itself figures of any size, also in terms
    that are no columns: NumPy refuses (OverflowError) to let those meet an int64 column.
    """
    made = [column(values) for values in map(list, columns)]
    if any(values.dtype == np.object_ for values in made):
        # One that does not fit takes the others along: a product of two narrow ones would wrap.
        made = [values.astype(object) for values in made]
    try:
        return kernel(*made)
    except (Overflow, OverflowError):
        return kernel(*(values.astype(object) for values in made))


def decimal_text(numerator: int, units: int = 1) -> str:
    """Write numerator / units as a decimal without needless zeros.

    A fraction that no decimal can hold is cut to 28 decimals, half away from zero; give the case a
    rounding to choose others.

    >>> decimal_text(-1250, 1000)
    '-1.25'
    """
    scaled, rest = divmod(abs(numerator) * 10**MAX_DIGITS, units)
    decimals = MAX_DIGITS
    if rest:
        decimals = UNENDING_DECIMALS
        scaled = (2 * abs(numerator) * 10**decimals + units) // (2 * units)
    whole, fraction = divmod(scaled, 10**decimals)
    text = f"{fraction:0{decimals}d}".rstrip("0")
    sign = "-" if numerator < 0 and scaled else ""
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"


def decimal_texts(numerators: Integers, units: int = 1) -> list[str]:
    """Write a column as decimals."""
    return [decimal_text(int(value), units) for value in numerators.tolist()]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
