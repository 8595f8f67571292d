"""The encoding of entries and its hashes, for all entries of a batch at once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import pairwise
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a batch by the names of their columns, each with its length in front.

    Hashes and the stage hold a text in the same form, so each column is written once for both.
    """

    entries: Mapping[str, Column]
    lines: Mapping[str, Column]
    items: Mapping[str, Column]


def texts_of(columns: BatchColumns) -> Texts:
    """Write the texts of a batch."""
    return Texts(*map(_texts_in, (columns.entries, columns.lines, columns.items)))


def _texts_in(table: Any) -> Mapping[str, Column]:
    held = {field.name: getattr(table, field.name) for field in fields(table)}
    return {name: prefixed(column) for name, column in held.items() if _holds_texts(column)}


def _holds_texts(column: Any) -> bool:
    return isinstance(column, pa.DictionaryArray | pa.LargeStringArray)


def entry_bodies(columns: BatchColumns, texts: Texts) -> Column:
    """Encode all entries as `encoding.encode_entry` does, one a row."""
    entries, lines, items = columns.entries, columns.lines, columns.items
    header, line, item = texts.entries, texts.lines, texts.items
    opened = joined(
        b"\1", item["kind"], item["document_ref"], item["kid"],
        packed([(">i4", items.document_day), (">i4", items.due_day)]),
    )  # fmt: skip
    currency = lines.currency.dictionary.cast(pa.large_binary()).take(lines.currency.indices)
    of_lines = joined(
        packed([(">i8", lines.amount), (">i8", lines.base)]), currency, line["account"],
        optional(lines.party, ">i8", b"\1", b"\0"), line["vat_code"],
        optional(lines.tax_base, ">i8", b"\1", b"\0"), line["dimensions"],
        line["text"], scattered(opened, lines.item, b"\0"),
    )  # fmt: skip
    firsts = np.concatenate(([0], np.cumsum(entries.line_count)))
    bodies = joined(
        header["series"],
        packed([(">i4", entries.effective_day), (">i4", entries.document_day)]),
        header["entry_type"], header["source_ref"], header["text"],
        header["document_ref"], optional(entries.reverses, ">i8", b"\1", b"\0"),
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
