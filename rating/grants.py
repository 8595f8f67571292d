"""What is granted of allowances whose grant no book can know: prorated and shared ones.

A subscription brings what its offering states, by days where it is prorated (half away from zero);
a shared allowance is granted the sum of what its members bring.
"""

from collections.abc import Sequence

import numpy as np

from rating.allowances import Counters
from rating.clock import month_number
from rating.recurring import first_stretches, month_span
from rating.rounding import share_of
from rating.tariff import TariffBook
from rating.tariff_terms import Allowance
from rating.usage import Int32, Int64
from rating.versions import InForce


def monthly_grants(
    book: TariffBook, period: str, offering: Int32, active_from: Int64, active_to: Int64,
    subscription: Int32, pool: Int32, versions: Sequence[InForce] = (),
) -> Counters:  # fmt: skip
    """Grant a month's prorated and shared allowances.

    Parameters
    ----------
    period : such as 2026-03.
    offering : (n,) index into `book.offerings`, one row per stretch with one offering and payer.
    active_from, active_to : (n,) local days since 1970, half-open.
    subscription, pool : (n,) the codes of the usage batch; rows with a negative code that an
        allowance would be granted to grant nothing.

    versions : where several are in force in the month, all of them: what is prorated is granted by
        the days of each, in one sum that is rounded once.

    What is not prorated is brought once, to the pool of the subscription's first stretch.
    """
    first, after = month_span(period)
    days = np.clip(active_to, first, after) - np.clip(active_from, first, after)
    owners: list[Int64] = []
    allowances: list[Int64] = []
    grants: list[Int64] = []
    for number, terms in enumerate(book.tariff.offerings):
        rows = np.flatnonzero((offering == number) & (days > 0))
        for allowance in terms.allowances:
            index = book.allowances.index(allowance.id)
            if not book.included.stated[index] or not len(rows):
                continue
            kept = rows
            if not allowance.prorate:
                kept = rows[first_stretches(rows, active_from, subscription.astype(np.int64))]
            brought = np.full(len(kept), allowance.quantity, np.int64)
            if allowance.prorate:
                by_days = np.zeros(len(kept), np.int64)
                for one in versions or (InForce(book, first, after),):
                    begin = np.maximum(active_from[kept], one.from_day)
                    ended = np.minimum(active_to[kept], one.to_day)
                    stated = _stated(one.book, terms.id, allowance)
                    by_days += np.maximum(ended - begin, 0) * stated
                brought = share_of(by_days, 1, after - first)
            owners.append((pool if allowance.shared else subscription)[kept].astype(np.int64))
            allowances.append(np.full(len(kept), index))
            grants.append(brought)
    return _summed(owners, allowances, grants, month_number(period))


def _stated(book: TariffBook, offering: str, allowance: Allowance) -> int:
    """Give what a version of the tariff includes under the name of an allowance, if it does."""
    return sum(
        one.quantity
        for terms in book.tariff.offerings
        for one in terms.allowances
        if terms.id == offering and one.id == allowance.id and one.money == allowance.money
    )


def _summed(
    owners: list[Int64], allowances: list[Int64], grants: list[Int64], month: int
) -> Counters:
    none = np.zeros(0, np.int64)
    owner, allowance, grant = (
        np.concatenate([none, *parts]) for parts in (owners, allowances, grants)
    )
    known = owner >= 0
    keys, place = np.unique(
        np.stack([owner[known], allowance[known]]), axis=1, return_inverse=True
    )  # fmt: skip
    total = np.zeros(keys.shape[1], np.int64)
    np.add.at(total, place.ravel(), grant[known])
    return Counters.grants(
        keys[0].astype(np.int32), keys[1].astype(np.int32),
        np.full(keys.shape[1], month, np.int32), total,
    )  # fmt: skip
