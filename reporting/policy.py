"""Billing policy: what is done where no law says, as dated data."""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the policy."""

    valid_from: date
    set_off_credits: bool  # credit notes of a billing account pay its next invoices


def policy_on(day: date) -> Policy:
    """Give the version that applies to an invoice date: the last one that has begun."""
    begun = [version for version in _versions() if version.valid_from <= day]
    return begun[-1] if begun else _versions()[0]


@lru_cache(maxsize=1)
def _versions() -> tuple[Policy, ...]:
    content = tomllib.loads(files("reporting").joinpath("policy.toml").read_text("utf-8"))
    found = [Policy(**version) for version in content["version"]]
    return tuple(sorted(found, key=lambda version: version.valid_from))
