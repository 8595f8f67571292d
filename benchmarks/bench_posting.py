"""Posting a month in batches with every guard on, beside a bare COPY of the same rows.

    python -m benchmarks.bench_posting

A month is what rating, a bill run and a giro file post: accruals by revenue key with VAT and
dimensions, invoices that each open an item, and the payments of those invoices with their
allocations. Ours is `post_batch` and the commit: checks in Python and in the database, hashes,
voucher numbers, open items, balance deltas, the commit check, and answers. The drafts are made
before the clock starts, and the collector of garbage passes them by: once in columns, as files and
requests of many entries are read, and once in entries, as the rooms draft them.

The anchor is COPY, in its binary form, of the very rows that were just posted - headers, lines,
items, deltas, allocations - in one transaction with its commit, into tables with the columns and
all the indexes of the books', but without partitions, constraints, foreign keys, triggers or
checks. It is the least that PostgreSQL does to keep these rows. Of lines alone it is a second,
harder anchor: nothing but the journal's lines is kept. The ratio of CPU counts the seconds of this
process and of its backend, which a busy machine does not stretch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product

import psycopg

from benchmarks.books import (
    SPAN,
    accruals,
    fresh_books,
    in_columns,
    invoices,
    line_count,
    number_of,
    payments,
    post,
    posting_backend,
)
from benchmarks.measure import ROUNDS, spent, tell, tell_ratio
from ledger.journal import BatchDraft, Posted

# Lines of a batch of invoices or accruals; their payments take two thirds.
SIZES = (3_000, 10_000, 30_000)
# Each table of facts, with the range of its rows that a batch is.
TABLES = {
    "journal_line": "entry_id >= {low} AND entry_id < {high} ORDER BY entry_id, line_no",
    "journal_entry": "entry_id >= {low} AND entry_id < {high} ORDER BY entry_id",
    "open_item": "open_item_id >= {low} AND open_item_id < {high} ORDER BY open_item_id",
    "balance_delta": "batch_id = {batch}",
    "allocation": "batch_id = {batch} ORDER BY allocation_id",
}
KINDS = ("accruals", "invoices", "payments")
# How a batch comes.
FORMS: Mapping[str, Callable[[BatchDraft], BatchDraft]] = {
    "columns": in_columns,
    "entries": lambda draft: draft,
}
WORKS = ("post", "copy", "alone")
Rows = Mapping[str, Sequence[bytes]]


def main() -> None:
    """Start a server, post and copy alternating, and print the ratios."""
    with fresh_books() as bare:
        print("posting: a month of accruals, invoices and payments, every guard on, durable; one "
              "writer")  # fmt: skip
        for table in TABLES:
            bare.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING INDEXES)")
        bare.execute("CREATE TABLE bare_line_alone (LIKE journal_line INCLUDING INDEXES)")
        bare.commit()
        for size, form in product(SIZES, FORMS):
            _measure(bare, size, form)
        _tell_sizes(bare)


def _measure(bare: psycopg.Connection, size: int, form: str) -> None:
    """Post months of one size of batches and copy each batch in turn; the first only warms up."""
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS + 1):
        month = _Month(f"{size}-{form}-{number}", size, FORMS[form])
        whole = dict.fromkeys(WORKS, (0.0, 0.0))
        for kind in KINDS:
            lines = line_count(month.draft(kind))
            took = _post_and_copy(bare, month, kind)
            for work, (clock, cpu) in took.items():
                whole[work] = whole[work][0] + clock, whole[work][1] + cpu
                if number:
                    found.setdefault((kind, work), []).append(lines / clock)
                    found.setdefault((kind, f"{work} cpu"), []).append(lines / cpu)
        if number:
            total = sum(line_count(draft) for draft in month.drafts.values())
            for work, (clock, cpu) in whole.items():
                found.setdefault(("month", work), []).append(total / clock)
                found.setdefault(("month", f"{work} cpu"), []).append(total / cpu)
    print(f" batches of {size:,} lines, drafted in {form}")
    for kind in (*KINDS, "month"):
        ours, copied, alone = (found[kind, work] for work in WORKS)
        tell(f"{kind}, post_batch and commit", ours, "lines/s")
        tell(f"{kind}, COPY of all rows", copied, "lines/s")
        tell_ratio("ratio", ours, copied, digits=2)
        tell_ratio("ratio of CPU", found[kind, "post cpu"], found[kind, "copy cpu"], digits=2)
        tell_ratio("ratio to COPY of the lines alone", ours, alone, digits=2)


def _post_and_copy(
    bare: psycopg.Connection, month: _Month, kind: str
) -> dict[str, tuple[float, float]]:
    """Post a batch, then copy its rows; seconds by the clock and of CPU for each of `WORKS`."""
    # The collector of garbage would walk all drafts of the month once in a while, within any batch.
    gc.collect()
    gc.freeze()
    posting, copying = posting_backend(), bare.info.backend_pid
    posted = spent(partial(month.post, kind), posting)
    rows = _rows_of(bare, month.posted[kind].batch_id)
    all_rows = {f"bare_{name}": pieces for name, pieces in rows.items()}
    return {
        "post": posted,
        "copy": spent(partial(_copy, bare, all_rows), copying),
        "alone": spent(partial(_copy, bare, {"bare_line_alone": rows["journal_line"]}), copying),
    }


class _Month:
    """Batches of one month; payments pay the invoices that were posted before them."""

    def __init__(self, ref: str, size: int, form: Callable[[BatchDraft], BatchDraft]) -> None:
        self.ref, self.form = ref, form
        self.drafts = {
            "accruals": form(accruals(f"{ref}-a", size)), "invoices": form(invoices(ref, size)),
        }  # fmt: skip
        self.posted: dict[str, Posted] = {}

    def draft(self, kind: str) -> BatchDraft:
        if kind == "payments":
            items = self.posted["invoices"].open_item_ids
            paid = payments(f"{self.ref}-p", self.drafts["invoices"], items)
            self.drafts[kind] = self.form(paid)
        return self.drafts[kind]

    def post(self, kind: str) -> None:
        self.posted[kind] = post(self.drafts[kind])


def _rows_of(bare: psycopg.Connection, batch: int) -> Rows:
    """Take the rows of a batch out of the books in COPY's own binary form."""
    rows = {}
    for table, where in TABLES.items():
        chosen = where.format(low=batch * SPAN, high=(batch + 1) * SPAN, batch=batch)
        query = f"COPY (SELECT * FROM {table} WHERE {chosen}) TO STDOUT (FORMAT binary)"
        with bare.cursor().copy(query) as out:
            rows[table] = [bytes(piece) for piece in out]
    bare.commit()
    return rows


def _copy(bare: psycopg.Connection, rows: Rows) -> None:
    for table, pieces in rows.items():
        with bare.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as into:
            into.write(b"".join(pieces))
    bare.commit()


def _tell_sizes(bare: psycopg.Connection) -> None:
    """Print what a line takes: of its table and indexes, and of everything a batch writes."""
    lines = number_of(bare, "SELECT count(*) FROM journal_line")
    of_lines = number_of(
        bare,
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('journal_line')"
        " WHERE isleaf",
    )
    of_bare = number_of(bare, "SELECT pg_total_relation_size('bare_journal_line')")
    of_all = number_of(
        bare,
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'bare%'",
    )
    print(f" bytes a line, {lines:,} lines")
    print(f"  journal lines with indexes             {of_lines / lines:>12.0f} bytes")
    print(f"  the same lines in the bare table       {of_bare / lines:>12.0f} bytes")
    print(f"  with headers, items, deltas, all       {of_all / lines:>12.0f} bytes")


if __name__ == "__main__":
    main()
