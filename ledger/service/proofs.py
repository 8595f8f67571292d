"""Proofs of single vouchers: made from the stored rows, so that making one checks them too."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.encoding import encode_entry, entry_hash, leaf_hash
from ledger.errors import Conflict
from ledger.journal import Voucher
from ledger.proof import Proof, ProofInvalid, check_proof, make_proof, render_proof
from ledger.seals import entry_leaf, member_leaf, merkle_path
from ledger.service.batch_roots import batch_leaves, batch_rows
from ledger.service.blocks import find_block
from ledger.service.reading import find_voucher
from ledger.service.rehash import stored_entry


class NotSealedYet(Conflict):
    """A voucher is in the books, but its batch is not under a seal yet."""

    title = "Voucher is not sealed yet"


def voucher_proof(session: Session, book: str, voucher: Voucher) -> Proof:
    """Make the proof of a voucher, from the rows as they are stored now.

    Raises
    ------
    UnknownEntry : there is no such voucher.
    NotSealedYet : its batch has no position yet.
    ProofInvalid : the stored rows are not what was sealed.
    """
    entry_id = find_voucher(session, book, voucher.series, voucher.year, voucher.number).entry_id
    batch_id = entry_id >> 20
    member = session.execute(
        text("SELECT position, block_no FROM seal_member WHERE batch_id = :batch"),
        {"batch": batch_id},
    ).one_or_none()
    if member is None:
        raise NotSealedYet(
            f"{voucher} is in batch {batch_id}, which is not sealed. Run: hovedbok ledger seal.",
            voucher=str(voucher),
            batch_id=batch_id,
        )
    stored = find_block(session, member.block_no)
    columns = stored.block.sealed_columns
    leaves = batch_leaves(session, [batch_id], columns)[batch_id]
    header, draft = stored_entry(session, entry_id)
    hashed = entry_hash(encode_entry(draft), header.book, header.source_system, header.created_by)
    leaf = entry_leaf(entry_id, leaf_hash(hashed, voucher))
    if leaf not in leaves:
        raise ProofInvalid(
            f"The entry does not hold: the rows of {voucher} are not what was posted."
        )
    batch = dict(batch_rows(session, "posting_batch", [batch_id], columns["posting_batch"]))
    members = [
        member_leaf(*row)
        for row in session.execute(
            text(
                "SELECT position, batch_id, batch_root FROM seal_member WHERE block_no = :block"
                " ORDER BY position"
            ),
            {"block": member.block_no},
        )
    ]
    paths = (
        merkle_path(leaves, leaves.index(leaf)),
        merkle_path(leaves, 0),
        merkle_path(members, member.position - stored.block.first_position),
    )
    names = (header.book, header.source_system, header.created_by)
    proof = make_proof(
        voucher, entry_id, names, draft, batch[batch_id], paths, member.position, stored.block,
        stored.signature, stored.public_key or b"",
    )  # fmt: skip
    check_proof(render_proof(proof), stored.public_key or b"")
    return proof


def voucher_faults(session: Session, book: str, voucher: Voucher) -> Iterator[tuple[str, str]]:
    """Verify one voucher from its rows up to the signature; yield (where, what) if it fails.

    Raises `UnknownEntry`, `NotSealedYet`.
    """
    try:
        voucher_proof(session, book, voucher)
    except ProofInvalid as fault:
        yield f"voucher {voucher}", str(fault)
