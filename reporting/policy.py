"""Billing policy: what is done where no law says, as dated data."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from ledger.policies import read_versions, version_on


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the policy."""

    valid_from: date
    set_off_credits: bool  # credit notes of a billing account pay its next invoices


def policy_on(day: date) -> Policy:
    """Give the version that applies to an invoice date."""
    return version_on(_versions(), day)


@lru_cache(maxsize=1)
def _versions() -> tuple[Policy, ...]:
    return read_versions("reporting", Policy)
