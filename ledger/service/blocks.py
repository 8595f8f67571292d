"""Read the chain of signed blocks as it lies in the database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.refusals import UnknownBlock
from ledger.seals import SealedBlock


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as it lies in the database, with what it says of itself and who signed.

    `public_key` is that of its key id; None where it is not registered.
    """

    block: SealedBlock
    hash: bytes
    signature: bytes
    public_key: bytes | None


def stored_blocks(
    session: Session, after_block: int = 0, limit: int | None = None
) -> Iterator[StoredBlock]:
    """Read the blocks after a number, in order; all of them, or as many as wanted."""
    rows = session.execute(
        text(
            "SELECT b.*, b.horizon::text AS horizon, k.public_key FROM seal_block b"
            " LEFT JOIN signing_key k USING (key_id) WHERE block_no > :after"
            " ORDER BY block_no LIMIT :limit"
        ),
        {"after": after_block, "limit": limit},
    )
    for row in rows:
        yield StoredBlock(_block(row), row.block_hash, row.signature, row.public_key)


def find_block(session: Session, block_no: int) -> StoredBlock:
    """Read one block. Raises `UnknownBlock`."""
    for stored in stored_blocks(session, block_no - 1, 1):
        if stored.block.block_no == block_no:
            return stored
    raise UnknownBlock(f"There is no block {block_no}.", block_no=block_no)


def last_block(session: Session) -> StoredBlock | None:
    """Read the newest block; None before the first."""
    last = session.scalar(text("SELECT max(block_no) FROM seal_block"))
    return None if last is None else find_block(session, last)


def _block(row: Any) -> SealedBlock:
    stored = row._mapping  # noqa: SLF001 - the documented way to a row's columns by name
    return SealedBlock(**{name: stored[name] for name in SealedBlock.__dataclass_fields__})
