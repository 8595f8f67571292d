"""Explanations of charges that are no events, as the vault keeps them: codes, row by row.

A run's file names each charge as every charge is named, whichever bill it came on.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mediation.usage_files import write_table
from rating.charges import ChargeKey
from rating.flat_codes import FlatCode

_NAMED = ("billing_account_id", "subscription_id", "component", "kind", "charge_ref",
          "price_basis")  # fmt: skip


def write_flat(codes: Iterable[tuple[ChargeKey, FlatCode]]) -> bytes:
    """Write codes with the charges that they explain, in an order of their own."""
    rows = sorted(
        (*(getattr(key, name) for name in _NAMED), code.kind, code.label, code.numbers,
         code.amount_micro)
        for key, code in codes
    )  # fmt: skip
    names = (*_NAMED, "code", "label", "numbers", "amount_micro")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    kinds = {"billing_account_id": pa.int64(), "subscription_id": pa.int64(),
             "numbers": pa.list_(pa.int64()), "amount_micro": pa.int64()}  # fmt: skip
    return write_table({
        name: pa.array(list(columns.get(name, ())), kinds.get(name, pa.string()))
        for name in names
    })  # fmt: skip


def codes_of_charge(table: pa.Table, key: Any) -> Sequence[FlatCode]:
    """Read the codes of a charge; `key` has the columns of a charge key."""
    mine = table
    for name in _NAMED:
        mine = mine.filter(pc.equal(mine[name], getattr(key, name)))
    return [
        FlatCode(row["code"], row["label"], tuple(row["numbers"]), row["amount_micro"])
        for row in mine.to_pylist()
    ]
