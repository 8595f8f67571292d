"""ETag and If-Match: a change is made to what the caller has read, or not at all."""

from __future__ import annotations

from http import HTTPStatus

from flask import request

from ledger.errors import Problem


class IfMatchMissing(Problem):
    """A change of something that others change too must say which state of it was read.

    Raise as: "Send the ETag of what you read as If-Match.".
    """

    status = HTTPStatus.PRECONDITION_REQUIRED
    title = "If-Match is missing"


class StateChanged(Problem):
    """What is to be changed is not any more what the caller has read.

    Raise as: f"{what} has changed since you read it. Read it again and repeat your change.".
    """

    status = HTTPStatus.PRECONDITION_FAILED
    title = "State has changed"


def require_match(current: str, what: str) -> None:
    """Let a change pass only if it names the present ETag, given here without its quotes.

    Raises `IfMatchMissing` (428) without an If-Match header, `StateChanged` (412) with another.
    """
    if "If-Match" not in request.headers:
        raise IfMatchMissing(f"Send the ETag of what you read of {what} as If-Match.")
    if not request.if_match.contains(current):
        raise StateChanged(
            f"{what} has changed since you read it. Read it again and repeat your change.",
            etag=f'"{current}"',
        )
