"""How the problems of the error gallery are provoked through the service, by their codes."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

Provoke = Callable[[Session], object]
PROVOKED: dict[str, Provoke] = {}


def provokes(code: str) -> Callable[[Provoke], Provoke]:
    """Enter a function as the way to provoke the problem of a code."""

    def enter(function: Provoke) -> Provoke:
        PROVOKED[code] = function
        return function

    return enter
