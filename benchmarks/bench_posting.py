"""Posting batches with every guard on, beside a bare COPY of the same lines.

    python -m benchmarks.bench_posting

A private PostgreSQL of its own, with durability on (fsync, synchronous_commit, full_page_writes).
A batch is what a bill run and a day's payments post: invoices of three lines with party, VAT and
dimensions, each opening an item, and for every third one a payment and its allocation. Ours is
`post_batch` and the commit: checks in Python and in the database, hashes, voucher numbers, open
items, balance deltas, the commit check, and answers read back. The drafts are made before the
clock starts.

The peer is COPY of the very lines that were just posted, into a table with the columns and indexes
of the journal, without partitions, constraints, triggers or checks, and its commit.
"""

from __future__ import annotations

import tempfile
from datetime import date
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.measure import ROUNDS, seconds, tell, tell_ratio
from ledger import db, service
from ledger.db import migrate
from ledger.db.server import SUPERUSER, PrivateServer
from ledger.journal import AllocationDraft, BatchDraft, EntryDraft, ItemDraft, Line

BOOK = "NO01"
INVOICED, DUE, PAID = date(2026, 3, 31), date(2026, 4, 14), date(2026, 4, 20)
SIZES = (3_000, 30_000)  # Lines a batch.
PARTIES = 20_000
_LINES_OF_TRIO = 11  # Three invoices of three lines and one payment of two.
_SPAN = 1 << 20  # Entry ids of a batch.


def main() -> None:
    """Start a server, post and copy alternating, and print the ratios."""
    with tempfile.TemporaryDirectory(prefix="hovedbok-bench-") as folder:
        server = PrivateServer(Path(folder))
        server.ensure_running()
        try:
            migrate.ensure_migrated(server.url("owner"))
            db.configure(server.addresses)
            _measure(server)
        finally:
            for role in ("owner", "service", "auditor"):
                db.engine(role).dispose()
            server.stop()


def _measure(server: PrivateServer) -> None:
    with db.transaction() as session:
        service.seed_book(session, BOOK)
        service.open_periods(session, BOOK, 2026)
    print("posting: invoices, payments and allocations, every guard on, durable; one writer")
    address = server.url(SUPERUSER, db_name(server)).replace("+psycopg", "", 1)
    with psycopg.connect(address) as bare:
        bare.execute("CREATE TABLE bare_line (LIKE journal_line INCLUDING INDEXES)")
        bare.commit()
        for size in SIZES:
            _warm_up(bare, size)
            ours, theirs = [], []
            for number in range(ROUNDS):
                draft = make_batch(f"{size}-{number}", size)
                lines = sum(len(entry.lines) for entry in draft.entries)
                ours.append(lines / seconds(partial(_post, draft)))
                copied = _lines_of(bare, _last_batch(bare))
                theirs.append(lines / seconds(partial(_copy, bare, copied)))
            print(f" batches of {lines:,} lines, {len(draft.entries):,} entries")
            tell("post_batch and commit", ours, "lines/s")
            tell("bare COPY and commit", theirs, "lines/s")
            tell_ratio("ratio", ours, theirs, digits=2)
        _tell_sizes(bare)


def db_name(server: PrivateServer) -> str:
    """Give the name of the database at the end of the server's addresses."""
    return server.url("service").rpartition("?")[0].rpartition("/")[2]


def make_batch(ref: str, lines: int) -> BatchDraft:
    """Draft a batch of about so many lines; the reference makes all others differ."""
    entries: list[EntryDraft] = []
    allocations = []
    for number in range(lines // _LINES_OF_TRIO):
        first = len(entries)
        entries += [_invoice(f"{ref}-{number}-{part}", 3 * number + part) for part in range(3)]
        amount = entries[first].lines[0].amount_minor
        entries.append(_payment(f"{ref}-{number}-p", 3 * number, amount))
        allocations.append(AllocationDraft((first + 3, 2), (first, 1), amount, PAID, "kid exact"))
    return BatchDraft(BOOK, "bench", ref, "bench", tuple(entries), tuple(allocations))


def _invoice(ref: str, number: int) -> EntryDraft:
    net = 10_000 + number % 7_919
    party = number % PARTIES + 1
    item = ItemDraft("invoice", ref, f"{party:08d}0000017", INVOICED, DUE)
    area = ("consumer", "business")[number % 2]
    lines = (
        Line("1500", net + net // 4, party_id=party, item=item),
        Line("1530", -net, dimensions={"product": "mobile", "area": area}),
        Line("2700", -(net // 4), vat_code="3", tax_base_minor=-net),
    )
    return EntryDraft("SAL", INVOICED, INVOICED, "invoice", ref, "Invoice of 2026-03", lines, ref)


def _payment(ref: str, number: int, amount: int) -> EntryDraft:
    item = ItemDraft("payment", ref, None, PAID, PAID)
    party = number % PARTIES + 1
    lines = (Line("1940", amount), Line("1500", -amount, party_id=party, item=item))
    return EntryDraft("PAY", PAID, PAID, "payment", ref, "OCR giro", lines, ref)


def _warm_up(bare: psycopg.Connection, size: int) -> None:
    """Fill caches and plans on both sides, so that no round is the first."""
    _copy(bare, _lines_of(bare, _post(make_batch(f"warm-{size}", size))))


def _post(draft: BatchDraft) -> int:
    with db.transaction() as session:
        return service.post_batch(session, draft).batch_id


def _last_batch(bare: psycopg.Connection) -> int:
    return _number(bare, "SELECT max(batch_id) FROM posting_batch")


def _lines_of(bare: psycopg.Connection, batch: int) -> list[bytes]:
    """Take the lines of a batch out of the journal in COPY's own binary form."""
    low = batch * _SPAN
    where = f"WHERE entry_id >= {low} AND entry_id < {low + _SPAN} ORDER BY entry_id, line_no"
    with bare.cursor().copy(
        f"COPY (SELECT * FROM journal_line {where}) TO STDOUT (FORMAT binary)"
    ) as out:
        found = [bytes(piece) for piece in out]
    bare.commit()
    return found


def _copy(bare: psycopg.Connection, pieces: list[bytes]) -> None:
    with bare.cursor().copy("COPY bare_line FROM STDIN (FORMAT binary)") as into:
        for piece in pieces:
            into.write(piece)
    bare.commit()


def _tell_sizes(bare: psycopg.Connection) -> None:
    """Print what a line takes: of its table and indexes, and of everything a batch writes."""
    lines = _number(bare, "SELECT count(*) FROM journal_line")
    of_lines = _number(
        bare,
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('journal_line')"
        " WHERE isleaf",
    )
    of_bare = _number(bare, "SELECT pg_total_relation_size('bare_line')")
    of_all = _number(
        bare,
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'bare_line'",
    )
    print(f" bytes a line, {lines:,} lines")
    print(f"  journal lines with indexes             {of_lines / lines:>12.0f} bytes")
    print(f"  the same lines in the bare table       {of_bare / lines:>12.0f} bytes")
    print(f"  with headers, items, deltas, all       {of_all / lines:>12.0f} bytes")


def _number(bare: psycopg.Connection, query: str) -> int:
    row = bare.execute(query).fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()
