"""Fingerprints of records, to tell an exact copy from another record under the same key."""

import hashlib
from collections.abc import Iterator

import numpy as np

from ledger.errors import Invalid
from mediation.records import Int64

_DIGEST_OCTETS = 16


def payload_digests(raw: bytes, offset: Int64, length: Int64) -> Int64:
    """Digest the octets of records with BLAKE2b of 128 bits.

    Parameters
    ----------
    raw : the file.
    offset, length : (n,) integers; each record lies within the file.

    Returns
    -------
    (n, 2) int64, the digest as two big-endian halves.

    Raises
    ------
    Invalid : shapes differ, or a record reaches beyond the file.
    """
    if offset.shape != length.shape or offset.ndim != 1:
        raise Invalid("Offsets and lengths must be columns of the same length.")
    end = offset.astype(np.int64) + length
    if len(offset) and (offset.min() < 0 or length.min() < 0 or end.max() > len(raw)):
        raise Invalid("A record reaches beyond the file.", size=len(raw))
    halves = np.frombuffer(b"".join(_digests(raw, offset.tolist(), end.tolist())), ">i8")
    return halves.astype(np.int64).reshape(-1, 2)


def _digests(raw: bytes, starts: list[int], ends: list[int]) -> Iterator[bytes]:
    view = memoryview(raw)
    for start, end in zip(starts, ends, strict=True):
        yield hashlib.blake2b(view[start:end], digest_size=_DIGEST_OCTETS).digest()
