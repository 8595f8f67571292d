"""JSON that says each name of an object once: which of two values was meant is nobody's to guess.

Readers of JSON take the last of two values and say nothing, the fast one too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

_shallow = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NameTwice(ValueError):
    """An object says a name twice.

    Raise as: NameTwice(name).
    """

    def __str__(self) -> str:
        return f"The name {self.args[0]!r} is said twice in one object"


def read_strictly(source: bytes | str) -> Any:
    """Read JSON. Raises `ValueError` for what is none, and `NameTwice`."""
    return json.loads(source, object_pairs_hook=_once)


@lru_cache(maxsize=1)
def canonical(source: bytes) -> bytes:
    """Write JSON in one form: names in order, no spaces. Raises what reading it raises.

    The last answer is kept: a body is asked for once to be hashed, and once for its names.
    """
    return msgspec.json.encode(msgspec.json.decode(source), order="deterministic")


def has_names_once(source: bytes) -> bool:
    """Tell that no object in JSON says a name twice; false where that is not told at a glance."""
    try:
        return b"\\u" not in source and canonical(source).count(b":") == source.count(b":")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def check_names(source: bytes, *, shallow: bool = False) -> None:
    """Raise `NameTwice` if an object in JSON that was read before says a name twice.

    With `shallow` only the outermost object is looked at. What was read is written again and its
    colons are counted: a name that was lost is a colon that is missing. An escape may hide one, so
    a source with escapes is read name by name, which is slow.
    """
    if shallow:
        kept = msgspec.json.encode(_shallow.decode(source))
        if kept.count(b":") != source.count(b":"):
            read_strictly(source)
    elif b"\\u" in source or (
        msgspec.json.encode(msgspec.json.decode(source)).count(b":") != source.count(b":")
    ):
        read_strictly(source)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise NameTwice(name)
        made[name] = value
    return made
