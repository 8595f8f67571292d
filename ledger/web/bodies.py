"""Bodies of requests: all that was announced is read, or nothing is done.

A connection that is cut in the middle of a request leaves a part of its body behind. What is left
of entries, one a line, may be whole entries; and what is left of JSON would use up the key of the
request that its sender is going to repeat.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import IO

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from ledger.errors import Problem

# Octets of a body at most, about a million lines as NDJSON: a process holds what it is sent.
BODY_MAX = 256 << 20
_PIECE = 1 << 20  # Octets that are read at a time of a body that does not say how long it is.
_TOO_LARGE = f"A body has at most {BODY_MAX >> 20} MiB. Send it in parts."


class BodyCutOff(Problem):
    """The connection ended, or fell silent, before the body of the request was whole.

    Raise as: f"The body ended after {read} octets of {announced}. Nothing was changed; ...".
    """

    status = HTTPStatus.BAD_REQUEST
    title = "Body was cut off"


class WholeBody:
    """The octets of a request, which end where they were said to end, or in `BodyCutOff`."""

    def __init__(self, source: IO[bytes], announced: int | None) -> None:
        self._source = source
        self._announced = announced  # None where the body comes in chunks, and says its own end.
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """Read so many octets at most, or all; fewer than that only at the end.

        Raises `BodyCutOff`, or `RequestEntityTooLarge` before more than `BODY_MAX` are held: a body
        that is only cut there would pass for a whole one.
        """
        if size >= 0:
            return self._read_piece(size)
        if self._announced is not None:
            return self._read_piece(self._announced - self._read)
        return b"".join(iter(lambda: self._read_piece(_PIECE), b""))

    def _read_piece(self, size: int) -> bytes:
        if (self._announced or 0) > BODY_MAX:
            raise RequestEntityTooLarge(_TOO_LARGE)
        try:
            octets = self._source.read(size)
        except (ParseException, OSError) as fault:
            raise self._cut_off() from fault
        self._read += len(octets)
        if self._read > BODY_MAX:
            raise RequestEntityTooLarge(_TOO_LARGE)
        if self._announced is not None and len(octets) < size and self._read < self._announced:
            raise self._cut_off()
        return octets

    def _cut_off(self) -> BodyCutOff:
        if self._announced is None:
            return BodyCutOff(
                "The body's last chunk did not come. Nothing was changed; send it again.",
                retry_after_s=1,
            )
        return BodyCutOff(
            f"The body ended after {self._read} octets of {self._announced}. Nothing was changed; "
            "send it again.", retry_after_s=1,
        )  # fmt: skip


def require_whole_body() -> None:
    """Let the present request's body be read whole or not at all, and only as it stands.

    Raises `UnsupportedMediaType` for a body that was packed.
    """
    packed = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    source: IO[bytes] = request.environ["wsgi.input"]
    request.environ["wsgi.input"] = WholeBody(source, request.content_length)
