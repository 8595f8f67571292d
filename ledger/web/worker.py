"""The server's worker: threads, a collector that spares the program, and refusals as problems."""

from __future__ import annotations

import gc
import json
import logging
import socket
import struct
from http import HTTPStatus
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from ledger.web.problems import MEDIA_TYPE, server_refusal
from ledger.web.requests import HEADERS

_YOUNG = 50_000  # Objects made before the collector looks: a request of many entries makes more.


def spare_the_program() -> None:
    """Let the collector of garbage pass by what is loaded: it lives as long as the process.

    It would else look through the whole program several times while a large request is read.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A worker of threads whose refusals are RFC 9457 problem details, not pages of HTML.

    Threads are few, and one that waits for a client that went away serves nobody else: who is
    silent for `silence_s` in the middle of a request, or leaves an answer unread, is cut off.
    """

    silence_s = 10

    def load_wsgi(self) -> None:
        """Load the program."""
        super().load_wsgi()
        spare_the_program()

    def init_process(self) -> None:
        """Serve until told to stop; clients that went away are no faults of the server."""
        self.log.error_log.addFilter(_is_no_silence)
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Let a thread serve a request of a connection, and wait for its client so long."""
        patience = struct.pack("ll", self.silence_s, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, patience)
        super().enqueue_req(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Log and judge a request that could not be read, as gunicorn does, and say so our way."""
        heard = _Heard()
        super().handle_error(req, heard, addr, exc)
        try:
            client.sendall(_translated(bytes(heard.octets)))
        except OSError as fault:
            self.log.debug("The refusal could not be sent: %s", fault)


def _is_no_silence(record: logging.LogRecord) -> bool:
    """Tell that a record of the log is not of a client that was waited for in vain."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


class _Heard:
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def gettimeout(self) -> float:
        """Never wait."""
        return 0.0

    def sendall(self, octets: bytes) -> None:
        """Keep octets."""
        self.octets += octets


def _translated(answer: bytes) -> bytes:
    """Give a page of HTML's status with a problem for its body."""
    words = answer.split(b" ", 2)
    given = int(words[1]) if len(words) > 1 and words[1].isdigit() else HTTPStatus.BAD_REQUEST
    body, status = server_refusal(given)
    content = json.dumps(body).encode()
    headers = {
        "Content-Type": MEDIA_TYPE, "Content-Length": len(content), "Connection": "close",
        "Cache-Control": "no-store", **HEADERS,
    }  # fmt: skip
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{start}{told}\r\n".encode() + content
