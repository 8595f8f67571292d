"""Policies: what is done where no law says, as dated versions in a room's own policy.toml."""

import tomllib
from collections.abc import Callable, Sequence
from datetime import date
from importlib.resources import files
from typing import Protocol, TypeVar


class Versioned(Protocol):
    """One version of a policy."""

    @property
    def valid_from(self) -> date:
        """Give the day from which it applies."""


Version = TypeVar("Version", bound=Versioned)


def read_versions(room: str, make: Callable[..., Version]) -> tuple[Version, ...]:
    """Read the versions of a room's policy, in order of their days.

    Parameters
    ----------
    make : makes a version of the keys of its table.
    """
    content = tomllib.loads(files(room).joinpath("policy.toml").read_text("utf-8"))
    found = [make(**version) for version in content["version"]]
    return tuple(sorted(found, key=lambda version: version.valid_from))


def version_on(versions: Sequence[Version], day: date) -> Version:
    """Give the version that applies on a day: the last that has begun; before all, the first."""
    begun = [version for version in versions if version.valid_from <= day]
    return begun[-1] if begun else versions[0]
