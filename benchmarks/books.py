"""Books to measure on: a private server, and the batches that a month posts, drawn without chance.

The server is thrown away afterwards, and as durable as any (fsync, synchronous_commit,
full_page_writes). References make all batches differ; parties and amounts go round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg
from sqlalchemy import text

from ledger import db, service
from ledger.columns import HeldInColumns, count_lines
from ledger.columns.reading import read_columns
from ledger.db import migrate
from ledger.db.server import SUPERUSER, PrivateServer
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line, Posted
from ledger.service.dimensions import add_dimension

BOOK = "NO01"
INVOICED, DUE, PAID = date(2026, 3, 31), date(2026, 4, 14), date(2026, 4, 20)
USED = date(2026, 3, 28)
PARTIES = 20_000
SPAN = 1 << 20  # Entry ids of a batch.


@contextmanager
def fresh_books(**settings: str) -> Iterator[psycopg.Connection]:
    """Start a server with an empty book of 2026; yields a superuser's connection to it.

    Settings of the server may be given; its durability may not.
    """
    with tempfile.TemporaryDirectory(prefix="hovedbok-bench-") as folder:
        server = PrivateServer(Path(folder), settings)
        server.ensure_running()
        try:
            migrate.ensure_migrated(server.url("owner"))
            db.configure(server.addresses)
            with db.transaction() as session:
                service.seed_book(session, BOOK)
                for code in ("product", "area"):
                    add_dimension(session, BOOK, code, code.title(), actor="x")
                service.open_periods(session, BOOK, 2026)
            database = server.url("service").rpartition("?")[0].rpartition("/")[2]
            address = server.url(SUPERUSER, database).replace("+psycopg", "", 1)
            with psycopg.connect(address) as bare:
                yield bare
        finally:
            for role in ("owner", "service", "auditor"):
                db.engine(role).dispose()
            server.stop()


def post(draft: BatchDraft) -> Posted:
    """Post a batch and commit."""
    with db.transaction() as session:
        return service.post_batch(session, draft)


def posting_backend() -> int:
    """Give the process id of the backend that `post` talks to."""
    with db.transaction() as session:
        return int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())


def line_count(draft: BatchDraft) -> int:
    """Count the lines of a batch."""
    return count_lines(draft.entries)


def in_columns(draft: BatchDraft) -> BatchDraft:
    """Give a batch as a file or a request of many entries does: its entries read into columns."""
    read = read_columns(replace(draft, allocations=()))
    return replace(draft, entries=HeldInColumns(read, draft.entries.__getitem__))


def invoices(ref: str, lines: int, day: date = INVOICED) -> BatchDraft:
    """Draft what a bill run posts: claim with its open item, what was unbilled, VAT."""
    entries = []
    for number in range(lines // 3):
        net, party, named = 10_000 + number % 7_919, number % PARTIES + 1, f"{ref}-{number}"
        item = ItemDraft("invoice", named, f"{party:08d}0000017", day, DUE)
        entries.append(EntryDraft("SAL", day, day, "invoice", named, "Invoice of 2026-03", (
            Line("1500", net + net // 4, party_id=party, item=item),
            Line("1530", -net),
            Line("2700", -(net // 4), vat_code="3", tax_base_minor=-net),
        ), named))  # fmt: skip
    return BatchDraft(BOOK, "bench", ref, "bench", tuple(entries))


def payments(ref: str, billed: BatchDraft, items: Mapping[tuple[int, int], int]) -> BatchDraft:
    """Draft the payments of a batch of invoices, each with its allocation, as a giro file has."""
    entries, allocations = [], []
    for number, entry in enumerate(billed.entries):
        claim, named = entry.lines[0], f"{ref}-{number}"
        item = ItemDraft("payment", named, None, PAID, PAID)
        entries.append(EntryDraft("PAY", PAID, PAID, "payment", named, "OCR giro", (
            Line("1940", claim.amount_minor),
            Line("1500", -claim.amount_minor, party_id=claim.party_id, item=item),
        ), named))  # fmt: skip
        allocations.append(
            AllocationDraft((number, 2), items[number, 1], claim.amount_minor, PAID, "kid exact")
        )
    return BatchDraft(BOOK, "bench", ref, "bench", tuple(entries), tuple(allocations))


def accruals(ref: str, lines: int, day: date = USED) -> BatchDraft:
    """Draft what rating posts: unbilled usage against the revenue of five keys."""
    entries = []
    for number in range(lines // 6):
        named = f"{ref}-{number}"
        nets = [1_000 + (number * part) % 997 for part in range(1, 6)]
        revenue = (
            Line("3000", -net, vat_code="3", dimensions={"product": "mobile", "area": f"a{part}"})
            for part, net in enumerate(nets)
        )
        entries.append(EntryDraft(
            "USG", day, day, "accrual", named, "Usage rated", (Line("1530", sum(nets)), *revenue)
        ))  # fmt: skip
    return BatchDraft(BOOK, "bench", ref, "bench", tuple(entries))


def number_of(bare: psycopg.Connection, query: str) -> int:
    """Ask for one whole number."""
    row = bare.execute(query).fetchone()
    assert row is not None
    return int(row[0])
