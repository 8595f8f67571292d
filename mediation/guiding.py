"""Guiding: which subscription used it, which rules it passes, and so in which bucket it ends.

A subscriber is found by IMSI at the instant of use; by MSISDN only where the record names no IMSI,
since a number on an unknown card proves nothing. The first rule that applies decides, in this
order: visitors are settled wholesale, incoming use costs nothing, no use is no event, and then
somebody must have had the subscription at that instant. An event that is priced by what it brings
is an event whatever was used: a partner charges for calls received abroad, and by the call.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mediation.outcomes import REASON_CODES, Bucket
from mediation.policy import Policy
from mediation.records import CONTENT, SMS_MO, SMS_MT, VOICE_MT, Columns, Int64

NOBODY = -1


class Agreements(Protocol):
    """What guiding asks of the party room: who had a number, an offering, a payer, and when."""

    offering_names: tuple[str, ...]

    def find(self, kind: str, values: Int64, instants: Int64) -> Int64:
        """Give the subscription that held each number at each instant, -1 for none."""

    def offerings_at(self, subscriptions: Int64, instants: Int64) -> NDArray[np.int32]:
        """Give the offering of each subscription at each instant, -1 for none."""

    def payers_at(self, subscriptions: Int64, instants: Int64) -> Int64:
        """Give the billing account that pays at each instant, -1 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Guided:
    """The outcome per event; subscription, payer and offering are -1 where not accepted."""

    bucket: NDArray[np.int8]
    reason: NDArray[np.int16]
    subscription: Int64
    payer: Int64
    offering: NDArray[np.int32]


def guide(events: Columns, used: Int64, agreements: Agreements, policy: Policy) -> Guided:
    """Decide the outcome of events.

    Parameters
    ----------
    events : one row per event: kind, imsi, msisdn, started_at; service where events bring prices.
    used : (n,) seconds, octets or messages of the whole event.
    agreements : from the party room.
    """
    instants = events["started_at"]
    subscription = _subscriptions(events, agreements)
    known = subscription >= 0
    offering = np.full(len(instants), NOBODY, np.int32)
    payer = np.full(len(instants), NOBODY, np.int64)
    offering[known] = agreements.offerings_at(subscription[known], instants[known])
    payer[known] = agreements.payers_at(subscription[known], instants[known])
    low, high = policy.home_imsi_range
    imsi, kind = events["imsi"], events["kind"]
    priced = events["service"] != b"" if "service" in events else np.zeros(len(imsi), np.bool_)
    bucket = np.full(len(instants), Bucket.ACCEPTED, np.int8)
    reason = np.zeros(len(instants), np.int16)
    # Last decides: written from the weakest rule to the strongest.
    for applies, where, why in (
        ((offering < 0) | (payer < 0), Bucket.SUSPENDED, "NO_OFFERING"),
        (~known, Bucket.SUSPENDED, "UNKNOWN_SUBSCRIBER"),
        ((used == 0) & ~priced, Bucket.FILTERED, "ZERO_USAGE"),
        (((kind == VOICE_MT) | (kind == SMS_MT)) & ~priced, Bucket.FILTERED, "TERMINATING"),
        ((imsi >= 0) & ((imsi < low) | (imsi >= high)), Bucket.FILTERED, "WHOLESALE"),
    ):
        bucket[applies], reason[applies] = where, REASON_CODES[why]
    good = bucket == Bucket.ACCEPTED
    return Guided(
        bucket,
        reason,
        np.where(good, subscription, NOBODY),
        np.where(good, payer, NOBODY),
        np.where(good, offering, NOBODY).astype(np.int32),
    )


def use_of(kind: NDArray[np.int16], seconds: Int64, octets: Int64) -> Int64:
    """Give what an event used in its own measure: pieces, seconds of calls, octets of data."""
    message = (kind == SMS_MO) | (kind == SMS_MT) | (kind == CONTENT)
    voice = kind <= VOICE_MT
    used: Int64 = np.where(message, 1, np.where(voice, seconds, octets))
    return used


def _subscriptions(events: Columns, agreements: Agreements) -> Int64:
    imsi, msisdn, instants = events["imsi"], events["msisdn"], events["started_at"]
    found = np.full(len(imsi), NOBODY, np.int64)
    by_card = imsi >= 0
    found[by_card] = agreements.find("imsi", imsi[by_card], instants[by_card])
    by_number = ~by_card & (msisdn >= 0)
    found[by_number] = agreements.find("msisdn", msisdn[by_number], instants[by_number])
    return found
