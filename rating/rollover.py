"""What is left of an allowance at the end of a period, carried into the next one."""

from dataclasses import dataclass

import numpy as np

from ledger.money import MICRO_PER_UNIT
from rating.allowance_terms import BOUGHT, OWN
from rating.allowances import NOT_STATED, Counters
from rating.rounding import FITS, Integers, Overflow, check_integers, largest
from rating.tariff import TariffBook
from rating.top_ups import TopUps
from rating.usage import Int32, Int64

NO_LIMIT = -1
_WHOLE = 100 * MICRO_PER_UNIT  # a hundred per cent


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

    Raises
    ------
    Overflow : a product might not fit in int64; Python's integers (dtype object) always do.
    """
    check_integers(balance, "Balances")
    one = np.array([per], np.int64)
    products = [(balance, percent), (least, one), (most, one), (overage_carried, one)]
    if any(_may_wrap(*product) for product in products):
        raise Overflow("A balance times what is kept of it does not fit in 64 bits.")
    kept = np.maximum(least * per, balance * percent)
    kept = np.where(most == NO_LIMIT, kept, np.minimum(kept, most * per))
    return kept - overage_carried * per, kept


def _may_wrap(left: Integers, right: Integers) -> bool:
    narrow = np.object_ not in (left.dtype, right.dtype)
    return narrow and largest(left) * largest(right) >= FITS


@dataclass(frozen=True, slots=True, eq=False)
class Remainder:
    """What a month leaves to the next, one row a pool and age; all above zero."""

    owner: Int32  # a code as in the counters
    allowance: Int32  # index into `book.allowances`, of what the month includes
    age: Int32  # in the next month: from how many months ago it is
    quantity: Int64


def remainder_of(
    counters: Counters, book: TariffBook, month: int, top_ups: TopUps | None = None
) -> Remainder:
    """Say what rolls over from a month, by the terms of its last version.

    Parameters
    ----------
    counters : as rating the whole month left them; what nobody used must be granted there.
    month : year * 12 + month - 1.
    top_ups : what was bought in the month.

    What is left of the month's own and of what was bought is one sum, of which the percentage goes
    on, rounded down, at most so much. What had rolled over before goes on whole until its months
    are over.
    """
    included = book.included
    # The second half counts what members used; of a pool that is capped nothing rolls over.
    rolls = np.concatenate([included.rollover_micro > 0, np.zeros(len(book.allowances), np.bool_)])
    mine = np.flatnonzero((counters.month == month) & rolls[counters.allowance])
    owner, allowance = counters.subscription[mine], counters.allowance[mine]
    age, base = included.age[allowance], included.of[allowance]
    granted = np.where(
        counters.granted[mine] == NOT_STATED, included.quantity[allowance], counters.granted[mine]
    )
    left = np.where(age == BOUGHT, -counters.used[mine], granted - counters.used[mine])
    left = np.where(age == BOUGHT, left, np.maximum(left, 0))
    bought = top_ups or TopUps.none()
    now = (bought.month == month) & rolls[bought.allowance]
    fresh = age <= OWN
    owners, bases, sums = _summed(
        np.concatenate([owner[fresh], bought.owner[now]]),
        np.concatenate([base[fresh], included.of[bought.allowance[now]]]),
        np.concatenate([left[fresh], bought.quantity[now]]),
    )
    percent = included.rollover_micro[bases].astype(object)
    most = included.rollover_most[bases].astype(object)
    numerator, _ = rolled_over(sums.astype(object), percent, _WHOLE, sums * 0, most, sums * 0)
    kept = (numerator // _WHOLE).astype(np.int64)
    older = np.flatnonzero((age > OWN) & (age < included.rollover_months[base]))
    found = Remainder(
        np.concatenate([owners, owner[older]]).astype(np.int32),
        np.concatenate([bases, base[older]]).astype(np.int32),
        np.concatenate([np.ones(len(owners), np.int64), age[older] + 1]).astype(np.int32),
        np.concatenate([kept, left[older]]).astype(np.int64),
    )
    something = np.flatnonzero(found.quantity > 0)
    order = something[
        np.lexsort((found.age[something], found.allowance[something], found.owner[something]))
    ]
    return Remainder(*(getattr(found, name)[order] for name in Remainder.__slots__))


def _summed(owner: Int64, base: Int64, quantity: Int64) -> tuple[Int64, Int64, Int64]:
    keys, place = np.unique(np.stack([owner, base]), axis=1, return_inverse=True)
    total = np.zeros(keys.shape[1], np.int64)
    np.add.at(total, place.ravel(), quantity)
    return keys[0], keys[1], total
