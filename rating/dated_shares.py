"""Whose a price is where that changes within a month: each part of it by the terms of its day.

A charge is rounded once, to the øre that stands on the bill. What of it belongs to the days until a
change is what its events came to by then, rounded in the same way; the days behind the last change
have the rest. So the parts are the charge, whatever their signs.

    part of stretch k = round(until the end of k) - round(until the end of k - 1)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ledger.money import MICRO_PER_MINOR, round_half_away
from rating.carried import sharing_by_component
from rating.dated import day_number, day_of
from rating.revenue_shares import Sharing, split
from rating.usage import Int64
from rating.versions import InForce


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days of a month on which a component is shared by one set of terms, or by none."""

    from_day: int  # local days since 1970, half-open
    to_day: int
    label: str  # of the version that states the terms first
    sharing: Sharing | None


def stretches_of(versions: Sequence[InForce]) -> dict[str, tuple[Stretch, ...]]:
    """Give the stretches of each component that is shared on some day, in order of days.

    A version, or a section, that changes nothing begins no stretch.
    """
    found: dict[str, list[Stretch]] = {}
    for one in versions:
        terms = one.book.tariff.carried
        begun = {day_number(each.valid_from) for each in terms}
        days = [one.from_day, *sorted(d for d in begun if one.from_day < d < one.to_day)]
        for day, after in zip(days, [*days[1:], one.to_day], strict=True):
            shared = sharing_by_component(terms, day_of(day))
            for name in sorted(found.keys() | shared.keys()):
                here = Stretch(day, after, one.book.label, shared.get(name))
                known = found.setdefault(name, _until(versions[0].from_day, day))
                if known and known[-1].sharing == here.sharing:
                    first = known.pop()
                    here = Stretch(first.from_day, after, first.label, here.sharing)
                known.append(here)
    return {name: tuple(known) for name, known in found.items()}


def _until(begin: int, day: int) -> list[Stretch]:
    """Give the days before a component is shared, where there are any."""
    return [Stretch(begin, day, "", None)] if begin < day else []


def cut_by_stretch(amount_minor: Int64, until_micro: Int64) -> Int64:
    """Cut charges at the days on which their terms change.

    Parameters
    ----------
    amount_minor : (n,) as they stand. [øre]
    until_micro : (n, k - 1) what came together until the end of each stretch but the last.

    Returns
    -------
    (n, k); the sum of a row is its amount. [øre]
    """
    stands = np.concatenate(
        [round_half_away(until_micro.ravel()).reshape(until_micro.shape), amount_minor[:, None]],
        axis=1,
    )
    parts: Int64 = np.diff(stands, axis=1, prepend=0)
    return parts


def parts_of_sales(amount_minor: int, sales_micro: Int64, sharing: Sharing) -> Int64:
    """Split a charge as its sales are split, each by itself: what holders have each time counts.

    Parameters
    ----------
    amount_minor : the charge as it stands. [øre]
    sales_micro : (n,) int64 of either sign, what it sums. [millionths]

    Returns
    -------
    (holders + 1,) in order of the shares, the provider last; the sum is the charge. [øre]
    """
    held = split(sales_micro, sharing).sum(axis=0)
    stands = np.append(round_half_away(np.cumsum(held[:-1])), amount_minor)
    parts: Int64 = np.diff(stands, prepend=0)
    return parts


def cut_by_hand(amount_minor: int, until_micro: Sequence[int]) -> list[int]:
    """Cut one charge with Python's integers: a second opinion on `cut_by_stretch`."""
    parts, before = [], 0
    for micro in until_micro:
        size = (2 * abs(micro) + MICRO_PER_MINOR) // (2 * MICRO_PER_MINOR)
        stands = -size if micro < 0 else size
        parts.append(stands - before)
        before = stands
    return [*parts, amount_minor - before]
