"""What a quantity costs by steps that begin at zero for each event, without any fee.

Usage inside a step is rounded up to whole increments; what a paid increment reaches into the next
step is not paid again. Prices are whole units of money per unit of quantity, so nothing is rounded.
"""

from dataclasses import dataclass

import numpy as np

from rating.rounding import FITS, Integers, Overflow, largest
from rating.usage import Int64


@dataclass(frozen=True, slots=True, eq=False)
class StepPrices:
    """A row a rate; a step that begins at its own end is not used."""

    begin: Integers  # (rates, steps)
    end: Integers  # of the step; that of the last is beyond every quantity
    price: Integers  # [units of money per unit of quantity]
    increment: Integers  # 0 is proportional


def price_of(prices: StepPrices, rate: Int64, quantity: Integers) -> Integers:
    """Price quantities, each by the steps of its rate.

    Parameters
    ----------
    rate : (n,) row of `prices`.
    quantity : (n,) not negative.

    Raises
    ------
    Overflow : an amount might not fit in 64 bits; Python's integers (dtype object) always do.
    """
    if quantity.dtype != np.object_:
        units = largest(quantity) + largest(prices.increment) * prices.begin.shape[1]
        if units * largest(prices.price) >= FITS:
            raise Overflow(f"{units} units at {largest(prices.price)} do not fit in 64 bits.")
    amount = np.zeros_like(quantity)
    paid_until = np.zeros_like(quantity)
    for step in range(prices.begin.shape[1]):
        begin = np.maximum(prices.begin[rate, step], paid_until)
        unpaid = np.maximum(np.minimum(quantity, prices.end[rate, step]) - begin, 0)
        increment = np.maximum(prices.increment[rate, step], 1)
        billed = -(-unpaid // increment) * increment
        amount = amount + billed * prices.price[rate, step]
        paid_until = np.where(billed > 0, begin + billed, paid_until)
    return amount
