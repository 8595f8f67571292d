"""Events of a quote: usage that somebody asks the price of, as the columns that are rated."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from ledger.errors import Invalid
from ledger.money import MICRO_PER_UNIT
from rating.tariff_terms import Tariff
from rating.usage import NO_PRICE, NO_SERVICE, USAGE_NAMES, UsageBatch, check_usage
from rating.zones import encode_numbers

MAX_EVENTS = 10_000
QUOTED_USAGE = (*USAGE_NAMES.values(), "content")
_PRICE = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Event:
    """Usage that somebody asks the price of. A start without an offset is local to the tariff.

    An event of a service is priced by what it brings, with the mark-up of the service.
    """

    usage: str  # voice | sms | data | content
    start: datetime
    quantity: int  # seconds, messages, octets or pieces
    called: str = ""  # digits without plus
    rating_group: int = 0
    service: str = ""
    price_micro: int | None = None  # that it brings, in `currency`; of either sign
    currency: str = ""  # left out, the tariff's own
    vat_included: bool = False  # in that price


def price_micro(written: str | None) -> int | None:
    """Read a price that an event brings, such as "-29.00", as millionths.

    Raises
    ------
    Invalid : it is no such text.
    """
    if written is None:
        return None
    match = _PRICE.fullmatch(written)
    if match is None:
        raise Invalid(f'{written!r} is no price; write it as "29.00", with at most six decimals.')
    size = int(match[2]) * MICRO_PER_UNIT + int((match[3] or "").ljust(6, "0"))
    return -size if match[1] else size


def start_as_written(written: str) -> datetime:
    """Read the start of an event; whether it says its offset is kept.

    Raises
    ------
    Invalid : it is no time of ISO 8601.
    """
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        raise Invalid(f"{written!r} is not a time; write it as 2026-03-29T01:30.") from None


def batch_of_events(
    tariff: Tariff, events: Sequence[Event], period: str
) -> tuple[UsageBatch, list[str], list[str]]:
    """Make a batch of events, of one subscription that has one offering.

    Returns
    -------
    With the services and the currencies that its codes mean.

    Raises
    ------
    Invalid : an event is of another month, or there are too many.
    """
    services = sorted({event.service for event in events if event.service})
    currencies = sorted({event.currency or tariff.currency for event in events if event.service})
    if len(events) > MAX_EVENTS:
        raise Invalid(f"A quote takes at most {MAX_EVENTS} events; here are {len(events)}.")
    zone = ZoneInfo(tariff.time_zone)
    starts = []
    for number, event in enumerate(events, 1):
        at = event.start if event.start.tzinfo else event.start.replace(tzinfo=zone)
        if at.astimezone(zone).strftime("%Y-%m") != period:
            raise Invalid(
                f"Event {number} starts {at.astimezone(zone):%Y-%m-%d}, outside {period}. "
                "What is included is included by the month: ask for each month by itself."
            )
        starts.append(int(at.astimezone(UTC).timestamp()))
    count = len(starts)
    brought = _brought(tariff.currency, events, services, currencies)
    batch = check_usage(
        event_key=np.arange(count, dtype=np.int64),
        started_at=np.array(starts, np.int64),
        quantity=np.array([event.quantity for event in events], np.int64),
        usage_type=np.array([QUOTED_USAGE.index(e.usage) + 1 for e in events], np.int16),
        called=encode_numbers([event.called for event in events]),
        rating_group=np.array([event.rating_group for event in events], np.int32),
        subscription=np.zeros(count, np.int32),
        offering=np.zeros(count, np.int32),
        **brought,
    )
    return batch, services, currencies


def _brought(
    own: str, events: Sequence[Event], services: Sequence[str], currencies: Sequence[str]
) -> dict[str, Any]:
    """Give the columns of prices that events bring; none where no event is of a service."""
    if not services:
        return {}
    of = [services.index(event.service) if event.service else NO_SERVICE for event in events]
    return {
        "service": np.array(of, np.int32),
        "price_micro": np.array(
            [NO_PRICE if event.price_micro is None else event.price_micro for event in events],
            np.int64,
        ),
        "currency": np.array(
            [currencies.index(event.currency or own) if event.service else -1 for event in events],
            np.int32,
        ),
        "with_vat": np.array([event.vat_included for event in events], np.bool_),
    }
