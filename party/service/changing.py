"""Apply orders and enrol subscriptions, many at a time; each row has an outcome of its own."""

from collections.abc import Container, Sequence

from sqlalchemy.orm import Session

from party.orders import Order, Outcome, SubscriptionRecord
from party.service.loading import load, lock, store


def apply_orders(
    session: Session,
    rows: Sequence[Order],
    known_offerings: Container[str],
    file_id: int | None = None,
) -> list[Outcome]:
    """Apply orders in the order given.

    The same order again, by system and order id, changes nothing and is `already`. A row that
    breaks a rule is suspended with a code and leaves no trace; the others go on. The address of a
    customer who is registered already stays as it is; the outcome's detail says so.

    Parameters
    ----------
    known_offerings : the names that may be sold.
    file_id : the file they came from, kept with each applied order.

    Returns
    -------
    One outcome per row, in the same order.
    """
    lock(session)
    register = load(
        session,
        (row.subscription_ref for row in rows),
        (number for row in rows for number in row.numbers.items()),
        (row.account_ref for row in rows if row.account_ref),
        (row.customer.customer_no for row in rows if row.customer),
        ((row.system, row.order_id) for row in rows),
    )
    outcomes = [register.apply(row, known_offerings) for row in rows]
    store(session, register, file_id)
    return outcomes


def register_subscriptions(session: Session, rows: Sequence[SubscriptionRecord]) -> list[Outcome]:
    """Enrol subscriptions that exist elsewhere; their main account pays for everything.

    An account that is not known gets a customer named after it, until an order names one. The same
    row again is `already`, also when orders have changed the subscription since.

    Returns
    -------
    One outcome per row, in the same order.
    """
    lock(session)
    register = load(
        session,
        (row.subscription_ref for row in rows),
        (number for row in rows for number in row.numbers.items()),
        (row.account_ref for row in rows),
        (row.account_ref for row in rows),
    )
    outcomes = [register.enrol(row) for row in rows]
    store(session, register, None)
    return outcomes
