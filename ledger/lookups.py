"""What a room asks of rooms above it, which it may not know: who can answer is said once. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from ledger.errors import Invalid

Answer = Callable[..., Any]

_above: Callable[[], Mapping[str, Answer]] = dict


def configure(answers: Callable[[], Mapping[str, Answer]]) -> None:
    """Say who answers what, by name; they are loaded when they are asked."""
    global _above  # noqa: PLW0603 - the door wires it once
    _above = answers


def ask(what: str, *words: Any) -> Any:
    """Ask the rooms above; raises `Invalid` where nobody there knows."""
    answers = _above()
    if what not in answers:
        raise Invalid(f"Nobody here can look up a {what}; say it yourself.")
    return answers[what](*words)
