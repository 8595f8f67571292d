"""What the subscription of a quote may draw on: included, rolled over, left, and bought beside.

Whoever asks for a real subscription says what is left of its allowances and what rolled over into
its month, or has it looked up; what is not said stands as for a subscription that is new. Top-ups
come with the orders, and what is left of earlier ones is there from the beginning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ledger.errors import Invalid
from rating.allowance_terms import BOUGHT, name_at
from rating.allowances import Counters
from rating.clock import midnight, month_number
from rating.dated import day_number, day_of
from rating.grants import monthly_grants
from rating.recurring import month_span
from rating.top_ups import TopUps
from rating.usage import Int64
from rating.versions import InForce

_NOBODY = np.zeros(1, np.int32)  # the one subscription of a quote, and its pool


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of an allowance: of the month's own, or of what rolled over into it."""

    allowance: str
    quantity: int  # seconds, messages or octets; of an allowance of money, millionths
    months_ago: int = 0  # 0: the month's own; 1: it rolled over from the month before; and so on
    bought: bool = False  # it is left of top-ups of the month
    member_used: int = 0  # of what is shared: what the subscription itself has used

    @property
    def age(self) -> int:
        """Say what of the allowance it is, as `allowance_terms` does."""
        return BOUGHT if self.bought else self.months_ago


@dataclass(frozen=True, slots=True)
class Bought:
    """An order for what an offering tops up, from the beginning of a local day."""

    offering: str
    day: date


def grants_of(
    versions: Sequence[InForce], offering: str, period: str, days: tuple[int, int],
    remaining: Sequence[Remaining],
) -> list[Counters | None]:  # fmt: skip
    """Grant each version what it cannot know, as a run would for a subscription that is alone.

    Parameters
    ----------
    days : the local days [from, to) on which it is active, since 1970.

    Raises
    ------
    Invalid : nothing of that name may be left in the month, or it is said twice.
    """
    if len({(one.allowance, one.age) for one in remaining}) < len(remaining):
        raise Invalid("What is left of an allowance is said twice; say it once.")
    known = {name for one in versions for name in one.book.allowances}
    for one in remaining:
        if one.months_ago < 0 or name_at(one.allowance, one.age) not in known:
            raise Invalid(
                f"Nothing of {one.allowance} from {one.months_ago} months ago can be left in "
                f"{period}. The tariff has {', '.join(sorted(known)) or 'no allowances'}."
            )
    return [_granted(one, versions, offering, period, days, remaining) for one in versions]


def _granted(
    one: InForce, versions: Sequence[InForce], offering: str, period: str,
    days: tuple[int, int], remaining: Sequence[Remaining],
) -> Counters | None:  # fmt: skip
    book = one.book
    code = book.offering_codes([offering])
    begin, end = (np.array([day], np.int64) for day in days)
    fresh = monthly_grants(book, period, code, begin, end, _NOBODY, _NOBODY, versions)
    given = dict(zip(fresh.allowance.tolist(), fresh.granted.tolist(), strict=True))
    by_member: dict[int, int] = {}
    for each in remaining:
        name = name_at(each.allowance, each.age)
        if name not in book.allowances:
            continue
        index = book.allowances.index(name)
        if not each.bought:
            given[index] = each.quantity
        if each.member_used:
            # What a member used of what is shared is counted behind the allowances themselves.
            by_member[index + len(book.allowances)] = each.member_used
    if not given or code[0] < 0:
        return None
    given |= dict.fromkeys(by_member, 0)
    count = len(given)
    found = Counters.grants(
        np.zeros(count, np.int32), np.array(list(given), np.int32),
        np.full(count, month_number(period), np.int32), np.array(list(given.values()), np.int64),
    )  # fmt: skip
    used = [by_member.get(index, 0) for index in found.allowance.tolist()]
    return replace(found, used=np.array(used, np.int64))


def top_ups_of(
    versions: Sequence[InForce], period: str, orders: Sequence[Bought],
    remaining: Sequence[Remaining] = (),
) -> list[TopUps]:  # fmt: skip
    """Give each version what is bought in the month, by the terms in force on the day of the order.

    What is left of earlier top-ups is there from the first day. What a version does not sell it
    does not know.
    """
    month, first = month_number(period), day_of(month_span(period)[0])
    bought = [
        (top_up.allowance, top_up.quantity, order.day)
        for order in orders
        for one in versions
        if one.from_day <= day_number(order.day) < one.to_day
        for each in one.book.tariff.offerings
        if each.id == order.offering
        for top_up in each.top_ups
    ]
    bought += [(one.allowance, one.quantity, first) for one in remaining if one.bought]
    found = []
    for one in versions:
        book = one.book
        mine = [
            (book.allowances.index(name_at(name, BOUGHT)), quantity, midnight(book.clock, day))
            for name, quantity, day in bought
            if name_at(name, BOUGHT) in book.allowances
        ]
        columns: Int64 = np.array(mine, np.int64).reshape(-1, 3).T
        count = columns.shape[1]
        found.append(
            TopUps(
                np.zeros(count, np.int32), columns[0].astype(np.int32),
                np.full(count, month, np.int32), columns[2].copy(), columns[1].copy(),
            )
        )  # fmt: skip
    return found
