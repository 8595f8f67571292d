"""What orders do to the register, and what they may not do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from party.orders import Order, SubscriptionRecord
from party.register import ACCOUNT, OFFERING, Register
from tests.party.rows import ANNA, FIRM, OFFERINGS, day, order


def _applied(*orders: Order) -> Register:
    register = Register()
    for one in orders:
        assert register.apply(one, OFFERINGS).state == "applied"
    return register


def _history(register: Register, what: str, ref: str = "SUB1") -> list[tuple[object, int, object]]:
    return [
        (span.value, span.start, span.end)
        for span in register.subscribers[ref].spans
        if span.what == what
    ]


def test_an_added_subscription_has_numbers_offering_and_payer() -> None:
    """Everything begins at the instant of the order and lasts."""
    register = _applied(order(1, "add", day(1)))
    assert _history(register, "msisdn") == [(4791000001, day(1), None)]
    assert _history(register, "imsi") == [(242011000000001, day(1), None)]
    assert _history(register, OFFERING) == [("SMALL", day(1), None)]
    assert _history(register, ACCOUNT) == [("30000001", day(1), None)]


def test_a_change_ends_one_thing_and_begins_the_next_at_the_same_instant() -> None:
    """A new offering, number and payer; the card, which is the same, goes on unbroken."""
    register = _applied(
        order(1, "add", day(1)),
        order(2, "change", day(5), offering="LARGE", msisdn=4791000009, account_ref="30000002"),
    )
    assert _history(register, OFFERING) == [("SMALL", day(1), day(5)), ("LARGE", day(5), None)]
    assert _history(register, "msisdn") == [
        (4791000001, day(1), day(5)), (4791000009, day(5), None)
    ]  # fmt: skip
    assert _history(register, ACCOUNT) == [("30000001", day(1), day(5)), ("30000002", day(5), None)]
    assert _history(register, "imsi") == [(242011000000001, day(1), None)]


def test_two_changes_at_one_instant_leave_the_last() -> None:
    """What was replaced at once never held; a third change still finds the one that lasts."""
    register = _applied(
        order(1, "add", day(1)),
        order(2, "change", day(1), offering="LARGE"),
        order(3, "change", day(2), offering="SMALL"),
    )
    held = [(v, s, e) for v, s, e in _history(register, OFFERING) if s != e]
    assert held == [("LARGE", day(1), day(2)), ("SMALL", day(2), None)]


def test_a_ceased_number_can_be_given_to_another() -> None:
    """From the instant it ends, not a second earlier."""
    register = _applied(order(1, "add", day(1)), order(2, "cease", day(9)))
    early = order(3, "add", day(9) - 1, subscription_ref="SUB2")
    assert register.apply(early, OFFERINGS).reason == "NUMBER_IN_USE"
    assert "SUB2" not in register.subscribers
    assert register.apply(order(4, "add", day(9), subscription_ref="SUB2"), OFFERINGS).state == (
        "applied"
    )


def test_a_ceased_subscription_can_be_added_again() -> None:
    """The same reference has two stretches, with nothing between them."""
    register = _applied(order(1, "add", day(1)), order(2, "cease", day(5)), order(3, "add", day(9)))
    assert _history(register, OFFERING) == [("SMALL", day(1), day(5)), ("SMALL", day(9), None)]


def test_an_addon_is_charged_to_who_pays_at_that_instant() -> None:
    """An add-on changes nothing; it may also come after the subscription has ended."""
    register = _applied(
        order(1, "add", day(1)),
        order(2, "change", day(5), account_ref="30000002"),
        order(3, "cease", day(9)),
        order(4, "addon", day(3), offering="EXTRA"),
        order(5, "addon", day(7), offering="EXTRA", account_ref=""),
    )
    assert [done.account_ref for done in register.applied[-2:]] == ["30000001", "30000002"]


def test_what_ceases_is_what_was_active() -> None:
    """A cease may name an offering that nobody sells any more: it ends what there is."""
    register = _applied(order(1, "add", day(1)), order(2, "cease", day(5), offering="OLD"))
    assert register.applied[-1].offering == "SMALL"
    assert all(span.end == day(5) for span in register.spans())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (order(9, "add", day(3)), "ALREADY_ACTIVE"),
        (order(9, "add", day(3), subscription_ref="SUB2"), "NUMBER_IN_USE"),
        (order(9, "change", day(3), offering="GONE"), "UNKNOWN_OFFERING"),
        (order(9, "change", day(3), subscription_ref="SUB2"), "UNKNOWN_SUBSCRIPTION"),
        (order(9, "cease", day(1)), "OUT_OF_ORDER"),
        (order(9, "addon", day(1), offering="EXTRA"), "NOT_ACTIVE"),
        (order(9, "addon", day(3), account_ref="30000009"), "ACCOUNT_DIFFERS"),
        (order(9, "change", day(3), customer=FIRM), "ACCOUNT_OF_ANOTHER"),
        (order(9, "change", day(3), segment="business"), "ACCOUNT_DIFFERS"),
        (order(9, "change", day(3), account_ref="30000009", customer=None), "UNKNOWN_ACCOUNT"),
        (order(1, "add", day(2), offering="LARGE"), "ORDER_CONFLICT"),
    ],
)
def test_an_order_that_breaks_a_rule_leaves_no_trace(bad: Order, reason: str) -> None:
    """The row is suspended with its code and a sentence, and the register is as before."""
    register = _applied(order(1, "add", day(2)))
    before = [(s.what, s.value, s.start, s.end) for s in register.spans()]
    outcome = register.apply(bad, OFFERINGS)
    assert (outcome.state, outcome.reason, outcome.line_no) == ("suspended", reason, bad.line_no)
    assert outcome.detail.endswith(".")
    assert [(s.what, s.value, s.start, s.end) for s in register.spans()] == before
    assert len(register.applied) == len(register.accounts) == len(register.customers) == 1


def test_a_customer_of_another_kind_is_not_the_same_customer() -> None:
    """A customer number that suddenly is an organisation is a mistake of somebody."""
    register = _applied(order(1, "add", day(1)))
    other = order(2, "change", day(2), account_ref="30000009", customer=type(ANNA)(
        "10000001", "organisation", "Bedrift"))  # fmt: skip
    assert register.apply(other, OFFERINGS).reason == "CUSTOMER_DIFFERS"


def test_another_address_is_applied_and_said() -> None:
    """The order counts; the customer stays as registered, and the outcome says so."""
    register = _applied(order(1, "add", day(1)))
    moved = type(ANNA)("10000001", "person", "Kunde 10000001", street="Prøveveien 2")
    outcome = register.apply(order(2, "change", day(2), customer=moved), OFFERINGS)
    assert outcome.state == "applied"
    assert "stays as registered" in outcome.detail


def _record(**changed: object) -> SubscriptionRecord:
    given: dict[str, object] = {
        "line_no": 2, "subscription_ref": "SUB1", "numbers": {"msisdn": 4791000001},
        "offering": "SMALL", "account_ref": "BA-1", "segment": "consumer", "valid_from": day(1),
        "valid_to": None,
    }  # fmt: skip
    return SubscriptionRecord(**given | changed)  # type: ignore[arg-type]


def test_enrolling_twice_changes_nothing_and_other_facts_are_refused() -> None:
    """The same row again is known, even after an order ended it; another start is not the same."""
    register = Register()
    assert register.enrol(_record()).state == "applied"
    assert register.enrol(_record()).state == "already"
    ended = order(1, "cease", day(5), account_ref="", customer=None)
    assert register.apply(ended, OFFERINGS).state == "applied"
    assert register.enrol(_record()).state == "already"
    assert register.enrol(_record(valid_from=day(2))).reason == "SUBSCRIPTION_DIFFERS"
    taken = _record(subscription_ref="SUB2", valid_from=day(4))
    assert register.enrol(taken).reason == "NUMBER_IN_USE"


_ANY = st.builds(
    order,
    st.integers(1, 60),
    st.sampled_from(["add", "change", "addon", "cease"]),
    st.integers(1, 6).map(day),
    offering=st.sampled_from(sorted(OFFERINGS)),
    subscription_ref=st.sampled_from(["SUB1", "SUB2"]),
    msisdn=st.sampled_from([None, 4791000001, 4791000002]),
    imsi=st.none(),
    account_ref=st.sampled_from(["", "30000001", "30000002"]),
)


@given(st.lists(_ANY, max_size=25))
def test_no_orders_make_anything_overlap(orders: list[Order]) -> None:
    """At no instant has a number two holders, or a subscription two offerings or two payers."""
    register = Register()
    for one in orders:
        register.apply(one, OFFERINGS)
    for number in range(1, 8):
        held = [span for span in register.spans() if span.overlaps(day(number), day(number) + 1)]
        numbers = [(s.what, s.value) for s in held if s.what == "msisdn"]
        singles = [(s.subscription_ref, s.what) for s in held if s.what in {OFFERING, ACCOUNT}]
        assert len(numbers) == len(set(numbers))
        assert len(singles) == len(set(singles))
