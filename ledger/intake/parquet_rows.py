"""The rows of Parquet files, whoever made them: damage is a refusal, and memory has a bound.

A few octets of Parquet may stand for any number of rows and any length of text, and its readers
answer damage with errors of many kinds. Imported late: Arrow takes a tenth of a second.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ledger.errors import Invalid
from ledger.intake.records import MAX_RECORD_BYTES, RecordMalformed

_ROWS_AT_A_TIME = 8_192
_AGAIN = "Write the file again."
# What Arrow says of damaged, cut off or made-up files; its errors have no class in common.
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)

Cells = dict[str, Any]


def opened(stream: BinaryIO) -> parquet.ParquetFile:
    """Open a file. Raises `Invalid` where it is damaged, or a column holds no plain values."""
    try:
        file = parquet.ParquetFile(stream)
        schema = file.schema_arrow
        # Repeated texts are left as they stand in the file: only so can their size be told first.
        texts = [field.name for field in schema if _is_text(field.type)]
        stream.seek(0)
        file = parquet.ParquetFile(stream, read_dictionary=texts)
    except _DAMAGE as error:
        raise _damaged(error) from error
    for field in schema:
        if not _is_plain(field.type):
            raise Invalid(
                f"column {field.name} is of type {field.type}, which is no text, number or day. "
                "Write it as text.",
                column=field.name,
            )
    return file


def rows_of(file: parquet.ParquetFile) -> Iterator[tuple[int, Cells | RecordMalformed]]:
    """Number the rows from 1; a refusal stands for a row of which a cell cannot be read.

    Raises
    ------
    Invalid : the file is damaged; says behind which row.
    """
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS_AT_A_TIME):
            for part in _parts(batch):
                for row in _cells(part):
                    number += 1
                    yield number, row
    except _DAMAGE as error:
        raise _damaged(error, f" behind row {number}") from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether a cell is one value that says what it is: octets may be of any letters."""
    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    return bool(
        _is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )  # fmt: skip


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halve a batch until its texts take no more memory than one record may."""
    if batch.num_rows > 1 and sum(map(_octets, batch.columns)) > MAX_RECORD_BYTES:
        half = batch.num_rows // 2
        yield from _parts(batch.slice(0, half))
        yield from _parts(batch.slice(half))
    else:
        yield batch


def _octets(column: pa.Array) -> int:
    """Count the octets of the texts of a column, each as often as it comes."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0) if _is_text(column.type) else 0
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)


def _cells(batch: pa.RecordBatch) -> list[Any]:
    """Give the rows of a batch, one by one where a value in it cannot be read."""
    try:
        rows: list[Any] = batch.to_pylist()
    except (ValueError, OverflowError):
        return [_row(batch.slice(place, 1)) for place in range(batch.num_rows)]
    return rows


def _row(batch: pa.RecordBatch) -> Cells | RecordMalformed:
    row: Cells = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[0].as_py()
        except (ValueError, OverflowError) as error:
            return RecordMalformed(f"{name} cannot be read: {error}.", column=name)
    return row


def _damaged(error: BaseException, where: str = "") -> Invalid:
    """Say what Arrow says, in one line."""
    said = " ".join(str(error).split())[:300].rstrip(". ") or type(error).__name__
    return Invalid(f"it is no whole Parquet file{where}: {said}. {_AGAIN}")
