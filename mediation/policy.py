"""Mediation's policy: what is known of the own network, as dated data."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from ledger.policies import read_versions, version_on

_IMSI_DIGITS_AFTER_MCC = 10**12


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the policy."""

    valid_from: date
    home_country: int  # mobile country code
    future_tolerance_s: int
    partial_causes_packet: tuple[int, ...]
    partial_causes_circuit: tuple[int, ...]

    @property
    def home_imsi_range(self) -> tuple[int, int]:
        """Give the range of fifteen-digit IMSIs of the home country, half-open."""
        first = self.home_country * _IMSI_DIGITS_AFTER_MCC
        return first, first + _IMSI_DIGITS_AFTER_MCC


def policy_on(day: date) -> Policy:
    """Give the version that applies on a day."""
    return version_on(_versions(), day)


@lru_cache(maxsize=1)
def _versions() -> tuple[Policy, ...]:
    return read_versions("mediation", _version)


def _version(**told: Any) -> Policy:
    lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
    return Policy(**told | lists)
