"""A server's worker that waits for silent clients as long as a test may take."""

from __future__ import annotations

from ledger.web.worker import Worker


class Hasty(Worker):
    """The worker of the server, which cuts off who is silent for a second."""

    silence_s = 1
