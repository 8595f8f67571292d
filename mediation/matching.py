"""Which claim a payment pays: by its KID, which is the payer's own word for it.

Pure. Money that no claim takes is never guessed at: it waits on the account of unallocated money,
with the reason. Claims are used up in the order of the payments, so two payments of one invoice in
one file are an exact one and one too many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

EXACT, PART, OVERPAID = "exact", "part", "overpaid"
UNALLOCATED = "unallocated"
NOT_BOOKED = "not_booked"

# Why a payment needs a person, and what that person can do.
REASONS: Mapping[str, str] = {
    "overpaid": "More was paid than the claim has left; use the rest for another, or pay it back.",
    "unknown_kid": "No claim has this KID; find whom the payer meant, or return the money.",
    "kid_check_digit": "The KID fails its check digit; compare it with the payer's invoice.",
    "no_kid": "The payment has no KID; find the payer by the debit account or the text.",
    "already_paid": "The claim of this KID has nothing left; use the money, or pay it back.",
    "credit": "The bank deducted this amount; find the credit that the payer set off.",
    "reversal": "A purchase was reversed at the terminal; find the purchase.",
    "zero_amount": "The payment is of nothing; there is nothing to book.",
    "already_booked": "This payment came before, in this file or an earlier one, and was booked.",
    "key_conflict": "An earlier file has the bank's key of this payment for another; ask the bank.",
}

# No law orders it. The payer's KID comes first, then costs, interest and the oldest principal.
_COSTS = frozenset({"fee", "reminder_fee", "compensation", "costs"})
_INTEREST = frozenset({"interest"})


class Paid(Protocol):
    """What matching looks at in a payment."""

    @property
    def kid(self) -> str | None:
        """Give the KID as written."""

    @property
    def amount_minor(self) -> int:
        """Give the amount with its sign. [øre]"""

    @property
    def is_reversal(self) -> bool:
        """Tell whether a purchase is reversed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An open item on a customer, or one of which nothing is left. [øre]"""

    open_item_id: int
    kid: str
    account: str
    party_id: int
    kind: str
    due_date: date
    effective_date: date
    outstanding_minor: int


@dataclass(frozen=True, slots=True)
class Use:
    """So much of a payment settles so much of a claim. [øre, positive]"""

    claim: Claim
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Match:
    """What becomes of a payment: its uses and the rest sum to its amount. [øre]"""

    outcome: str  # exact, part, overpaid, unallocated, not_booked
    reason: str | None  # one of REASONS where a person is needed
    party_id: int | None
    uses: tuple[Use, ...]
    rest_minor: int
    rule: str | None = None  # recorded with each allocation

    @property
    def allocated_minor(self) -> int:
        """Sum what claims take. [øre]"""
        return sum(use.amount_minor for use in self.uses)


def match(
    payments: Iterable[Paid], claims: Iterable[Claim], is_valid_kid: Callable[[str], bool]
) -> list[Match]:
    """Match payments to claims, in the order of the payments.

    Parameters
    ----------
    payments : their amounts signed as in the bank's sums.
    claims : every claim with one of the payments' KIDs, those already paid too.
    is_valid_kid : tells whether the check digit holds.

    Returns
    -------
    list of Match, one per payment in the same order.

    Source: OCR giro, system specification (Mastercard Payment Services), on KID; docs/decisions.md.
    """
    by_kid: dict[str, list[Claim]] = defaultdict(list)
    for claim in sorted(claims, key=_order):
        by_kid[claim.kid].append(claim)
    left = {claim.open_item_id: claim.outstanding_minor for of in by_kid.values() for claim in of}
    return [_match_one(payment, by_kid, left, is_valid_kid) for payment in payments]


def refused(reason: str) -> Match:
    """Make the outcome of a payment that is not booked at all."""
    return Match(NOT_BOOKED, reason, None, (), 0)


def _match_one(
    payment: Paid,
    by_kid: Mapping[str, list[Claim]],
    left: dict[int, int],
    is_valid_kid: Callable[[str], bool],
) -> Match:
    """Match one payment and take what it uses from what is left."""
    amount = payment.amount_minor
    if amount == 0:
        return refused("zero_amount")
    valid = payment.kid is not None and is_valid_kid(payment.kid)
    claims = by_kid.get(payment.kid, []) if payment.kid is not None and valid else []
    party_id = claims[0].party_id if claims else None
    reason = _why_not(payment, claims, left, valid=valid)
    if reason is not None:
        return Match(UNALLOCATED, reason, party_id, (), amount)
    uses = []
    for claim in claims:
        taken = min(amount, left[claim.open_item_id])
        if taken:
            uses.append(Use(claim, taken))
            left[claim.open_item_id] -= taken
            amount -= taken
    outcome = OVERPAID if amount else PART if _remaining(claims, left) else EXACT
    order = ": costs, interest, oldest" if len(claims) > 1 else ""
    return Match(
        outcome=outcome,
        reason="overpaid" if amount else None,
        party_id=party_id,
        uses=tuple(uses),
        rest_minor=amount,
        rule=f"kid {outcome}{order}",
    )


def _why_not(
    payment: Paid, claims: list[Claim], left: Mapping[int, int], *, valid: bool
) -> str | None:
    """Give the reason why no claim takes a payment, None if one does."""
    if payment.is_reversal:
        return "reversal"
    if payment.amount_minor < 0:
        return "credit"
    if payment.kid is None:
        return "no_kid"
    if not valid:
        return "kid_check_digit"
    if not claims:
        return "unknown_kid"
    return None if _remaining(claims, left) else "already_paid"


def _remaining(claims: list[Claim], left: Mapping[int, int]) -> int:
    return sum(left[claim.open_item_id] for claim in claims)


def _order(claim: Claim) -> tuple[int, date, int]:
    rank = 0 if claim.kind in _COSTS else 1 if claim.kind in _INTEREST else 2
    return rank, claim.due_date, claim.open_item_id
