"""The hash that holds an entry to its word: how each is encoded, and what is hashed of a batch."""

import struct
from collections.abc import Iterator
from datetime import date
from hashlib import sha256

from ledger.journal import (
    AllocationDraft,
    BatchDraft,
    EntryDraft,
    Line,
    Voucher,
    canonical_dimensions,
)

ENCODING = b"hovedbok-entry/1"
_ABSENT = b"\xff\xff\xff\xff"


def entry_hash(body: bytes, book: str, source_system: str, actor: str) -> bytes:
    """Hash an encoded entry together with whose books it is in and who posted it (32 bytes)."""
    return sha256(
        ENCODING + encode_text(book) + encode_text(source_system) + encode_text(actor) + body
    ).digest()


def leaf_hash(hash_of_entry: bytes, voucher: Voucher) -> bytes:
    """Bind an entry to its number (32 bytes); the database computes the same when it numbers."""
    number = f"/{voucher.series}/{voucher.year}/{voucher.number}"
    return sha256(hash_of_entry + number.encode()).digest()


def request_hash(draft: BatchDraft, bodies: Iterator[bytes]) -> bytes:
    """Hash the content of a batch, whoever sends it; a retry has the same hash (32 bytes)."""
    digest = sha256(ENCODING + encode_text(draft.book))
    for body in bodies:
        digest.update(body)
    for allocation in draft.allocations:
        digest.update(_encode_allocation(allocation))
    return digest.digest()


def encode_entry(entry: EntryDraft) -> bytes:
    """Encode every business column of an entry and its lines, except the number.

    Fixed-width big-endian integers, UTF-8 with its length in front, dates as days of the proleptic
    calendar, 0xFFFFFFFF for an absent text. The order of dimensions does not matter.
    """
    parts = [
        encode_text(entry.series), _days(entry.effective_date), _days(entry.document_date),
        encode_text(entry.entry_type), encode_text(entry.source_ref), encode_text(entry.text),
        encode_text(entry.document_ref), _number(entry.reverses_entry_id),
        struct.pack(">I", len(entry.lines)),
    ]  # fmt: skip
    parts.extend(_encode_line(line) for line in entry.lines)
    body = b"".join(parts)
    return struct.pack(">I", len(body)) + body


def _encode_line(line: Line) -> bytes:
    fixed = struct.pack(">qq3s", line.amount_minor, line.base, line.currency.encode())
    parts = [
        fixed, encode_text(line.account), _number(line.party_id), encode_text(line.vat_code),
        _number(line.tax_base_minor), encode_text(canonical_dimensions(line.dimensions)),
        encode_text(line.text),
    ]  # fmt: skip
    item = line.item
    if item is None:
        parts.append(b"\0")
    else:
        texts = map(encode_text, (item.kind, item.document_ref, item.kid))
        parts += [b"\1", *texts, _days(item.document_date), _days(item.due_date)]
    return b"".join(parts)


def _encode_allocation(allocation: AllocationDraft) -> bytes:
    sides = []
    for side in (allocation.credit, allocation.debit):
        new = (0, side, 0) if isinstance(side, int) else (1, *side)
        sides.append(struct.pack(">Bqq", *new))
    amount = struct.pack(">q", allocation.amount_minor)
    sides += [amount, _days(allocation.effective_date), encode_text(allocation.rule)]
    return b"".join(sides)


def encode_text(text: str | None) -> bytes:
    """Encode a text: its length in front, 0xFFFFFFFF where there is none."""
    if text is None:
        return _ABSENT
    content = text.encode()
    return struct.pack(">I", len(content)) + content


def _number(number: int | None) -> bytes:
    return b"\0" if number is None else struct.pack(">Bq", 1, number)


def _days(day: date) -> bytes:
    return struct.pack(">i", day.toordinal())
