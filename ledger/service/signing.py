"""The sealing key: an Ed25519 key in a file outside the database, made on first use.

The private half is read here and nowhere else; it is never logged, shown or stored in a table.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.errors import Problem
from ledger.places import make_once, places
from ledger.seals import key_fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SealKeyUnusable(Problem):
    """The file of the sealing key cannot be used as one.

    Raise as: f"{path}: {cause}. Restore the key from its backup.".
    """

    title = "Sealing key cannot be used"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for a key without showing it."""

    key_id: str
    public_key: bytes
    _key: "Ed25519PrivateKey" = field(repr=False)

    def sign(self, payload: bytes) -> bytes:
        """Sign a payload (64 bytes)."""
        return self._key.sign(payload)


def open_signer(path: Path) -> Signer:
    """Read the sealing key of a file, which is made where it is missing (PKCS#8 PEM, mode 0600).

    Raises
    ------
    SealKeyUnusable : the file holds no Ed25519 key, or others may read it.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - a tenth of a second
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise SealKeyUnusable(
            f"{path} may be read by others than its owner. Set its mode to 0600; if somebody may "
            "have copied it, move it away, and the next seal makes a new key.",
            path=str(path),
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SealKeyUnusable(
            f"{path} holds no Ed25519 key in PEM. Restore the key from its backup, or move the "
            "file away, and the next seal makes a new key.",
            path=str(path),
        )
    public = key.public_key().public_bytes_raw()
    return Signer(key_fingerprint(public), public, key)


def public_pem(public_key: bytes) -> str:
    """Write a public key (32 bytes) as PEM, for auditors."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    return (
        Ed25519PublicKey.from_public_bytes(public_key)
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def read_public_pem(pem: bytes, source: str) -> bytes:
    """Read a public key (32 bytes) from PEM. Raises `SealKeyUnusable`."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SealKeyUnusable(
            f"{source} holds no public Ed25519 key in PEM. Export it: hovedbok ledger seal-key.",
            path=source,
        )
    return key.public_bytes_raw()


def signing_keys(session: Session) -> list[tuple[str, bytes, datetime]]:
    """List the public keys that blocks may name, oldest first, as (name, key, valid from)."""
    rows = session.execute(
        text("SELECT key_id, public_key, valid_from FROM signing_key ORDER BY valid_from, key_id")
    )
    return [(row.key_id, row.public_key, row.valid_from) for row in rows]


def signer() -> Signer:
    """Give the signer of the key that is set up for this process."""
    return open_signer(places().seal_key)


def _make(path: Path) -> None:
    """Write a new key, unless another process has just done so."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    make_once(path, pem)
