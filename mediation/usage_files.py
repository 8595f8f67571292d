"""What mediation keeps in the vault, as Parquet: record keys, outcomes, accepted usage.

Parquet is written with fixed settings, so that the same content gives the same bytes and the vault
keeps it once.
"""

from collections.abc import Collection
from io import BytesIO
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mediation.outcomes import REASONS, Bucket
from mediation.records import PRICES, Columns, Int64
from mediation.screening import KeyBlock
from mediation.sorting import Outcomes
from rating.usage import NO_PRICE

USAGE_COLUMNS = {
    "event_key": "<i8",
    "file_id": "<i8",
    "record_no": "<i8",
    "part_no": "<i8",
    "offset": "<i8",
    "length": "<i8",
    "subscription_id": "<i8",
    "billing_account_id": "<i8",
    "usage_type": "<i2",
    "started_at": "<i8",
    "quantity": "<i8",
    "called": "<i8",
    "rating_group": "<i4",
    "seconds": "<i8",
    "octets": "<i8",
}

# The price that an event brings; files that bring none lack the columns, events have nothing there.
PRICE_COLUMNS = tuple(PRICES)


def write_table(columns: dict[str, pa.Array]) -> bytes:
    """Write columns as Parquet bytes; the same columns give the same bytes."""
    sink = BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def write_keys(block: KeyBlock) -> bytes:
    """Write the keys of a file's fresh records."""
    return write_table(
        {
            "key_high": pa.array(block.keys[:, 0]),
            "key_low": pa.array(block.keys[:, 1]),
            "digest_high": pa.array(block.digests[:, 0]),
            "digest_low": pa.array(block.digests[:, 1]),
            "record_no": pa.array(block.record_no),
        }
    )


def read_keys(stream: BinaryIO, file_id: int) -> KeyBlock:
    """Read a block of keys; `file_id` says whose it is."""
    table = pq.read_table(stream)
    column = {name: table[name].to_numpy() for name in table.column_names}
    return KeyBlock(
        np.stack([column["key_high"], column["key_low"]], axis=1),
        np.stack([column["digest_high"], column["digest_low"]], axis=1),
        np.full(table.num_rows, file_id, np.int64),
        column["record_no"],
    )


def read_key_halves(stream: BinaryIO) -> Int64:
    """Read the first 64 bits of the keys of a block, in no order that matters."""
    halves: Int64 = pq.read_table(stream, columns=["key_high"])["key_high"].to_numpy()
    return halves


def write_outcomes(outcomes: Outcomes) -> bytes:
    """Write the outcome of each record."""
    return write_table(
        {
            "record_no": pa.array(outcomes.record_no),
            "offset": pa.array(outcomes.offset),
            "length": pa.array(outcomes.length),
            "bucket": pa.array([Bucket(int(code)).label for code in outcomes.bucket]),
            "reason": pa.array([REASONS[code] for code in outcomes.reason]),
            "seconds": pa.array(outcomes.seconds),
            "octets": pa.array(outcomes.octets),
            "of_file": pa.array(outcomes.of_file),
            "of_record": pa.array(outcomes.of_record),
        }
    )


def write_usage(usage: Columns, offering_names: tuple[str, ...]) -> bytes:
    """Write accepted usage; offerings are written by name."""
    columns = {name: pa.array(usage[name].astype(kind)) for name, kind in USAGE_COLUMNS.items()}
    columns["called_text"] = pa.array(
        [text.decode("latin-1") for text in usage["called_text"].tolist()]
    )
    columns["offering"] = pa.DictionaryArray.from_arrays(
        pa.array(usage["offering"].astype(np.int32)), pa.array(list(offering_names), pa.string())
    ).dictionary_decode()
    return write_table(columns | _prices(usage))


def _prices(usage: Columns) -> dict[str, pa.Array]:
    """Lay out the prices that events bring; what is not said is null."""
    if "service" not in usage:
        return {}
    service = usage["service"]
    priced = (service != b"") & (usage["price_micro"] != NO_PRICE)
    return {
        "service": _texts(service),
        "price_micro": pa.array(usage["price_micro"], mask=~priced),
        "currency": _texts(usage["currency"]),
        "with_vat": pa.array(usage["with_vat"] == 1, mask=~priced),
    }


def _texts(column: NDArray[np.bytes_]) -> pa.Array:
    return pa.array([text.decode("utf-8") for text in column.tolist()], mask=column == b"")


def read_known(stream: BinaryIO, columns: Collection[str]) -> pa.Table:
    """Read those of some columns that are there."""
    file = pq.ParquetFile(stream)
    return file.read(columns=[name for name in file.schema_arrow.names if name in columns])


def read_parquet(stream: BinaryIO, columns: list[str] | None = None) -> pa.Table:
    """Read Parquet, all columns or some."""
    return pq.read_table(stream, columns=columns)
