"""Mediation's policy: what is known of the own network, as dated data."""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files

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
    """Give the version that applies on a day: the last one that has begun."""
    begun = [version for version in _versions() if version.valid_from <= day]
    return begun[-1] if begun else _versions()[0]


@lru_cache(maxsize=1)
def _versions() -> tuple[Policy, ...]:
    content = tomllib.loads(files("mediation").joinpath("policy.toml").read_text("utf-8"))
    found = [
        Policy(
            valid_from=version["valid_from"],
            home_country=version["home_country"],
            future_tolerance_s=version["future_tolerance_s"],
            partial_causes_packet=tuple(version["partial_causes_packet"]),
            partial_causes_circuit=tuple(version["partial_causes_circuit"]),
        )
        for version in content["version"]
    ]
    return tuple(sorted(found, key=lambda version: version.valid_from))
