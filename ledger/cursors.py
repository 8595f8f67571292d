"""Cursors: where a list goes on, as one opaque word that fits only the list it came from.

A cursor holds a place in the order of a list, never a count of rows, so that a page costs the same
however deep it lies. It is bound to the arguments of its list by a digest: a cursor that was cut,
edited or sent with other filters is refused. It grants nothing; the reader's scopes do.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from ledger.errors import Invalid

Place = Sequence[str | int | None]
_DIGEST = 12


class CursorInvalid(Invalid):
    """A cursor is not one of ours, or belongs to a list with other arguments.

    Raise as: "The cursor does not belong to this list. Start again without it.".
    """

    title = "Cursor is not valid"


def write_cursor(place: Place, arguments: Mapping[str, object]) -> str:
    """Write a place of a list as a word for URLs.

    >>> read_cursor(write_cursor(("2026-03-31", 7), {"book": "NO01"}), {"book": "NO01"})
    ['2026-03-31', 7]
    """
    body = json.dumps(list(place), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(body, arguments) + body).decode().rstrip("=")


def read_cursor(cursor: str, arguments: Mapping[str, object]) -> list[str | int | None]:
    """Read the place back. Raises `CursorInvalid` where it is not a place of this very list."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    digest, body = content[:_DIGEST], content[_DIGEST:]
    if not body or digest != _digest(body, arguments):
        raise CursorInvalid(
            "The cursor does not belong to this list: it was changed, or the list was asked for "
            "with other arguments. Start again without it."
        )
    place: list[str | int | None] = json.loads(body)
    return place


def _digest(body: bytes, arguments: Mapping[str, object]) -> bytes:
    named = json.dumps(sorted((name, str(value)) for name, value in arguments.items()))
    return sha256(b"hovedbok-cursor/1" + named.encode() + body).digest()[:_DIGEST]
