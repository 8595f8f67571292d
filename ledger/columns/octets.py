"""Bytes of many rows at once: fields as columns in, one string of octets a row out.

A field is a column of byte strings, one a row, so rows may differ in length. The forms are those
that the hash of an entry and PostgreSQL's binary COPY have in common: big-endian integers, and
texts in UTF-8 with their length in front, 0xFFFFFFFF for an absent one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Column = Any  # pyarrow.LargeBinaryArray: pyarrow has no types of its own yet.
_LARGE = pa.large_binary()
_ABSENT = b"\xff\xff\xff\xff"


def joined(*fields: Column | bytes) -> Column:
    """Put fields side by side: one string a row. A bytes object is the same in every row."""
    columns = [pa.scalar(f, _LARGE) if isinstance(f, bytes) else f for f in fields]
    return pc.binary_join_element_wise(*columns, pa.scalar(b"", _LARGE))


def packed(form: Sequence[tuple[str, np.ndarray[Any, Any] | int]]) -> Column:
    """Pack integers of fixed width: pairs of a NumPy type such as ">i8" and its (n,) values."""
    types = np.dtype([(f"f{place}", width) for place, (width, _) in enumerate(form)])
    count = next(len(values) for _, values in form if not isinstance(values, int))
    rows = np.empty(count, types)
    for place, (_, values) in enumerate(form):
        rows[f"f{place}"] = values
    offsets = np.arange(count + 1, dtype=np.int64) * types.itemsize
    return _column(offsets, rows)


def optional(values: Any, width: str, present: bytes, absent: bytes) -> Column:
    """Write integers that may be absent: `present` and the integer, or `absent` alone."""
    if values.null_count == len(values):
        return pa.repeat(pa.scalar(absent, _LARGE), len(values))
    whole = packed([
        (f"V{len(present)}", np.full(len(values), np.void(present))),
        (width, values.fill_null(0).to_numpy()),
    ])  # fmt: skip
    if values.null_count == 0:
        return whole
    return pc.if_else(values.is_valid(), whole, pa.scalar(absent, _LARGE))


def prefixed(texts: Any) -> Column:
    """Write texts with their length in octets in front; a dictionary is written once and taken."""
    if isinstance(texts, pa.DictionaryArray):
        known = prefixed(texts.dictionary)
        taken = known.take(texts.indices)
        return taken if taken.null_count == 0 else taken.fill_null(_ABSENT)
    if texts.null_count == len(texts):
        return pa.repeat(pa.scalar(_ABSENT, _LARGE), len(texts))
    content = texts.cast(_LARGE)
    lengths = pc.binary_length(content).fill_null(-1).to_numpy()
    return joined(packed([(">i4", lengths)]), content.fill_null(b""))


def ends(column: Column) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Give where the rows of a column begin and end in its `buffer`: n + 1 offsets."""
    offsets = np.frombuffer(column.buffers()[1], np.int64)
    return offsets[column.offset : column.offset + len(column) + 1]


def buffer(column: Column) -> memoryview:
    """Give the octets that the rows of a column are cut out of."""
    content = column.buffers()[2]
    return memoryview(b"" if content is None else content)


def grouped(column: Column, firsts: np.ndarray[Any, Any]) -> Column:
    """Join neighbouring rows into one: `firsts` is where each group begins, and the end."""
    return _column(ends(column)[firsts], column.buffers()[2])


def scattered(column: Column, rows: Any, otherwise: bytes) -> Column:
    """Give row `rows[i]` of a column at place i, `otherwise` where that is absent."""
    if rows.null_count == len(rows):
        return pa.repeat(pa.scalar(otherwise, _LARGE), len(rows))
    taken = column.take(rows)
    return taken if taken.null_count == 0 else taken.fill_null(otherwise)


def _column(offsets: np.ndarray[Any, Any], content: Any) -> Column:
    octets = content if content is None or isinstance(content, pa.Buffer) else pa.py_buffer(content)
    held = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), octets]
    return pa.Array.from_buffers(_LARGE, len(offsets) - 1, held)
