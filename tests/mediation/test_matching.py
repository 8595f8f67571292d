"""Matching by KID: nothing is lost, nothing is guessed, no claim is paid twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.matching import REASONS, Claim, Match, match
from party.identifiers import is_valid_kid, make_kid
from tests.mediation.bank_files import PAYMENT

KIDS = [make_kid("30000001", number) for number in range(1, 5)]
MARCH = date(2026, 3, 31)
CLAIM = Claim(11, KIDS[0], "1500", 7, "invoice", MARCH + timedelta(14), MARCH, 125_00)


def _matched(amount: int, *claims: Claim, kid: str | None = KIDS[0], kind: int = 10) -> Match:
    payment = replace(PAYMENT, amount_minor=amount, kid=kid, kind=kind)
    return match([payment], claims, is_valid_kid)[0]


def _told(found: Match) -> tuple[str, str | None, int, int]:
    return found.outcome, found.reason, found.allocated_minor, found.rest_minor


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        (125_00, ("exact", None, 125_00, 0)),
        (100_00, ("part", None, 100_00, 0)),
        (130_00, ("overpaid", "overpaid", 125_00, 5_00)),
    ],
)
def test_a_payment_pays_the_claim_of_its_kid(
    amount: int, told: tuple[str, str | None, int, int]
) -> None:
    """Whole, in part, or too much: the customer stays on the rest, and the rule is kept."""
    found = _matched(amount, CLAIM)
    assert _told(found) == told
    assert found.party_id == 7
    assert found.rule == f"kid {told[0]}"


@pytest.mark.parametrize(
    ("kid", "reason", "party_id"),
    [
        (None, "no_kid", None),
        (KIDS[0][:-1] + "9", "kid_check_digit", None),
        ("30000001A", "kid_check_digit", None),
        (KIDS[3], "unknown_kid", None),
        (KIDS[1], "already_paid", 8),
    ],
)
def test_money_that_no_claim_takes_waits_with_its_reason(
    kid: str | None, reason: str, party_id: int | None
) -> None:
    """The whole amount is unallocated; a customer stands on it only if the KID names one."""
    settled = replace(CLAIM, open_item_id=12, kid=KIDS[1], party_id=8, outstanding_minor=0)
    found = _matched(125_00, CLAIM, settled, kid=kid)
    assert _told(found) == ("unallocated", reason, 0, 125_00)
    assert found.party_id == party_id


def test_what_the_bank_deducted_or_reversed_is_for_a_person() -> None:
    """A credit note is negative money; a reversal is no payment, though the bank adds it."""
    assert _told(_matched(-30_00, CLAIM)) == ("unallocated", "credit", 0, -30_00)
    assert _told(_matched(100_00, CLAIM, kind=18)) == ("unallocated", "reversal", 0, 100_00)
    assert _told(_matched(100_00, CLAIM, kind=20, kid=None))[1] == "reversal"
    assert _matched(-30_00, CLAIM).party_id == 7


def test_a_payment_of_nothing_is_not_booked() -> None:
    """The books have no line of zero."""
    assert _told(_matched(0, CLAIM)) == ("not_booked", "zero_amount", 0, 0)


def test_costs_come_before_interest_and_interest_before_the_oldest_principal() -> None:
    """Several claims under one KID are paid in the customary order, and the rule says so."""
    later = replace(CLAIM, open_item_id=1, due_date=CLAIM.due_date + timedelta(1))
    interest = replace(CLAIM, open_item_id=2, kind="interest", outstanding_minor=3_00)
    fee = replace(CLAIM, open_item_id=3, kind="fee", account="1571", outstanding_minor=38_00)
    found = _matched(150_00, later, CLAIM, interest, fee)
    assert [(use.claim.open_item_id, use.amount_minor) for use in found.uses] == [
        (3, 38_00),
        (2, 3_00),
        (11, 109_00),
    ]
    assert found.rule == "kid part: costs, interest, oldest"


def test_two_payments_of_one_invoice_do_not_pay_it_twice() -> None:
    """The first takes the claim; the second finds nothing left."""
    first, second = match([PAYMENT, PAYMENT], [CLAIM], is_valid_kid)
    assert (first.outcome, second.reason) == ("exact", "already_paid")


@given(
    st.lists(
        st.tuples(st.sampled_from([*KIDS, None, "123"]), st.integers(-5, 9), st.integers(10, 21))
    ),
    st.lists(st.tuples(st.sampled_from(KIDS), st.integers(0, 9)), max_size=6),
)
def test_every_amount_is_accounted_for(
    paid: list[tuple[str | None, int, int]], owed: list[tuple[str, int]]
) -> None:
    """Uses and rest sum to the payment; no claim is used beyond what it has left."""
    payments = [replace(PAYMENT, kid=kid, amount_minor=n, kind=kind) for kid, n, kind in paid]
    claims = [
        replace(CLAIM, open_item_id=number, kid=kid, outstanding_minor=left)
        for number, (kid, left) in enumerate(owed)
    ]
    found = match(payments, claims, is_valid_kid)
    used = dict.fromkeys(range(len(claims)), 0)
    for payment, one in zip(payments, found, strict=True):
        assert one.allocated_minor + one.rest_minor == payment.amount_minor
        assert (one.reason is None) == (one.outcome in {"exact", "part"})
        assert one.reason is None or one.reason in REASONS
        assert all(use.claim.kid == payment.kid and use.amount_minor > 0 for use in one.uses)
        for use in one.uses:
            used[use.claim.open_item_id] += use.amount_minor
    assert all(used[claim.open_item_id] <= claim.outstanding_minor for claim in claims)
    # Money waits only where its KID's claims are used up, or it says why it was not looked at.
    for payment, one in zip(payments, found, strict=True):
        if one.reason in {"overpaid", "already_paid"}:
            assert all(used[c.open_item_id] == c.outstanding_minor
                       for c in claims if c.kid == payment.kid)  # fmt: skip
