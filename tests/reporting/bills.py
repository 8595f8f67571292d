"""Charges and accounts that the tests of this room bill: fictitious, short to write."""

from __future__ import annotations

from datetime import date

import numpy as np

from ledger.money import MINOR_PER_UNIT
from rating.taxes import tax_in_gross
from reporting.invoicing import Basis, BillingAccount, Charge, Terms

MARCH = Terms(date(2026, 3, 1), date(2026, 4, 1), date(2026, 3, 31))
CONSUMER = BillingAccount(
    1, "10000001", 7, "consumer", "Testkunde En", None, "Prøveveien 1", "0001", "OSLO"
)
BUSINESS = BillingAccount(
    2, "10000002", 8, "business", "Prøve og Sønner AS", "310000302", "Testgata 2", "5003", "BERGEN"
)


def charge(
    key: int,
    amount_minor: int,
    basis: Basis = "gross",
    *,
    vat: tuple[str, int] = ("3", 2500),
    component: str = "voice.national",
    subscription: str = "4790000001",
    unit: str = "piece",
    quantity: int | None = None,
) -> Charge:
    """A charge of so many øre in its basis, with the net that rating would have posted."""
    code, rate_bp = vat
    net_minor = amount_minor
    if basis == "gross":
        gross = np.array([amount_minor], np.int64)
        net_minor = int(tax_in_gross(gross, (rate_bp, 10_000), MINOR_PER_UNIT)[0][0])
    return Charge(
        charge_key_id=key,
        subscription=subscription,
        subscription_id=1,
        component=component,
        text=f"Text of {component}",
        unit=unit,
        quantity=quantity,
        vat_code=code,
        vat_rate_bp=rate_bp,
        basis=basis,
        amount_minor=amount_minor,
        net_minor=net_minor,
    )
