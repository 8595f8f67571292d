"""The verbs of the party room against a database."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from party import service
from party.orders import SubscriptionRecord
from party.service.loading import instant
from tests.party.rows import ANNA, FIRM, OFFERINGS, day, order

FEBRUARY = (day(32), day(60))


def _states(outcomes: list[service.Outcome]) -> list[str]:
    return [outcome.reason or outcome.state for outcome in outcomes]


def _count(session: Session, table: str) -> int:
    return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def _arrays(*columns: list[int]) -> list[np.ndarray]:
    return [np.array(column, np.int64) for column in columns]


def test_orders_become_agreements(session: Session) -> None:
    """What orders said is found again by number and instant, in the next batch as in this one."""
    orders = [
        order(1, "add", day(1)),
        order(2, "add", day(1), offering="NONE", subscription_ref="SUB9", account_ref="39999999"),
        order(3, "change", day(40), offering="LARGE", account_ref="30000002"),
    ]
    assert _states(service.apply_orders(session, orders, OFFERINGS, file_id=7)) == [
        "applied", "UNKNOWN_OFFERING", "applied"
    ]  # fmt: skip
    later = [order(4, "cease", day(50)), order(5, "add", day(55), subscription_ref="SUB2")]
    assert _states(service.apply_orders(session, later, OFFERINGS)) == ["applied", "applied"]
    assert _count(session, "party") == 1
    assert _count(session, "billing_account") == 2

    agreements = service.load_agreements(session)
    numbers, instants = _arrays(
        [4791000001] * 5, [day(1) - 1, day(1), day(50) - 1, day(50), day(55)]
    )
    found = agreements.find("msisdn", numbers, instants)
    first, second = found[1], found[4]
    assert found.tolist() == [-1, first, first, -1, second]
    assert first != second
    both, at = _arrays([first, first, first], [day(40) - 1, day(40), day(50)])
    names = [agreements.offering_names[code] for code in agreements.offerings_at(both, at)[:2]]
    assert names == ["SMALL", "LARGE"]
    payers = service.billing_accounts(session, ids=agreements.payers_at(both, at)[:2].tolist())
    assert [payer.number for payer in payers] == ["30000001", "30000002"]
    assert agreements.payers_at(both, at)[2] == -1


def test_agreements_are_read_again_only_after_a_change(session: Session) -> None:
    """Files between two orders share what was read; an order that only ends something is seen."""
    service.apply_orders(session, [order(1, "add", day(1))], OFFERINGS)
    before = service.load_agreements(session)
    assert service.load_agreements(session) is before
    service.apply_orders(session, [order(2, "cease", day(9))], OFFERINGS)
    after = service.load_agreements(session)
    number, instant = _arrays([4791000001], [day(9)])
    assert before.find("msisdn", number, instant) > 0
    assert after.find("msisdn", number, instant) == [-1]


def test_the_same_orders_again_change_nothing(session: Session) -> None:
    """A file that is read twice is applied once; another content under an id is a conflict."""
    orders = [order(1, "add", day(1)), order(2, "cease", day(9))]
    service.apply_orders(session, orders, OFFERINGS)
    moved = [replace(one, line_no=one.line_no + 5) for one in orders]
    assert _states(service.apply_orders(session, moved, OFFERINGS)) == ["already", "already"]
    other = [replace(orders[1], effective_at=day(10))]
    assert _states(service.apply_orders(session, other, OFFERINGS)) == ["ORDER_CONFLICT"]
    assert _count(session, "applied_order") == 2
    assert _count(session, "subscription_offering") == 1


def test_a_suspended_order_can_come_again(session: Session) -> None:
    """What was not applied is not remembered as applied."""
    early = [order(2, "change", day(5), offering="LARGE")]
    assert _states(service.apply_orders(session, early, OFFERINGS)) == ["UNKNOWN_SUBSCRIPTION"]
    service.apply_orders(session, [order(1, "add", day(1))], OFFERINGS)
    assert _states(service.apply_orders(session, early, OFFERINGS)) == ["applied"]


def test_a_batch_is_read_and_written_at_once(session: Session) -> None:
    """2,500 orders take as many statements as one: nothing is asked row by row."""
    orders = [
        order(
            n, "add", day(1), subscription_ref=f"S{n}", msisdn=4791000000 + n, imsi=None,
            account_ref=str(30000000 + n), customer=replace(ANNA, customer_no=str(10000000 + n)),
        )
        for n in range(2_500)
    ]  # fmt: skip
    statements = []
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
    outcomes = service.apply_orders(session, orders, OFFERINGS)
    assert set(_states(outcomes)) == {"applied"}
    assert len(statements) < 20


def test_accounts_of_other_systems_get_a_number(session: Session) -> None:
    """A reference that is no account number is kept, and known by both from then on."""
    row = SubscriptionRecord(
        2, "SUB1", {"msisdn": 4791000001, "iccid": 47 * 10**16}, "IOT", "BA-1", "business",
        day(1), None,
    )  # fmt: skip
    taken = order(1, "add", day(1), subscription_ref="SUB5", msisdn=None, imsi=None,
                  account_ref="90000001")  # fmt: skip
    service.apply_orders(session, [taken], OFFERINGS)
    assert _states(service.register_subscriptions(session, [row])) == ["applied"]
    assert _states(service.register_subscriptions(session, [row])) == ["already"]
    (account,) = service.billing_accounts(session, numbers=["90000002"])
    assert (account.name, account.segment) == ("BA-1", "business")
    by_number = order(2, "change", day(2), account_ref="90000002", customer=None, segment="",
                      msisdn=None, imsi=None)  # fmt: skip
    assert _states(service.apply_orders(session, [by_number], OFFERINGS)) == ["applied"]
    assert len(service.billing_accounts(session)) == 2


def test_a_month_is_cut_where_offering_or_payer_change(session: Session) -> None:
    """Stretches are cut to the month; each has one offering and one payer, without a gap."""
    orders = [
        order(1, "add", day(1), agreed_price_micro=99_000_000),
        order(2, "change", day(40), offering="LARGE"),
        order(3, "change", day(45), offering="LARGE", account_ref="30000002"),
        order(4, "cease", day(50)),
        order(5, "add", day(60), subscription_ref="SUB2"),
    ]
    service.apply_orders(session, orders, OFFERINGS)
    active = service.active_intervals(session, *FEBRUARY)
    accounts = {a.billing_account_id: a.number for a in service.billing_accounts(session)}
    assert active.offering == ("SMALL", "LARGE", "LARGE")
    assert [accounts[key] for key in active.billing_account_id.tolist()] == [
        "30000001", "30000001", "30000002"
    ]  # fmt: skip
    assert active.valid_from.tolist() == [day(32), day(40), day(45)]
    assert active.valid_to.tolist() == [day(40), day(45), day(50)]
    assert active.agreed_micro.tolist() == [99_000_000, service.NOT_AGREED, service.NOT_AGREED]


def test_orders_of_a_month_are_listed_once(session: Session) -> None:
    """Half-open: the first instant of the month is in it, that of the next is not."""
    orders = [
        order(1, "add", day(31)),
        order(2, "addon", FEBRUARY[0], offering="EXTRA", agreed_price_micro=5_000_000),
        order(3, "cease", FEBRUARY[1]),
    ]
    service.apply_orders(session, orders, OFFERINGS)
    (charge,) = service.order_charges(session, *FEBRUARY)
    assert (charge.order_ref, charge.action, charge.offering) == ("MOOX/M2", "addon", "EXTRA")
    assert (charge.effective_at.timestamp(), charge.agreed_price_micro) == (day(32), 5_000_000)
    assert len(service.active_intervals(session, *FEBRUARY).offering) == 1


def test_an_offering_began_where_it_was_last_taken_up(session: Session) -> None:
    """A new price and a new payer are no beginning; a break and another offering are."""
    orders = [
        order(1, "add", day(1)),
        order(2, "change", day(5), agreed_price_micro=5_000_000),
        order(3, "change", day(6), account_ref="30000002"),
        order(4, "cease", day(10)),
        order(5, "add", day(20)),
        order(6, "change", day(30), offering="LARGE"),
        order(7, "change", day(35), offering="SMALL"),
    ]
    done = service.apply_orders(session, orders, OFFERINGS)
    assert _states(done) == ["applied"] * len(orders)
    (who,) = session.execute(text("SELECT subscription_id FROM subscription")).scalars()
    asked = [
        (who, name, instant(day(at)))
        for name, at in (
            ("SMALL", 10), ("SMALL", 15), ("SMALL", 25), ("LARGE", 35), ("SMALL", 40),
            ("LARGE", 40), ("EXTRA", 40), ("SMALL", 1),
        )
    ]  # fmt: skip
    begun = service.offerings_begun(session, asked)
    assert begun == [
        instant(day(1)), None, instant(day(20)), instant(day(30)), instant(day(35)),
        None, None, None,
    ]  # fmt: skip


def test_a_label_is_the_last_number_a_subscription_had(session: Session) -> None:
    """Also after it has ended: its last invoice still names it."""
    orders = [
        order(1, "add", day(1)),
        order(2, "change", day(5), msisdn=4791000002),
        order(3, "cease", day(9)),
    ]
    service.apply_orders(session, orders, OFFERINGS)
    (key,) = session.execute(text("SELECT subscription_id FROM subscription")).scalars()
    assert service.subscription_labels(session, [key], day(1) - 1) == {}
    assert service.subscription_labels(session, [key], day(4)) == {key: "4791000001"}
    assert service.subscription_labels(session, [key], day(32)) == {key: "4791000002"}


@pytest.mark.parametrize(
    "wanted",
    [
        "kunde 1000",
        "100000",
        "3000000",
        "4791000001",
        "+47 91 00 00 01",
        "91000001",
        "0047 91000001",
    ],
)
def test_customers_are_found_by_what_people_type(session: Session, wanted: str) -> None:
    """Part of a name in any case, the first digits of a number, or a phone number."""
    others = order(2, "add", day(1), subscription_ref="SUB2", msisdn=None, imsi=None,
                   customer=FIRM, account_ref="40000001", segment="business")  # fmt: skip
    service.apply_orders(session, [order(1, "add", day(1)), others], OFFERINGS)
    (found,) = service.search_customers(session, wanted)
    assert found.customer_no == "10000001"


def test_signs_of_a_pattern_are_plain_text(session: Session) -> None:
    """A per cent sign finds those who have one in the name: nobody. Nothing finds everybody."""
    service.apply_orders(session, [order(1, "add", day(1))], OFFERINGS)
    assert service.search_customers(session, "%") == []
    assert len(service.search_customers(session, "")) == 1


def test_a_customer_is_shown_with_accounts_and_subscriptions(session: Session) -> None:
    """A subscription that another account took over is shown as it was until then."""
    orders = [
        order(1, "add", day(1)),
        order(2, "change", day(9), offering="LARGE", customer=FIRM, account_ref="40000001",
              segment="business", msisdn=4791000009),
    ]  # fmt: skip
    service.apply_orders(session, orders, OFFERINGS)
    found = service.customer_by_number(session, "30000001")
    assert (found.name, found.city) == ("Kunde 10000001", "Oslo")
    assert [account.account_no for account in found.accounts] == ["30000001"]
    (before,) = found.subscriptions
    assert (before.offering, before.msisdn) == ("SMALL", "4791000001")
    assert before.active_to is not None
    assert before.active_to.timestamp() == day(9)
    (after,) = service.customer_by_number(session, "20000001").subscriptions
    assert (after.offering, after.msisdn, after.active_to) == ("LARGE", "4791000009", None)
    labels = service.party_labels(session, [found.party_id, 999])
    assert labels == {found.party_id: (found.customer_no, found.name)}


def test_who_is_not_there_is_not_found(session: Session) -> None:
    """A number or an id that nobody has is said to be so."""
    with pytest.raises(service.CustomerNotFound):
        service.customer(session, 1)
    with pytest.raises(service.CustomerNotFound, match="party search"):
        service.customer_by_number(session, "1")
