"""A proof that a voucher stands under a seal, which anybody can check with the public key alone.

The document carries the entry with every column, the Merkle paths from it and from its batch's
header up to a signed block, and the block. To check it is to compute the same hashes again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import msgspec

from ledger.anchoring import block_document, read_block
from ledger.encoding import encode_entry, entry_hash, leaf_hash
from ledger.errors import Invalid
from ledger.journal import EntryDraft, Voucher
from ledger.seals import (
    MerklePath,
    SealedBlock,
    block_payload,
    entry_leaf,
    follow_path,
    is_signed,
    key_fingerprint,
    member_leaf,
    row_leaf,
)

FORMAT = "hovedbok-proof/1"
_SIDES = {"left": True, "right": False}


class ProofInvalid(Invalid):
    """A proof does not prove what it says; the sentence names the step that fails.

    Raise as: f"{step} does not hold: {cause}.".
    """

    title = "Proof does not hold"


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that ties an entry to a signature, as plain JSON values.

    A path lists, from the leaf upwards, "left:" or "right:" and the hash that stands there.
    """

    format: str
    voucher: Voucher
    entry_id: int
    book: str
    source_system: str
    created_by: str
    entry: EntryDraft
    entry_path: tuple[str, ...]
    batch: dict[str, str]  # the header of the batch, column by column
    batch_path: tuple[str, ...]
    batch_id: int
    position: int
    member_path: tuple[str, ...]
    block: dict[str, Any]
    signature: str
    public_key: str


def make_proof(
    voucher: Voucher,
    entry_id: int,
    names: tuple[str, str, str],
    entry: EntryDraft,
    batch: dict[str, str],
    paths: tuple[MerklePath, MerklePath, MerklePath],
    position: int,
    block: SealedBlock,
    signature: bytes,
    public_key: bytes,
) -> Proof:
    """Put a proof together from what is stored.

    `names` are book, source system and actor; `paths` lead up from the entry, from its batch's
    header, and from the batch.
    """
    entry_path, batch_path, member_path = (_written(path) for path in paths)
    return Proof(
        FORMAT, voucher, entry_id, *names, entry, entry_path, batch, batch_path, entry_id >> 20,
        position, member_path, block_document(block), signature.hex(), public_key.hex(),
    )  # fmt: skip


def render_proof(proof: Proof) -> bytes:
    """Write a proof; the same proof has the same octets."""
    values = {field.name: getattr(proof, field.name) for field in fields(proof)}
    return msgspec.json.format(msgspec.json.encode(values, order="sorted"), indent=1) + b"\n"


def check_proof(content: bytes, public_key: bytes) -> Proof:
    """Check a proof against a public key (32 bytes) that the reader trusts; no database is asked.

    Raises `ProofInvalid`, naming the step that fails.
    """
    try:
        proof = msgspec.json.decode(content, type=Proof)
        block = read_block(proof.block)
        paths = [_read(p) for p in (proof.entry_path, proof.batch_path, proof.member_path)]
        signature = bytes.fromhex(proof.signature)
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ProofInvalid(f"The form does not hold: this is no proof ({fault}).") from fault
    if proof.format != FORMAT:
        raise ProofInvalid(f"The form does not hold: {proof.format!r} is not {FORMAT}.")
    if proof.public_key != public_key.hex():
        raise ProofInvalid(
            f"The key does not hold: the proof is under {proof.public_key[:16]}…, you trust "
            f"{public_key.hex()[:16]}…. Ask whoever gave you the key."
        )
    if key_fingerprint(public_key) != block.key_id:
        raise ProofInvalid(f"The key does not hold: the block names the key {block.key_id}.")
    _check_block(block, signature, public_key)
    _check_paths(proof, paths, block)
    if block_document(block) != proof.block or render_proof(proof) != content:
        raise ProofInvalid("The form does not hold: the file is not as it was written.")
    return proof


def _check_block(block: SealedBlock, signature: bytes, public_key: bytes) -> None:
    try:
        signed = is_signed(block_payload(block), signature, public_key)
    except (TypeError, ValueError, AttributeError, OverflowError):
        signed = False
    if not signed:
        raise ProofInvalid("The signature does not hold: it is not of this key over this block.")


def _check_paths(proof: Proof, paths: list[MerklePath], block: SealedBlock) -> None:
    entry_path, batch_path, member_path = paths
    try:
        body = encode_entry(proof.entry)
        hashed = entry_hash(body, proof.book, proof.source_system, proof.created_by)
        leaf = entry_leaf(proof.entry_id, leaf_hash(hashed, proof.voucher))
        batch_root = follow_path(row_leaf("posting_batch", proof.batch), batch_path)
        entry_root = follow_path(leaf, entry_path)
        member = follow_path(member_leaf(proof.position, proof.batch_id, batch_root), member_path)
    except (TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise ProofInvalid(f"The entry does not hold: it cannot be encoded ({fault}).") from fault
    if member != block.member_root:
        raise ProofInvalid(
            "The batch does not hold: its header, place and path do not lead to the block's root."
        )
    if entry_root != batch_root:
        raise ProofInvalid(
            "The entry does not hold: its content, number and path do not lead to its batch."
        )
    if proof.entry_id >> 20 != proof.batch_id or str(proof.batch_id) != proof.batch["batch_id"]:
        raise ProofInvalid("The entry does not hold: it names another batch than its own.")


def _written(path: MerklePath) -> tuple[str, ...]:
    return tuple(f"{'left' if is_left else 'right'}:{other.hex()}" for is_left, other in path)


def _read(path: tuple[str, ...]) -> MerklePath:
    steps = (step.partition(":") for step in path)
    return tuple((_SIDES[side], bytes.fromhex(digits)) for side, _, digits in steps)
