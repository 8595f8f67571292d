"""Single entries over REST beside the bare guarded SQL, with 1 to 64 callers at once.

    python -m benchmarks.bench_singles [SECONDS]

Ours is `hovedbok serve` with two processes, asked over loopback by connections that are kept
open: each sends an invoice of three lines with its open item under a key of its own, waits for the
voucher and sends the next. Token, schema, key, number, hash, commit: everything is on, and durable.

The anchor is what the database alone takes for that: the same number of psycopg connections, each
of which calls the posting function with the same invoice and commits, in one trip to the server,
without HTTP, schemas, keys or answers. Every guard, number and commit check is on.

Callers go round 20,000 parties; `hot` is one party for all. Rounds alternate in one run. Everything
shares the machine: the callers too.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg

from benchmarks.books import BOOK, PARTIES, fresh_books, invoices
from benchmarks.measure import tell_ratio
from ledger import db
from ledger.encoding import encode_entry, entry_hash
from ledger.journal import EntryDraft
from ledger.money import format_amount
from ledger.service import access

CALLERS = (1, 4, 16, 64)
ROUNDS = 5
SECONDS = 1.5
WORKERS = 2
ROOT = Path(__file__).resolve().parents[1]
_number = count(1)


@dataclass
class Told:
    """Rates of all rounds, and how long each caller waited. [entries a second; seconds]"""

    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def add(self, waits: list[float], took: float) -> None:
        """Note a round."""
        self.rates.append(len(waits) / took)
        self.waits += waits

    def line(self, name: str) -> str:
        """Tell the median rate with its spread, and the waits."""
        rates, waits = sorted(self.rates), sorted(self.waits)
        p50, p99 = (1000 * waits[int(len(waits) * part)] for part in (0.5, 0.99))
        return (f"  {name:30} {rates[len(rates) // 2]:>8,.0f} entries/s ({rates[0]:,.0f} to "
                f"{rates[-1]:,.0f})  p50 {p50:,.1f} ms  p99 {p99:,.1f} ms")  # fmt: skip


def main(duration: float = SECONDS) -> None:
    """Serve, ask and compare, for each number of callers."""
    with fresh_books(max_connections="200"), _served() as (port, token):
        print(f"singles: invoices of three lines, {WORKERS} server processes, durable, "
              f"{ROUNDS} rounds of {duration} s")  # fmt: skip
        rates = {}
        for callers in CALLERS:
            ours, hot, theirs = Told(), Told(), Told()
            with _connections(callers) as connections:
                for number in range(ROUNDS + 1):
                    found = [
                        _ask(port, token, callers, duration, _body),
                        _post_bare(connections, duration),
                        _ask(port, token, callers, duration, _hot_body),
                    ]
                    if number:  # The first fills caches and plans.
                        for told, waits in zip((ours, theirs, hot), found, strict=True):
                            told.add(waits, duration)
            print(f" {callers} callers")
            print(ours.line("REST"))
            print(hot.line("REST, one hot party"))
            print(theirs.line("guarded SQL alone"))
            tell_ratio("REST to SQL", ours.rates, theirs.rates, digits=2)
            tell_ratio("hot party to many", hot.rates, ours.rates, digits=2)
            sys.stdout.flush()
            rates[callers] = ours.rates
        tell_ratio("64 callers to 16", rates[64], rates[16], digits=2)
        _tell_merged(port)


@contextmanager
def _served() -> Iterator[tuple[int, str]]:
    """Serve the books as `hovedbok serve` does; yields the port and a token."""
    with db.transaction() as session:
        token = access.add_client(
            session, "bench", ["ledger:post"], actor="bench", now=datetime.now(UTC)
        )
    known = db.addresses()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="hovedbok-bench-") as home:
        environment = {
            **os.environ, "HOVEDBOK_HOME": home, "HOVEDBOK_PORT": str(port),
            "DATABASE_URL": known.service, "HOVEDBOK_OWNER_DATABASE_URL": known.owner,
            "HOVEDBOK_AUDITOR_DATABASE_URL": known.auditor,
        }  # fmt: skip
        with Path(home, "log").open("wb") as log:
            desk = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py"), "serve", "--workers", str(WORKERS)],
                cwd=ROOT, env=environment, stderr=log,
            )  # fmt: skip
            try:
                _wait_for(port)
                yield port, token
            finally:
                desk.terminate()
                desk.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


_ONE = invoices("bench", 3).entries[0]


def _entry(party: int) -> EntryDraft:
    """Draft the next invoice."""
    number = next(_number)
    claim, *others = _ONE.lines
    named = f"s-{number}"
    return replace(
        _ONE,
        source_ref=named,
        lines=(replace(claim, party_id=party or number % PARTIES + 1), *others),
    )


def _body(party: int = 0) -> tuple[str, bytes]:
    """Write the next invoice as JSON; gives its key too."""
    entry = _entry(party)
    lines = []
    for line in entry.lines:
        told: dict[str, object] = {
            "account": line.account, "amount": format_amount(line.amount_minor),
            "party_id": line.party_id, "vat_code": line.vat_code,
        }  # fmt: skip
        if line.tax_base_minor is not None:
            told["tax_base"] = format_amount(line.tax_base_minor)
        if line.item is not None:
            told["item"] = {
                "kind": line.item.kind, "document_ref": line.item.document_ref,
                "kid": line.item.kid, "document_date": str(line.item.document_date),
                "due_date": str(line.item.due_date),
            }  # fmt: skip
        lines.append(told)
    return entry.source_ref, json.dumps({
        "book": BOOK, "series": entry.series, "effective_date": str(entry.effective_date),
        "document_date": str(entry.document_date), "entry_type": entry.entry_type,
        "text": entry.text, "lines": lines,
    }).encode()  # fmt: skip


def _hot_body() -> tuple[str, bytes]:
    return _body(party=7)


def _ask(
    port: int, token: str, callers: int, duration: float, body: Callable[[], tuple[str, bytes]]
) -> list[float]:
    """Let so many callers post for a while; gives how long each answer took."""
    waits: list[float] = []
    ready = selectors.DefaultSelector()
    begun: dict[socket.socket, float] = {}
    received: dict[socket.socket, bytes] = {}

    def send(caller: socket.socket) -> None:
        key, content = body()
        head = (f"POST /api/v1/entries HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {key}\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\n\r\n")  # fmt: skip
        begun[caller], received[caller] = time.perf_counter(), b""
        caller.sendall(head.encode() + content)

    for _ in range(callers):
        caller = socket.create_connection(("127.0.0.1", port))
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(caller, selectors.EVENT_READ)
        send(caller)
    deadline = time.perf_counter() + duration
    while begun:
        for key, _ in ready.select(timeout=30):
            caller = key.fileobj
            assert isinstance(caller, socket.socket)
            received[caller] += caller.recv(65_536)
            if not _is_whole(received[caller]):
                continue
            now = time.perf_counter()
            if now <= deadline:
                waits.append(now - begun[caller])
                send(caller)
                continue
            del begun[caller]
            ready.unregister(caller)
            caller.close()
    return waits


def _is_whole(answer: bytes) -> bool:
    """Tell whether an answer has come; anything but 201 ends the program."""
    head, _, content = answer.partition(b"\r\n\r\n")
    if not content:
        if not answer:
            raise SystemExit("The server closed a connection.")
        return False
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    if len(content) < length:
        return False
    if not head.startswith(b"HTTP/1.1 201"):
        raise SystemExit(answer.decode(errors="replace"))
    return True


@contextmanager
def _connections(callers: int) -> Iterator[Sequence[psycopg.Connection]]:
    address = db.addresses().service.replace("+psycopg", "", 1)
    opened = [
        psycopg.connect(address, autocommit=True, prepare_threshold=0) for _ in range(callers)
    ]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


def _post_bare(connections: Sequence[psycopg.Connection], duration: float) -> list[float]:
    """Let each connection post for a while; gives how long each posting took."""
    deadline = time.perf_counter() + duration

    def post(connection: psycopg.Connection) -> list[float]:
        waits = []
        while (begun := time.perf_counter()) < deadline:
            _post_one(connection, _entry(0))
            now = time.perf_counter()
            if now <= deadline:
                waits.append(now - begun)
        return waits

    with ThreadPoolExecutor(len(connections)) as pool:
        return [wait for waits in pool.map(post, connections) for wait in waits]


def _post_one(connection: psycopg.Connection, entry: EntryDraft) -> None:
    """Post an entry and commit, in one trip: what the service's own call for few lines takes."""
    body, ref = encode_entry(entry), entry.source_ref
    hashed = entry_hash(body, BOOK, "bare", "bench")
    claim = entry.lines[0]
    assert claim.item is not None
    header = {
        "entry_index": 0, "series": entry.series, "effective_date": str(entry.effective_date),
        "document_date": str(entry.document_date), "entry_type": entry.entry_type,
        "source_ref": ref, "document_ref": entry.document_ref, "text": entry.text,
        "line_count": len(entry.lines), "entry_hash": rf"\x{hashed.hex()}",
    }  # fmt: skip
    lines = [
        {"entry_index": 0, "line_no": number, "account": line.account, "currency": line.currency,
         "amount_minor": line.amount_minor, "base_minor": line.base, "party_id": line.party_id,
         "vat_code": line.vat_code, "tax_base_minor": line.tax_base_minor, "dim_set_id": 0,
         "item_index": 0 if line.item else None}
        for number, line in enumerate(entry.lines, 1)
    ]  # fmt: skip
    item = {
        "item_index": 0, "entry_index": 0, "line_no": 1, "kind": claim.item.kind,
        "document_ref": claim.item.document_ref, "kid": claim.item.kid,
        "document_date": str(claim.item.document_date), "due_date": str(claim.item.due_date),
    }  # fmt: skip
    connection.execute(
        "SELECT ledger_post_few(%s, 'bare', %s, 'bench', %s, 1, %s, %s, NULL, %s::jsonb,"
        " %s::jsonb, %s::jsonb, '[]'::jsonb)",
        (BOOK, ref, hashed, len(lines), json.dumps({"NOK": claim.amount_minor}),
         json.dumps([header]), json.dumps(lines), json.dumps([item])),
    )  # fmt: skip


def _tell_merged(port: int) -> None:
    """Print how many entries were posted together, as the server counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    total = dict(line.rsplit(" ", 1) for line in lines if line.startswith("hovedbok_merged"))
    entries = float(total["hovedbok_merged_entries_sum"])
    batches = float(total["hovedbok_merged_entries_count"])
    print(f"  {entries:,.0f} entries in {batches:,.0f} commits, {entries / batches:.1f} together")


if __name__ == "__main__":
    main(*(float(word) for word in sys.argv[1:2]))
