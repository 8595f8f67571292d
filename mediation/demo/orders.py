"""Order files of MOOx (mobile) and FKM (common customers): header, rows, trailer.

Source: the order interface, docs/orders: HDR, column names, rows by RFC 4180, TRL with their count.
"""

import csv
import io
from collections.abc import Iterable
from datetime import date

from mediation.demo import wallclock
from mediation.demo.plan import Plan
from mediation.demo.population import (
    CITIES,
    UNKNOWN_OFFERING,
    Account,
    Interval,
    Order,
    Subscription,
    orders_of,
)

COLUMNS = (
    "order_id,action,effective_at,customer_no,customer_kind,name,org_no,street,postcode,city,country,"
    "email,billing_account,segment,subscription_id,offering,msisdn,imsi,agreed_price"
)

NOT_ROWS = 3  # lines of a file that are no orders: header, column names, trailer


def write_orders(plan: Plan, subscriptions: list[Subscription]) -> dict[str, bytes]:
    """Write the base loads and the month's changes.

    Returns
    -------
    file name → content. Base files are dated the day before the month; the changes, with one order
    for an offering that nobody sells, the last day of the month.
    """
    orders = [order for subscription in subscriptions for order in orders_of(subscription)]
    base = [order for order in orders if order.effective < plan.start]
    later = [order for order in orders if order.effective >= plan.start]
    later.append(_order_for_unknown_offering(plan, len(subscriptions) + 1))
    later.sort(key=lambda order: (order.effective, order.subscription.number))
    eve = wallclock.local_date(plan.start - 1)
    mobile = [order for order in base if not order.subscription.account.business]
    common = [order for order in base if order.subscription.account.business]
    return {
        f"MOOX_{eve:%Y%m%d}_0001.csv": _file("MOOX", 1, eve, mobile, 1),
        f"FKM_{eve:%Y%m%d}_0001.csv": _file("FKM", 1, eve, common, 1),
        f"MOOX_{plan.last_day:%Y%m%d}_0002.csv": _file(
            "MOOX", 2, plan.last_day, later, len(mobile) + 1
        ),
    }


def _order_for_unknown_offering(plan: Plan, number: int) -> Order:
    account = Account("39999999", "19999999", business=False, org_no="", house=99)
    at = plan.start + 2 * wallclock.DAY + 12 * 3600
    subscription = Subscription(number, account, [Interval(at, None, UNKNOWN_OFFERING)])
    return Order("add", at, subscription, UNKNOWN_OFFERING)


def _file(
    system: str, sequence: int, business_date: date, orders: Iterable[Order], first_id: int
) -> bytes:
    rows = [_row(f"{system[0]}{first_id + i:08d}", order) for i, order in enumerate(orders)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["HDR", system, sequence, business_date.isoformat()])
    writer.writerow(COLUMNS.split(","))
    writer.writerows(rows)
    writer.writerow(["TRL", len(rows)])
    return text.getvalue().encode()


def _row(order_id: str, order: Order) -> list[str]:
    account = order.subscription.account
    postcode, city = CITIES[account.house % len(CITIES)]
    mailbox = "bedrift" if account.business else "kunde"
    return [
        order_id,
        order.action,
        wallclock.iso(order.effective),
        account.customer_no,
        "organisation" if account.business else "person",
        account.name,
        account.org_no,
        f"Prøveveien {account.house}",
        postcode,
        city,
        "NO",
        f"{mailbox}{account.customer_no}@example.invalid",
        account.number,
        "business" if account.business else "consumer",
        order.subscription.id,
        order.offering,
        order.subscription.msisdn,
        order.subscription.imsi,
        "",
    ]
