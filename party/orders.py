"""What order files and lists of subscriptions and agreements say, and what became of each row."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

Action = Literal["add", "change", "addon", "cease"]
State = Literal["applied", "already", "suspended"]


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is liable, as an order tells it."""

    customer_no: str
    kind: str  # person or organisation
    name: str
    org_no: str | None = None
    street: str = ""
    postcode: str = ""
    city: str = ""
    country: str = "NO"
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One row of an order file."""

    system: str
    order_id: str
    line_no: int
    action: Action
    effective_at: int  # UTC s
    subscription_ref: str
    offering: str = ""  # may be empty for cease
    customer: Customer | None = None
    account_ref: str = ""  # empty: the payer stays who it is
    segment: str = ""  # consumer or business; empty where no account is named
    msisdn: int | None = None
    imsi: int | None = None
    agreed_price_micro: int | None = None  # in the price basis of the offering

    @property
    def numbers(self) -> dict[str, int]:
        """Give the identifiers that the order names, by kind."""
        named = {"msisdn": self.msisdn, "imsi": self.imsi}
        return {kind: value for kind, value in named.items() if value is not None}

    @property
    def content_hash(self) -> bytes:
        """Give the SHA-256 of what the order says; where it stood in a file is no part of it."""
        said = asdict(self)
        del said["line_no"]
        canonical = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).digest()


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """One row of a list of subscriptions: a subscription that exists, without its orders."""

    line_no: int
    subscription_ref: str
    numbers: Mapping[str, int]  # by kind: imsi, msisdn, iccid
    offering: str
    account_ref: str
    segment: str
    valid_from: int  # UTC s
    valid_to: int | None  # UTC s, exclusive


@dataclass(frozen=True, slots=True)
class AgreementRecord:
    """One row of a list of frame agreements: from a day on an account is under one, or none."""

    line_no: int
    agreement: str  # empty: it leaves
    parent: str  # the agreement above; empty: none is named
    account_ref: str
    valid_from: date


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: applied, already applied before, or suspended and why."""

    line_no: int
    state: State
    reason: str = ""  # a code where it is suspended
    detail: str = ""  # a sentence for the person who looks into it
