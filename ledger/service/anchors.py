"""Anchors outside the database: write the signed head somewhere else, and read it back.

Places are folders or fsspec addresses, best such that keep what they are given: an object store
with a retention lock, a disk of the auditor's. An anchor is written once and never overwritten.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.anchoring import Anchor, AnchorInvalid, read_anchor, render_anchor
from ledger.errors import Conflict, Problem
from ledger.places import write_whole
from ledger.seals import block_hash
from ledger.service.blocks import last_block, stored_blocks
from ledger.service.refused import translated

_PATTERN = "hovedbok-seal-*.json"


class NothingSealed(Conflict):
    """There is no sealed block yet."""

    title = "Nothing is sealed yet"


class AnchorPlaceUnusable(Problem):
    """The place for an anchor cannot be read or written, or holds another document of that name.

    Raise as: f"{place}: {cause}.".
    """

    title = "Place for anchors cannot be used"


def write_anchor(session: Session, place: str) -> tuple[Anchor, str]:
    """Write the signed head to a place and record the receipt; gives the anchor and its address.

    Raises `NothingSealed`, `AnchorPlaceUnusable`. Doing it again writes and records nothing new.
    """
    stored = last_block(session)
    if stored is None:
        raise NothingSealed("There is no sealed block to anchor. Seal first: hovedbok ledger seal.")
    anchor = Anchor(stored.block, stored.signature, stored.public_key or b"")
    read_anchor(render_anchor(anchor), f"Block {stored.block.block_no}")  # Never anchor a forgery.
    address = _write_once(place, anchor)
    with translated():
        session.execute(
            text("SELECT ledger_record_anchor(:block, :hash, :medium, :receipt)"),
            {"block": stored.block.block_no, "hash": block_hash(stored.block), "medium": place,
             "receipt": anchor.name},
        )  # fmt: skip
    return anchor, address


def last_anchored_block(session: Session) -> int:
    """Give the number of the last block of which a receipt is recorded; 0 before the first."""
    return int(session.scalar(text("SELECT coalesce(max(block_no), 0) FROM seal_anchor")) or 0)


def anchor_faults(session: Session, places: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Read anchors back, those on record and all in the places given; yield (where, what).

    What an anchor says and the database does not is a change of the past, or a tail that was cut.
    """
    hashes = {stored.block.block_no: stored.hash for stored in stored_blocks(session)}
    receipts = session.execute(
        text("SELECT medium, receipt, block_no, block_hash FROM seal_anchor ORDER BY anchor_id")
    ).all()
    found: dict[str, dict[str, bytes]] = {}
    for place in dict.fromkeys([*places, *(row.medium for row in receipts)]):
        try:
            found[place] = _documents(place)
        except (OSError, ValueError, ImportError) as fault:
            yield f"anchors at {place}", f"they cannot be read back: {fault}"
    for row in receipts:
        where = f"anchor {row.receipt} at {row.medium}"
        if hashes.get(row.block_no) != bytes(row.block_hash):
            yield where, f"its receipt names another block {row.block_no} than there is"
        if row.medium in found and row.receipt not in found[row.medium]:
            yield where, "it was written and is gone"
    for place, documents in found.items():
        for name, content in documents.items():
            yield from _anchor_faults(f"anchor {name} at {place}", content, hashes)


def _anchor_faults(
    where: str, content: bytes, hashes: dict[int, bytes]
) -> Iterator[tuple[str, str]]:
    try:
        anchor = read_anchor(content, "it")
    except AnchorInvalid as fault:
        yield where, str(fault)
        return
    number = anchor.block.block_no
    if number not in hashes:
        yield (
            where,
            (
                f"block {number} with positions up to {anchor.block.last_position} was sealed on "
                f"{anchor.block.signed_at:%Y-%m-%d} and is gone: the tail was removed"
            ),
        )
    elif hashes[number] != block_hash(anchor.block):
        yield where, f"block {number} is not the one that was anchored: the past was rewritten"


def _opened(place: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - a twentieth of a second that few commands need

    files, root = fsspec.core.url_to_fs(place)
    return files, root


def _write_once(place: str, anchor: Anchor) -> str:
    content = render_anchor(anchor)
    try:
        files, root = _opened(place)
        address = f"{root.rstrip('/')}/{anchor.name}"
        files.makedirs(root, exist_ok=True)
        kept = files.cat_file(address) if files.exists(address) else b""
        # Of what was there a part may be missing: its writer died over it, or the disk was full.
        if kept != content and content.startswith(kept):
            _write_whole(files, address, content)
            kept = files.cat_file(address)
    except (OSError, ValueError, ImportError) as fault:
        raise AnchorPlaceUnusable(
            f"{place}: {fault}. Give a folder or an fsspec address that can be written.",
            place=place,
        ) from fault
    if kept != content:
        raise AnchorPlaceUnusable(
            f"{place} holds another document as {anchor.name}. An anchor is never overwritten: "
            "verify the books against that place, then choose another.",
            place=place,
        )
    return str(files.unstrip_protocol(address))


def _write_whole(files: Any, address: str, content: bytes) -> None:
    """Write a document all at once; of two who do so, either may: they write the same."""
    if "file" in files.protocol:
        write_whole(Path(address), content)
    else:
        files.pipe_file(address, content)


def _documents(place: str) -> dict[str, bytes]:
    files, root = _opened(place)
    if not files.isdir(root):
        raise FileNotFoundError(f"there is no folder {root}")
    found = sorted(files.glob(f"{root.rstrip('/')}/{_PATTERN}"))
    return {path.rpartition("/")[2]: files.cat_file(path) for path in found}
