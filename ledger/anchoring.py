"""An anchor: the signed head of the chain as a document that stands alone, and its check.

Whoever holds one can tell later that the chain up to that block was neither changed nor cut short.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ledger.errors import Invalid
from ledger.seals import SealedBlock, block_hash, block_payload, is_signed, value_text

FORMAT = "hovedbok-anchor/1"
_BYTES = ("prev_hash", "member_root", "master_root")


class AnchorInvalid(Invalid):
    """A document is no anchor, or its signature is not of the key that it names.

    Raise as: f"{name}: {cause}.".
    """

    title = "Anchor is not valid"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head: the block, its signature and the public key that made it."""

    block: SealedBlock
    signature: bytes
    public_key: bytes

    @property
    def name(self) -> str:
        """Name its document: block number and the first digits of its hash."""
        digits = block_hash(self.block).hex()[:16]
        return f"hovedbok-seal-{self.block.block_no:012d}-{digits}.json"


def render_anchor(anchor: Anchor) -> bytes:
    """Write an anchor; the same anchor has the same octets."""
    document = {
        "format": FORMAT,
        "block": block_document(anchor.block),
        "block_hash": block_hash(anchor.block).hex(),
        "signature": anchor.signature.hex(),
        "public_key": anchor.public_key.hex(),
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def read_anchor(content: bytes, name: str) -> Anchor:
    """Read an anchor and check its signature against the key in it. Raises `AnchorInvalid`."""
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise AnchorInvalid(f"{name} is of format {document['format']!r}, not {FORMAT}.")
        anchor = Anchor(
            read_block(document["block"]),
            bytes.fromhex(document["signature"]),
            bytes.fromhex(document["public_key"]),
        )
        is_whole = render_anchor(anchor) == content
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise AnchorInvalid(f"{name} is no anchor of a seal. Fetch it again.") from fault
    if not is_whole or not is_signed(
        block_payload(anchor.block), anchor.signature, anchor.public_key
    ):
        raise AnchorInvalid(f"{name} was changed: its signature does not fit its content.")
    return anchor


def block_document(block: SealedBlock) -> dict[str, Any]:
    """Write a block as plain JSON values: hashes in hexadecimal, sums of minor units as texts."""
    document = asdict(block) | {name: getattr(block, name).hex() for name in _BYTES}
    document["signed_at"] = value_text(block.signed_at)
    document["debit_totals"] = {c: str(total) for c, total in sorted(block.debit_totals.items())}
    document["sealed_columns"] = {
        table: list(names) for table, names in sorted(block.sealed_columns.items())
    }
    return document


def read_block(document: dict[str, Any]) -> SealedBlock:
    """Read what `block_document` writes; other JSON raises ValueError, KeyError or TypeError."""
    values = dict(document) | {name: bytes.fromhex(document[name]) for name in _BYTES}
    values["signed_at"] = datetime.fromisoformat(document["signed_at"])
    values["debit_totals"] = {c: int(total) for c, total in document["debit_totals"].items()}
    return SealedBlock(**values)
