"""Rows of records as sorting works on them, and as parts remember them while they wait.

Prices that events bring are with the rows of the files that have them, and nowhere else: no record
that brings a price comes in parts, so a part that waits has none to remember.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mediation.partials import chain_keys, is_last
from mediation.policy import Policy
from mediation.records import PRICES, Columns, Decoded, Int64

# What a part must remember while it waits, per row of its record.
KEPT = (
    "file_id", "record_no", "part_no", "offset", "length", "kind", "imsi", "msisdn", "other",
    "other_text", "started_at", "duration_s", "octets", "rating_group", "chain_seq", "chain_key",
    "event_base", "is_last", "held_part_id",
)  # fmt: skip
_TEXT = {"other_text": "|S24"}


def waiting_columns(contents: list[dict[str, list[Any]]]) -> Columns:
    """Make columns of what waiting parts remember; no part at all gives columns of no rows."""
    types = {name: _TEXT.get(name, "<i8") for name in KEPT}
    return {
        name: np.concatenate(
            [np.zeros(0, kind)]
            + [np.array([_packed(v) for v in content[name]], kind) for content in contents]
        )
        for name, kind in types.items()
    }


def join_rows(blocks: Sequence[Columns]) -> Columns:
    """Lay rows end to end, with prices where a block has them; the others then bring none."""
    types = {name: _TEXT.get(name, "<i8") for name in KEPT}
    if any("service" in rows for rows in blocks):
        types |= PRICES
    return {
        name: np.concatenate([
            np.zeros(0, kind),
            *(rows.get(name, np.zeros(len(rows["file_id"]), kind)) for rows in blocks),
        ])
        for name, kind in types.items()
    }  # fmt: skip


def _packed(value: Any) -> Any:
    return value.encode("latin-1") if isinstance(value, str) else value


def kept_rows(decoded: Decoded, keys: Int64, file_id: int, policy: Policy) -> Columns:
    """Give the rows of a file, with the prices that it brings; `keys` are of its records."""
    rows = decoded.columns
    record = np.cumsum(rows["part_no"] == 1) - 1
    made: Columns = {
        "file_id": np.full(len(record), file_id, np.int64),
        "octets": rows["octets_up"] + rows["octets_down"],
        "chain_key": chain_keys(rows, decoded.nodes),
        "event_base": keys[:, 0][record],
        "is_last": is_last(rows, policy),
        "held_part_id": np.full(len(record), -1, np.int64),
    }
    kept = {
        name: (made[name] if name in made else rows[name]).astype(_TEXT.get(name, "<i8"))
        for name in KEPT
    }
    return kept | {name: decoded.details[name] for name in PRICES if name in decoded.details}
