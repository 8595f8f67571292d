"""Explanations of charges that are no events and of settlements, as the vault keeps them: codes.

A run's file names each charge as every charge is named, whichever bill it came on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mediation.usage_files import write_table
from rating.charges import ChargeKey
from rating.flat_codes import FlatCode
from rating.settled_codes import SettledCode

_NAMED = ("billing_account_id", "subscription_id", "component", "kind", "charge_ref",
          "price_basis")  # fmt: skip
_SETTLED = ("document", "component", "account", "holder", "dimensions", "currency")
_CODE = ("code", "label", "numbers", "amount_micro")
_KINDS = {"billing_account_id": pa.int64(), "subscription_id": pa.int64(),
          "numbers": pa.list_(pa.int64()), "amount_micro": pa.int64()}  # fmt: skip


def write_flat(codes: Iterable[tuple[ChargeKey, FlatCode]]) -> bytes:
    """Write codes with the charges that they explain, in an order of their own."""
    rows = sorted(
        (*(getattr(key, name) for name in _NAMED), code.kind, code.label, code.numbers,
         code.amount_micro)
        for key, code in codes
    )  # fmt: skip
    return _written((*_NAMED, *_CODE), rows)


def codes_of_charge(table: pa.Table, key: Any) -> Sequence[FlatCode]:
    """Read the codes of a charge; `key` has the columns of a charge key."""
    mine = table
    for name in _NAMED:
        mine = mine.filter(pc.equal(mine[name], getattr(key, name)))
    return [_code(row) for row in mine.to_pylist()]


def write_settled(codes: Iterable[SettledCode]) -> bytes:
    """Write the codes of a settlement, in the order in which they are read aloud."""
    rows = [
        (*(getattr(each, name) for name in _SETTLED), each.code.kind, each.code.label,
         each.code.numbers, each.code.amount_micro)
        for each in codes
    ]  # fmt: skip
    return _written((*_SETTLED, *_CODE), rows)


def read_settled(table: pa.Table) -> list[SettledCode]:
    """Read the codes of a settlement back."""
    return [
        SettledCode(code=_code(row), **{name: row[name] for name in _SETTLED})
        for row in table.to_pylist()
    ]


def _code(row: Mapping[str, Any]) -> FlatCode:
    return FlatCode(row["code"], row["label"], tuple(row["numbers"]), row["amount_micro"])


def _written(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> bytes:
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    return write_table({
        name: pa.array(list(columns.get(name, ())), _KINDS.get(name, pa.string()))
        for name in names
    })  # fmt: skip
