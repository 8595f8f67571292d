"""The encoding of entries and its hashes, for all entries of a batch at once."""

from hashlib import sha256
from itertools import pairwise

import numpy as np
import pyarrow as pa

from ledger.columns.octets import (
    Column,
    buffer,
    ends,
    grouped,
    joined,
    optional,
    packed,
    prefixed,
    scattered,
)
from ledger.columns.reading import BatchColumns
from ledger.encoding import ENCODING, encode_text


def entry_bodies(columns: BatchColumns) -> Column:
    """Encode all entries as `encoding.encode_entry` does, one a row."""
    entries, lines, items = columns.entries, columns.lines, columns.items
    opened = joined(
        b"\1", prefixed(items.kind), prefixed(items.document_ref), prefixed(items.kid),
        packed([(">i4", items.document_day), (">i4", items.due_day)]),
    )  # fmt: skip
    currency = lines.currency.dictionary.cast(pa.large_binary()).take(lines.currency.indices)
    of_lines = joined(
        packed([(">i8", lines.amount), (">i8", lines.base)]), currency, prefixed(lines.account),
        optional(lines.party, ">i8", b"\1", b"\0"), prefixed(lines.vat_code),
        optional(lines.tax_base, ">i8", b"\1", b"\0"), prefixed(lines.dimensions),
        prefixed(lines.text), scattered(opened, lines.item, b"\0"),
    )  # fmt: skip
    firsts = np.concatenate(([0], np.cumsum(entries.line_count)))
    bodies = joined(
        prefixed(entries.series),
        packed([(">i4", entries.effective_day), (">i4", entries.document_day)]),
        prefixed(entries.entry_type), prefixed(entries.source_ref), prefixed(entries.text),
        prefixed(entries.document_ref), optional(entries.reverses, ">i8", b"\1", b"\0"),
        packed([(">i4", entries.line_count)]), grouped(of_lines, firsts),
    )  # fmt: skip
    return joined(packed([(">i4", np.diff(ends(bodies)))]), bodies)


def entry_hashes(bodies: Column, book: str, source_system: str, actor: str) -> list[bytes]:
    """Hash encoded entries as `encoding.entry_hash` does."""
    told = ENCODING + encode_text(book) + encode_text(source_system) + encode_text(actor)
    rows = joined(told, bodies)
    octets, places = buffer(rows), ends(rows).tolist()
    return [sha256(octets[first:last]).digest() for first, last in pairwise(places)]


def content_hash(columns: BatchColumns, bodies: Column, book: str) -> bytes:
    """Hash the content of a batch as `encoding.request_hash` does."""
    digest = sha256(ENCODING + encode_text(book))
    digest.update(_run(bodies))
    used = columns.allocations
    if len(used.amount):
        digest.update(_run(joined(
            packed([
                (">u1", used.credit[0]), (">i8", used.credit[1]), (">i8", used.credit[2]),
                (">u1", used.debit[0]), (">i8", used.debit[1]), (">i8", used.debit[2]),
                (">i8", used.amount), (">i4", used.effective_day),
            ]),
            prefixed(used.rule),
        )))  # fmt: skip
    return digest.digest()


def _run(column: Column) -> memoryview:
    places = ends(column)
    return buffer(column)[int(places[0]) : int(places[-1])]
