"""Conditions on a post: what its sender believes of the books, and wants it refused without.

They are no part of an entry's content: an entry that is found where it was posted is not held to
them again. Nothing here reads a database; `ledger.service.conditions` holds them against the books.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from ledger.errors import Invalid, Problem
from ledger.money import format_amount


@dataclass(frozen=True, slots=True)
class PartyBalance:
    """The balance of a party on an account, over all days, is within bounds. [minor units]"""

    party_id: int
    account: str
    currency: str
    at_most_minor: int | None = None
    at_least_minor: int | None = None


@dataclass(frozen=True, slots=True)
class ItemOutstanding:
    """So much is left of an open item: positive of a claim, negative of a credit. [minor units]"""

    open_item_id: int
    outstanding_minor: int


@dataclass(frozen=True, slots=True)
class LastVoucher:
    """The last number of a series and fiscal year; 0 before the first. The next is the sender's."""

    series: str
    year: int
    number: int


Condition = PartyBalance | ItemOutstanding | LastVoucher


class ConditionMalformed(Invalid):
    """A condition is not of a documented shape, or demands nothing.

    Raise as: f"{where}: {what was found}. See docs/posting.md.".
    """

    title = "Condition is malformed"


class ConditionsNotMet(Problem):
    """The books are not as the sender demands; nothing was posted. `conditions` has what they are.

    Raise as: f"{whose}: party {party} has {actual} on account {account}, not at most {bound}.".
    """

    status = HTTPStatus.PRECONDITION_FAILED
    title = "Conditions are not met"


def check_condition(condition: Condition, where: str) -> None:
    """Refuse a condition that demands nothing, or holds a float, with `ConditionMalformed`."""
    numbers: tuple[object, ...]
    if isinstance(condition, PartyBalance):
        bounds = (condition.at_most_minor, condition.at_least_minor)
        if bounds == (None, None):
            raise ConditionMalformed(
                f"{where}: a party's balance needs at_most, at_least or both. See docs/posting.md."
            )
        numbers = (condition.party_id, *bounds)
    elif isinstance(condition, ItemOutstanding):
        numbers = (condition.open_item_id, condition.outstanding_minor)
    else:
        numbers = (condition.year, condition.number)
    for number in numbers:
        try:
            if number is None or abs(operator.index(number)) < 2**63:
                continue
        except TypeError:
            pass
        raise ConditionMalformed(f"{where}: {number!r} is no 64-bit integer. See docs/posting.md.")


def check_demands(conditions: Sequence[Condition], where: str) -> None:
    """Check all conditions of a post; see `check_condition`."""
    for condition in conditions:
        check_condition(condition, where)


def is_met(condition: Condition, actual: int) -> bool:
    """Tell whether what the books say satisfies a condition."""
    if isinstance(condition, PartyBalance):
        high, low = condition.at_most_minor, condition.at_least_minor
        return (high is None or actual <= high) and (low is None or actual >= low)
    if isinstance(condition, ItemOutstanding):
        return actual == condition.outstanding_minor
    return actual == condition.number


def not_met(whose: str, unmet: Sequence[tuple[Condition, int]]) -> ConditionsNotMet:
    """Make the refusal of a post, with every condition that is not met and what the books say."""
    return ConditionsNotMet(
        f"{whose}: {'; '.join(_sentence(c, actual) for c, actual in unmet)}. Nothing was posted; "
        "look at the books again.",
        conditions=[_facts(condition, actual) for condition, actual in unmet],
    )


def _sentence(condition: Condition, actual: int) -> str:
    if isinstance(condition, PartyBalance):
        bounds = " and ".join(
            f"{name} {format_amount(bound)}"
            for name, bound in (("at least", condition.at_least_minor),
                                ("at most", condition.at_most_minor)) if bound is not None
        )  # fmt: skip
        return (f"party {condition.party_id} has {format_amount(actual)} {condition.currency} on "
                f"account {condition.account}, not {bounds}")  # fmt: skip
    if isinstance(condition, ItemOutstanding):
        return (f"open item {condition.open_item_id} has {format_amount(actual)} outstanding, not "
                f"{format_amount(condition.outstanding_minor)}")  # fmt: skip
    return (f"the last number of {condition.series}/{condition.year} is {actual}, not "
            f"{condition.number}")  # fmt: skip


def _facts(condition: Condition, actual: int) -> dict[str, object]:
    if isinstance(condition, PartyBalance):
        return {"kind": "party-balance", "party_id": condition.party_id,
                "account": condition.account, "currency": condition.currency,
                "actual": format_amount(actual)}  # fmt: skip
    if isinstance(condition, ItemOutstanding):
        return {"kind": "item-outstanding", "open_item_id": condition.open_item_id,
                "actual": format_amount(actual)}  # fmt: skip
    return {"kind": "last-voucher", "series": condition.series, "year": condition.year,
            "actual": actual}  # fmt: skip
