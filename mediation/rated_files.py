"""Rated events as the vault keeps them: the place of each in its file, its price and its charge."""

from typing import Any

import numpy as np
import pyarrow as pa

from mediation.usage_files import write_table
from rating.pipeline import Rated
from rating.tariff import TariffBook


def write_rated(usage: pa.Table, rated: Rated, book: TariffBook, rows: Any) -> bytes:
    """Write rated events as Parquet.

    Parameters
    ----------
    usage : accepted usage in the order of `rated`.
    rows : which of them, as an index array.
    """
    components = np.array([*book.components, ""])
    zones = np.array([*book.zones, ""])
    place = ("event_key", "file_id", "record_no", "part_no", "subscription_id",
             "billing_account_id", "offering", "started_at", "quantity", "usage_type")  # fmt: skip
    columns = {name: usage[name].take(pa.array(rows)).combine_chunks() for name in place}
    columns |= {
        "component": pa.array(components[rated.component[rows]].tolist()),
        "zone": pa.array(zones[rated.zone[rows]].tolist()),
        "amount_micro": pa.array(rated.amount_micro[rows]),
        "billed_units": pa.array(rated.billed_units[rows]),
        "free_quantity": pa.array(rated.free_quantity[rows]),
        "rate_row": pa.array(rated.rate_row[rows]),
        "reason": pa.array(rated.reason[rows]),
    }
    return write_table(columns)
