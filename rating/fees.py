"""Percentage fees on transactions: a rate and a fixed fee, with a free part, minimum and maximum.

Source: docs/pricing.md; kind percentage_fee of the pricing case format.
"""

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
    largest,
    narrow,
    round_ratio,
)


@dataclass(frozen=True, slots=True)
class FeeTariff:
    """What a transaction costs, and what is free. [currency units, where nothing else is said]"""

    rate: tuple[int, int] = (0, 1)  # numerator, denominator: 1.5 % is (15, 1000)
    fixed_fee: int = 0
    free_events: int | None = None  # a count; None where the rule does not count events
    free_amount: int | None = None  # None where the rule knows no free amount
    minimum: int | None = None  # of one transaction
    maximum: int | None = None


def period_total_fee(
    tariff: FeeTariff,
    transactions: Integers,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> int:
    """Compute the fee on the total of a period's transactions, in order.

    Free of the rate is the smaller of the total of the first `free_events` transactions and
    `free_amount`; the fixed fee is waived for the transactions whose running total stays below
    `free_amount`, and for at most `free_events` of them.

    Parameters
    ----------
    transactions : (n,) int64. [currency units]
    """
    running = _running(transactions)
    total = int(running[-1]) if len(running) else 0
    free, waived = 0, 0
    if tariff.free_events is not None or tariff.free_amount is not None:
        events = len(running) if tariff.free_events is None else tariff.free_events
        free = int(running[min(events, len(running)) - 1]) if min(events, len(running)) else 0
        waived = min(events, len(running))
    if tariff.free_amount is not None:
        free = min(free, tariff.free_amount)
        waived = min(waived, int(np.count_nonzero(running < tariff.free_amount)))
    top, bottom = tariff.rate
    numerator = (total - free) * top + tariff.fixed_fee * (len(running) - waived) * bottom
    exact = np.empty(1, object)
    exact[0] = numerator
    return int(round_ratio(exact, bottom, units_per_currency, rounding)[0])


def transaction_fees(
    tariff: FeeTariff,
    transactions: Integers,
    units_per_currency: int = MICRO,
    rounding: Rounding | None = None,
) -> Integers:
    """Compute the fee of each transaction of a period, in order.

    While free events or a free amount are left a transaction is free; one that exceeds the rest of
    the free amount is charged on what exceeds it, and ends the free events too. A charged one pays
    max(minimum, min(maximum, rate × amount + fixed fee)).

    Parameters
    ----------
    transactions : (n,) int64. [currency units]

    Returns
    -------
    (n,) int64. [currency units]
    """
    charged, base = _charged_part(tariff, transactions)
    top, bottom = tariff.rate
    held = [abs(bound) for bound in (tariff.minimum, tariff.maximum) if bound is not None]
    safe = (FITS - 1 - max([abs(tariff.fixed_fee), *held]) * bottom) // max(abs(top), 1)

    def compute(amount: Integers) -> Integers:
        fee = amount * top + tariff.fixed_fee * bottom
        if tariff.maximum is not None:
            fee = np.minimum(fee, tariff.maximum * bottom)
        if tariff.minimum is not None:
            fee = np.maximum(fee, tariff.minimum * bottom)
        return round_ratio(fee, bottom, units_per_currency, rounding)

    fees = np.zeros(len(transactions), transactions.dtype)
    fees[charged] = by_magnitude(compute, base[charged], safe=safe)
    return fees


def _charged_part(tariff: FeeTariff, transactions: Integers) -> tuple[NDArray[np.bool_], Integers]:
    """Say which transactions are charged, and on what amount."""
    running = _running(transactions)
    base = transactions.copy()
    position = np.arange(len(transactions))
    by_count = position < (tariff.free_events or 0)
    if not tariff.free_amount or tariff.free_amount < 0:
        return ~by_count, base
    exceeding = np.flatnonzero(np.asarray(running > tariff.free_amount, np.bool_))
    used_up = np.flatnonzero(np.asarray(running == tariff.free_amount, np.bool_))
    over = int(exceeding[0]) if len(exceeding) else len(transactions)
    if len(used_up) and used_up[0] < over:
        # The amount is used up to the last unit: what is left is the count of events.
        return (position > used_up[0]) & ~by_count, base
    if over < len(transactions):
        base[over] = running[over] - tariff.free_amount
    return position >= over, base


def _running(transactions: Integers) -> Integers:
    """Give running totals that cannot wrap."""
    check_integers(transactions, "Transactions")
    if transactions.dtype != np.object_ and largest(transactions) * len(transactions) >= FITS:
        return narrow(np.cumsum(transactions.astype(object)), "A running total")
    running: Integers = np.cumsum(transactions)
    return running
