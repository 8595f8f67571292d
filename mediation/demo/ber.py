"""Write many BER records at once: one matrix of octets, one mask of the octets that count.

A field of n records is a `Part`: a matrix (n, width) and a mask of the same shape. Fields of
varying length are right- or left-aligned in their matrix, and the mask leaves the padding out. A
record is a list of parts in order; `render` selects the masked octets row by row: the file.

Source: ITU-T X.690, definite lengths, tags as in 3GPP TS 32.298.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Octets = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """One run of octets in each of n records; one row stands for all records alike."""

    octets: Octets  # (n or 1, width)
    used: Mask  # same shape: False is padding

    def widths(self) -> Int64:
        """Count the octets that each record really has here: (n or 1,)."""
        counted: Int64 = self.used.sum(axis=1, dtype=np.int64)
        return counted


def constant(text: bytes, present: Mask | None = None) -> Part:
    """Put the same octets into every record, or only where `present` says so."""
    octets = np.frombuffer(text, np.uint8)[None, :]
    if present is None:
        return Part(octets, np.ones(octets.shape, np.bool_))
    shape = (len(present), len(text))
    return Part(np.broadcast_to(octets, shape), np.broadcast_to(present[:, None], shape))


def fixed(tag: bytes, content: Octets, present: Mask | None = None) -> Part:
    """Write content (n, width) of one width below 128 for all records, after tag and length."""
    head = np.frombuffer(tag + bytes([content.shape[1]]), np.uint8)
    rows = len(content)
    octets = np.hstack([np.broadcast_to(head, (rows, len(head))), content])
    if present is None:
        return Part(octets, np.ones(octets.shape, np.bool_))
    return Part(octets, np.broadcast_to(present[:, None], octets.shape))


def table(tag: bytes, contents: Sequence[bytes]) -> Part:
    """Encode one field for each member of a small set: (members, widest). See `pick`."""
    rows = [tag + bytes([len(content)]) + content for content in contents]
    widest = max((len(row) for row in rows), default=0)
    octets = np.zeros((len(rows), widest), np.uint8)
    for place, row in enumerate(rows):
        octets[place, : len(row)] = np.frombuffer(row, np.uint8)
    lengths = np.array([len(row) for row in rows], np.int64)
    return Part(octets, np.arange(widest) < lengths[:, None])


def pick(members: Part, index: Int64) -> Part:
    """Give each record the field of its member of a `table`."""
    return Part(members.octets[index], members.used[index])


def integer(tag: bytes, values: Int64, present: Mask | None = None) -> Part:
    """Write non-negative INTEGERs in the fewest octets, a leading zero where the top bit is set."""
    width = np.ones(len(values), np.int64)
    for octet in range(1, 8):
        width += values >= (1 << (8 * octet - 1))
    widest = int(width.max(initial=1))
    shifts = 8 * np.arange(widest - 1, -1, -1)
    content = ((values[:, None] >> shifts) & 0xFF).astype(np.uint8)
    head = np.broadcast_to(np.frombuffer(tag, np.uint8), (len(values), len(tag)))
    octets = np.hstack([head, width.astype(np.uint8)[:, None], content])
    used = np.ones(octets.shape, np.bool_)
    used[:, len(tag) + 1 :] = np.arange(widest) >= (widest - width)[:, None]
    if present is not None:
        used &= present[:, None]
    return Part(octets, used)


def constructed(tag: bytes, parts: Sequence[Part], present: Mask | None = None) -> list[Part]:
    """Wrap parts in a tag and a definite length of one to three octets.

    Where `present` is False the inner parts must be absent too; their length is then not written.
    """
    length = total_widths(parts)
    octets = np.stack(
        [np.where(length < 256, 0x81, 0x82), length >> 8, length & 0xFF], axis=1
    ).astype(np.uint8)
    used = np.stack([length >= 128, length >= 256, np.ones(len(length), np.bool_)], axis=1)
    if present is not None:
        used &= present[:, None]
    return [constant(tag, present), Part(octets, used), *parts]


def total_widths(parts: Sequence[Part]) -> Int64:
    """Sum the octets of all parts per record."""
    total = np.zeros(1, np.int64)
    for part in parts:
        total = total + part.widths()
    return total


def render(parts: Sequence[Part], records: int) -> tuple[bytes, Int64]:
    """Lay the records back to back.

    Returns
    -------
    bytes : all records in order.
    (records,) int64 : the length of each. [octets]
    """
    width = sum(part.octets.shape[1] for part in parts)
    octets = np.empty((records, width), np.uint8)
    used = np.empty((records, width), np.bool_)
    left = 0
    for part in parts:
        right = left + part.octets.shape[1]
        octets[:, left:right] = part.octets
        used[:, left:right] = part.used
        left = right
    return octets[used].tobytes(), used.sum(axis=1, dtype=np.int64)
