"""Seals: Merkle trees over what is stored, chained blocks, and the bytes that a signature covers.

Everything an auditor needs to check a seal stands here, without database, clock or settings. The
encoding is described in docs/decisions.md; a change of it is a new version of its first bytes.

Sources: Merkle tree with separated leaves and nodes, RFC 6962 section 2.1; Ed25519, RFC 8032.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256

BLOCK_ENCODING = b"hovedbok-seal/1"
ROW_ENCODING = b"hovedbok-row/1"
ENTRY_LEAF = b"hovedbok-leaf/1"
MEMBER_LEAF = b"hovedbok-member/1"
NO_BLOCK = bytes(32)  # What the first block names as the one before it.

# From a leaf upwards: whether the other hash stands to the left, and that hash.
MerklePath = tuple[tuple[bool, bytes], ...]


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block as it was signed: an explicit set of batches in order, and the block before it.

    `sealed_columns` says, per table, which columns the roots of its batches cover; the sums are
    of minor units. Positions are numbered from 1 without holes, across all books.
    """

    block_no: int
    prev_hash: bytes
    member_root: bytes
    first_position: int
    last_position: int
    batch_count: int
    entry_count: int
    line_count: int
    debit_totals: Mapping[str, int]
    master_root: bytes
    master_count: int
    sealed_columns: Mapping[str, Sequence[str]]
    horizon: str
    signed_at: datetime
    key_id: str


def block_payload(block: SealedBlock) -> bytes:
    """Encode a block for its signature: big-endian integers, texts with their length in front."""
    head = struct.pack(
        ">qqqqqqq", block.block_no, block.first_position, block.last_position, block.batch_count,
        block.entry_count, block.line_count, block.master_count,
    )  # fmt: skip
    totals = {currency: str(total) for currency, total in block.debit_totals.items()}
    columns = {table: ",".join(names) for table, names in block.sealed_columns.items()}
    return b"".join(
        (
            BLOCK_ENCODING, head, block.prev_hash, block.member_root, block.master_root,
            _pairs(totals), _pairs(columns), _text(block.horizon),
            struct.pack(">q", _microseconds(block.signed_at)), _text(block.key_id),
        )
    )  # fmt: skip


def block_hash(block: SealedBlock) -> bytes:
    """Hash a block (32 bytes): what the next block and the anchors name."""
    return sha256(block_payload(block)).digest()


def key_fingerprint(public_key: bytes) -> str:
    """Name a public key by the first 16 hexadecimal digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def is_signed(payload: bytes, signature: bytes, public_key: bytes) -> bool:
    """Tell whether an Ed25519 signature (64 bytes) over a payload is of a public key (32 bytes)."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - few commands need it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True


def entry_leaf(entry_id: int, leaf: bytes) -> bytes:
    """Give the content of an entry's leaf in its batch's tree: its place, its hash and number."""
    return ENTRY_LEAF + struct.pack(">q", entry_id) + leaf


def member_leaf(position: int, batch_id: int, batch_root: bytes) -> bytes:
    """Give the content of a batch's leaf in its block's tree."""
    return MEMBER_LEAF + struct.pack(">qq", position, batch_id) + batch_root


def row_leaf(table: str, content: Mapping[str, str]) -> bytes:
    """Encode a row of a table, column by column, as the content of a leaf.

    Columns without a value are left out by `row_content`, so that a column added later, which old
    rows do not fill, changes no hash.
    """
    return ROW_ENCODING + _text(table) + _pairs(content)


def row_content(columns: Sequence[str], values: Iterable[object]) -> dict[str, str]:
    """Write a row as texts by column name; absent values are left out."""
    return {
        name: value_text(value)
        for name, value in zip(columns, values, strict=True)
        if value is not None
    }


def value_text(value: object) -> str:
    """Write one stored value as text, the same wherever and whenever it is read.

    Integers in decimal digits, instants in UTC to the microsecond, octets in hexadecimal, JSON with
    sorted keys and no spaces.

    >>> value_text(datetime(2026, 3, 31, 12, tzinfo=UTC))
    '2026-03-31T12:00:00.000000Z'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview | bytearray):
        return bytes(value).hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list):
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=value_text
        )
    return str(value)


def merkle_root(contents: Iterable[bytes]) -> bytes:
    """Give the root (32 bytes) of the Merkle tree over the contents, in their order.

    Source: RFC 6962 section 2.1. Pairing level by level, with an odd last node moving up as it is,
    builds the same tree as the split at the largest power of two.
    """
    level = [_hash_leaf(content) for content in contents]
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def merkle_path(contents: Sequence[bytes], index: int) -> MerklePath:
    """Give the hashes that lead from one leaf to the root; see `follow_path`."""
    level = [_hash_leaf(content) for content in contents]
    path = []
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            path.append((other < index, level[other]))
        level = _level_above(level)
        index //= 2
    return tuple(path)


def follow_path(content: bytes, path: MerklePath) -> bytes:
    """Compute the root that a leaf and its path lead to."""
    node = _hash_leaf(content)
    for is_left, other in path:
        node = sha256(b"\1" + (other + node if is_left else node + other)).digest()
    return node


def _hash_leaf(content: bytes) -> bytes:
    return sha256(b"\0" + content).digest()


def _level_above(level: list[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _pairs(texts: Mapping[str, str]) -> bytes:
    parts = [struct.pack(">I", len(texts))]
    for name in sorted(texts, key=str.encode):
        parts += (_text(name), _text(texts[name]))
    return b"".join(parts)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack(">I", len(content)) + content


def _microseconds(instant: datetime) -> int:
    since = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
