"""What is left of an allowance at the end of a period, carried into the next one."""

import numpy as np

from rating.rounding import Integers, check_integers

NO_LIMIT = -1


def rolled_over(
    balance: Integers, percent: Integers, per: int, least: Integers, most: Integers,
    overage_carried: Integers,
) -> tuple[Integers, Integers]:  # fmt: skip
    """Give balances after the reset: min(most, max(least, balance x percent)) - overage carried.

    Parameters
    ----------
    balance : (n,) left at the end of the period; below zero is overage and rolls nothing over.
    percent, per : the part of it that is kept: percent / per.
    least, most : (n,) limits; `most` is NO_LIMIT where there is none.
    overage_carried : (n,) use beyond the old period that the new one pays for.

    Returns
    -------
    numerator : (n,) the balance after the reset x `per`. The caller chooses how to round it.
    kept : (n,) min(most, max(least, ...)) x `per`, before the overage.
    """
    check_integers(balance, "Balances")
    kept = np.maximum(least * per, balance * percent)
    kept = np.where(most == NO_LIMIT, kept, np.minimum(kept, most * per))
    return kept - overage_carried * per, kept
