"""Bodies of requests: whole, or nothing of them."""

from __future__ import annotations

from io import BytesIO
from typing import IO, cast

import pytest
from gunicorn.http.errors import InvalidChunkSize, NoMoreData

from ledger.web.bodies import BodyCutOff, WholeBody


class Broken:
    """A connection that breaks."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def read(self, _size: int = -1) -> bytes:
        """Break."""
        raise self.fault


@pytest.mark.parametrize(
    "fault", [NoMoreData(), InvalidChunkSize(b"zz"), BlockingIOError(), ConnectionResetError()]
)
def test_chunks_that_break_off_are_no_fault_of_ours(fault: Exception) -> None:
    """Whether the client went away, fell silent or wrote nonsense."""
    body = WholeBody(cast("IO[bytes]", Broken(fault)), None)
    with pytest.raises(BodyCutOff, match="send it again"):
        body.read()


def test_what_is_missing_is_counted_however_it_is_read() -> None:
    """All at once, or piece by piece to an end that comes too early."""
    with pytest.raises(BodyCutOff, match="after 3 octets of 4"):
        WholeBody(BytesIO(b"abc"), 4).read()
    pieces = WholeBody(BytesIO(b"abc"), 4)
    assert pieces.read(2) == b"ab"
    with pytest.raises(BodyCutOff, match="after 3 octets of 4"):
        pieces.read(2)
    assert WholeBody(BytesIO(b"abc"), 3).read(9) == b"abc"
    assert WholeBody(BytesIO(b"abc"), 3).read() == b"abc"
