"""Prove the seals: signatures and chain, members, batch roots, master data.

Each check yields (where, what) per fault. Everything is computed anew from what is stored; the only
thing trusted is a signature, and a key only as far as an anchor or an auditor's own copy of it
says that it is the right one.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.seals import (
    NO_BLOCK,
    SealedBlock,
    block_payload,
    is_signed,
    key_fingerprint,
    member_leaf,
    merkle_root,
)
from ledger.service.batch_roots import batch_roots, present_columns
from ledger.service.blocks import stored_blocks
from ledger.service.histories import MasterRow, current_rows, histories, sealed_rows

_LONG = 500  # Texts beyond this many characters are told by the line that differs.


def chain_faults(session: Session, after_block: int = 0) -> Iterator[tuple[str, str]]:
    """Check numbers, positions, hashes and signatures of the chain."""
    before = next(iter(stored_blocks(session, after_block - 1)), None) if after_block else None
    last_no, last_position = after_block, before.block.last_position if before else 0
    last_hash = before.hash if before else NO_BLOCK
    for stored in stored_blocks(session, after_block):
        block, where = stored.block, f"block {stored.block.block_no}"
        if (block.block_no, block.first_position) != (last_no + 1, last_position + 1):
            yield where, f"it does not follow block {last_no}, which ends at {last_position}"
        if block.prev_hash != last_hash:
            yield where, f"it does not name the hash of block {last_no}"
        payload = _payload(block)
        if sha256(payload).digest() != stored.hash:
            yield where, "its columns do not give its hash"
        if stored.public_key is None or key_fingerprint(stored.public_key) != block.key_id:
            yield where, f"the public key {block.key_id} is missing or another one"
        elif not is_signed(payload, stored.signature, stored.public_key):
            yield where, f"the signature is not that of key {block.key_id} over its columns"
        last_no, last_position, last_hash = block.block_no, block.last_position, stored.hash


def _payload(block: SealedBlock) -> bytes:
    """Encode a block; one that was corrupted beyond encoding gives what no signature fits."""
    try:
        return block_payload(block)
    except (TypeError, ValueError, AttributeError):
        return b""


def member_faults(session: Session, after_block: int = 0) -> Iterator[tuple[str, str]]:
    """Rebuild each block's root over its members, and the root of each member from its rows."""
    for stored in stored_blocks(session, after_block):
        block = stored.block
        members = session.execute(
            text(
                "SELECT position, batch_id, batch_root FROM seal_member"
                " WHERE block_no = :block ORDER BY position"
            ),
            {"block": block.block_no},
        ).all()
        if merkle_root(member_leaf(*row) for row in members) != block.member_root:
            yield f"block {block.block_no}", "its list of batches is not the one that was signed"
        yield from _batch_faults(session, block, members)
    stray = session.execute(
        text(
            "SELECT position, block_no FROM seal_member m"
            " WHERE NOT EXISTS (SELECT FROM seal_block b WHERE b.block_no = m.block_no)"
        )
    )
    for position, block_no in stray:
        yield f"position {position}", f"its block {block_no} does not exist"


def _batch_faults(
    session: Session, block: SealedBlock, members: Sequence[Any]
) -> Iterator[tuple[str, str]]:
    present = present_columns(session, list(block.sealed_columns))
    for table, columns in block.sealed_columns.items():
        if gone := sorted(set(columns) - set(present[table])):
            yield f"table {table}", f"block {block.block_no} covers columns that are gone: {gone}"
            return
    positions = {row.batch_id: row for row in members}
    for batch_id, root in batch_roots(session, list(positions), block.sealed_columns):
        member = positions[batch_id]
        if root != bytes(member.batch_root):
            what = "its header, events, allocations or entries are not what was sealed"
            yield (
                f"batch {batch_id}",
                f"{what} at position {member.position}, block {block.block_no}",
            )


def master_faults(session: Session) -> Iterator[tuple[str, str]]:
    """Compare master data with its sealed copy, and that copy with the roots that were signed."""
    yield from _copy_faults(session)
    known = session.scalars(text("SELECT DISTINCT history FROM seal_master ORDER BY 1")).all()
    present = present_columns(session, sorted({*known, *histories()}))
    for history in known:
        if not present[history]:
            yield f"table {history}", "it was sealed, and there is no such table"
            continue
        sealed = sealed_rows(session, history)
        columns = sorted(set().union(*(row.columns for row in sealed.values())))
        if gone := sorted(set(columns) - set(present[history])):
            yield f"table {history}", f"columns that were sealed are gone: {gone}"
            continue
        for row in current_rows(session, history, columns):
            before = sealed.pop(row.row_key, None)
            if before is None:
                continue  # Not sealed yet.
            for column, pair in before.differences(row).items():
                what, was, now = _closer(column, *pair)
                yield (
                    f"{history} {row.row_key}",
                    f"{what} was {was!r} when block {before.block_no} sealed it, and is {now!r}",
                )
        for key, before in sealed.items():
            yield f"{history} {key}", f"block {before.block_no} sealed it, and it is gone"


def _closer(column: str, was: str | None, now: str | None) -> tuple[str, str | None, str | None]:
    """Name of two long texts, such as tariff files, the first line in which they differ."""
    if was is None or now is None or max(len(was), len(now)) <= _LONG:
        return column, was, now
    pairs = zip_longest(was.split("\n"), now.split("\n"))
    line, (before, after) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
    return f"line {line} of {column}", before, after


def _copy_faults(session: Session) -> Iterator[tuple[str, str]]:
    rows = session.execute(
        text(
            "SELECT b.block_no, b.master_root, b.master_count, m.history, m.row_key, m.content"
            " FROM seal_block b FULL JOIN seal_master m USING (block_no)"
            " ORDER BY b.block_no, m.history, m.row_key"
        )
    )
    leaves: dict[tuple[int | None, bytes | None, int | None], list[bytes]] = {}
    for block_no, root, count, *row in rows:
        held = leaves.setdefault((block_no, root, count), [])
        if row[0] is not None:
            held.append(MasterRow.from_copy(*row).leaf)
    for (block_no, root, count), held in leaves.items():
        if block_no is None:
            yield "seal_master", f"{len(held)} rows name a block that does not exist"
        elif root != merkle_root(held) or count != len(held):
            yield f"block {block_no}", "its copy of master data is not the one that was signed"
