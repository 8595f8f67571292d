"""Charges that are no usage: what subscriptions cost by the month, and what orders cost once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy.orm import Session

from mediation.charging import (
    ONE_OFF,
    RECURRING,
    Found,
    Month,
    Owed,
    Setting,
    charge_key,
)
from mediation.records import Int64
from mediation.service.contract_charges import charge_bindings
from mediation.service.contracts import Contracts
from mediation.service.discount_charges import charge_recurring_discounts
from mediation.service.payers import payers_of
from mediation.wallclock import ZONE, local_days
from party.service import OrderCharge
from rating.flat_codes import month_code, once_code
from rating.recurring import NOT_AGREED, one_off_charges
from rating.tariff import TariffBook
from rating.versions import InForce, recurring_by_version, taken_charges


def charge_services(
    session: Session, month: Month, versions: Sequence[InForce], setting: Setting,
    contracts: Contracts, found: Found,
) -> None:  # fmt: skip
    """Charge the month's recurring prices for the days active, and the prices of its orders."""
    charge_months(session, month, versions, setting, contracts, found)
    charge_orders(session, versions, setting, contracts, found)


def charge_months(
    session: Session, month: Month, versions: Sequence[InForce], setting: Setting,
    contracts: Contracts, found: Found,
) -> None:  # fmt: skip
    """Charge recurring prices less discounts for the days active, by the version of each day."""
    active = contracts.active
    days = (local_day_numbers(active.valid_from), local_day_numbers(active.valid_to))
    priced = recurring_by_version(
        versions, month.period, active.offering, *days, active.agreed_micro, active.subscription_id
    )
    charges = priced.charges
    payers = payers_of(session, set(active.billing_account_id.tolist()))
    last = month.after - timedelta(days=1)
    for n, source in enumerate(charges.source.tolist()):
        book = versions[int(priced.version[n])].book
        key = charge_key(
            book, setting, payers[int(active.billing_account_id[source])],
            int(active.subscription_id[source]), int(charges.component[n]),
            book.tariff.offerings[book.offering_index(active.offering[source])].price_basis,
            RECURRING,
            # A price by days counts days, whatever it is a price for.
            unit="day" if charges.of_days[n] > 1 else "",
        )  # fmt: skip
        days_of, whole = int(charges.days[n]), int(charges.of_days[n])
        why = month_code(book, int(charges.full_micro[n]), days_of, whole)
        found.add(key, Owed(int(charges.amount_micro[n]), 1, days_of), last, why)
    spans = set(zip(priced.since.tolist(), priced.version.tolist(), strict=True))
    for since, until in sorted(spans):
        rows = np.flatnonzero((priced.since == since) & (priced.version == until))
        begin, end = versions[since].from_day, versions[until].to_day
        book = versions[until].book
        charge_recurring_discounts(
            month, book, setting, active,
            (np.clip(days[0], begin, end), np.clip(days[1], begin, end)),
            book.offering_codes(active.offering), taken_charges(charges, rows), payers,
            contracts.agreed, found,
        )  # fmt: skip


def charge_orders(
    session: Session, versions: Sequence[InForce], setting: Setting, contracts: Contracts,
    found: Found,
) -> None:  # fmt: skip
    """Charge what orders cost once, each by the version in force on its day."""
    ordered = contracts.ordered
    order_days = local_day_numbers(
        np.array([int(order.effective_at.timestamp()) for order in ordered], np.int64)
    )
    for one in versions:
        mine = np.flatnonzero((one.from_day <= order_days) & (order_days < one.to_day))
        of_version = [ordered[n] for n in mine.tolist()]
        _charge_ordered(session, contracts, of_version, one.book, setting, found)


def _charge_ordered(
    session: Session, contracts: Contracts, ordered: Sequence[OrderCharge], book: TariffBook,
    setting: Setting, found: Found,
) -> None:  # fmt: skip
    offering = book.offering_codes([order.offering for order in ordered])
    agreed = [
        NOT_AGREED if order.agreed_price_micro is None else order.agreed_price_micro
        for order in ordered
    ]
    charges = one_off_charges(
        book, offering, [order.action for order in ordered], np.array(agreed, np.int64)
    )
    payers = payers_of(session, {order.billing_account_id for order in ordered})
    for n, source in enumerate(charges.source.tolist()):
        order = ordered[source]
        key = charge_key(
            book, setting, payers[order.billing_account_id], order.subscription_id,
            int(charges.component[n]), book.tariff.offerings[int(offering[source])].price_basis,
            ONE_OFF, order.order_ref,
        )  # fmt: skip
        day = order.effective_at.astimezone(ZONE).date()
        why = once_code(book, int(charges.full_micro[n]))
        found.add(key, Owed(int(charges.amount_micro[n]), 1, 1), day, why)
    charge_bindings(session, contracts, book, setting, ordered, offering, found)


def local_day_numbers(instants: Int64) -> Int64:
    """Give local days since 1970; the end of an open interval stays beyond every month."""
    far = int(datetime(2099, 1, 1, tzinfo=UTC).timestamp())
    return local_days(np.minimum(instants, far)).astype(np.int64)
