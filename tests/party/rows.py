"""Orders to try things with: one subscription, one customer, times in days of 2026."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from party.orders import Customer, Order

OFFERINGS = frozenset({"SMALL", "LARGE", "EXTRA"})
ANNA = Customer("10000001", "person", "Kunde 10000001", street="Prøveveien 1", postcode="0150",
                city="Oslo")  # fmt: skip
FIRM = Customer("20000001", "organisation", "Bedrift 20000001 AS", org_no="301000006")


def day(number: int) -> int:
    """Midnight UTC of a day of 2026, from 1. [UTC s]"""
    return int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) + (number - 1) * 86_400


def order(number: int, action: str, at: int, **changed: Any) -> Order:
    """An order about subscription SUB1, with its customer, account and numbers."""
    given: dict[str, Any] = {
        "system": "MOOX", "order_id": f"M{number}", "line_no": number + 2, "action": action,
        "effective_at": at, "subscription_ref": "SUB1", "offering": "SMALL", "customer": ANNA,
        "account_ref": "30000001", "segment": "consumer", "msisdn": 4791000001,
        "imsi": 242011000000001,
    }  # fmt: skip
    return Order(**given | changed)
