"""Counters of allowances as the vault keeps them: who was granted how much, and what is used.

Owners are named by their ids and allowances by their names, so that the counters of a run can be
read into any later batch, whatever its codes.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from mediation.rated_files import Owners
from mediation.usage_files import write_table
from rating.allowances import NOT_STATED, Counters
from rating.tariff import TariffBook
from rating.top_ups import TopUps
from rating.usage import Bool, Int32, Int64

ALWAYS = np.iinfo(np.int64).min


def write_counters(counters: Counters, book: TariffBook, owners: Owners, top_ups: TopUps) -> bytes:
    """Write counters as they stand after a run, and what was bought in the month.

    A member's own use of what is shared is a row of the subscription, marked `of_member`. A top-up
    is a row that says since when it is there; counters have always been.
    """
    count = max(len(book.allowances), 1)
    index, of_member = counters.allowance % count, counters.allowance >= count
    shared = _shared(book)[index] & ~of_member
    owner = np.zeros(len(counters), np.int64)
    owner[shared] = owners.payer[counters.subscription[shared]]
    owner[~shared] = owners.subscription[counters.subscription[~shared]]
    names = np.array([*book.allowances, ""])
    columns = {
        "owner": owner,
        "shared": shared,
        "of_member": of_member,
        "allowance": names[index],
        "month": counters.month,
        "granted": counters.granted,
        "used": counters.used,
    }
    if len(top_ups):
        bought = _bought(top_ups, book, owners)
        columns["since"] = np.full(len(counters), ALWAYS)
        columns = {name: np.concatenate([columns[name], bought[name]]) for name in columns}
    return write_table({
        name: pa.array(column.tolist(), pa.string()) if name == "allowance" else pa.array(column)
        for name, column in columns.items()
    })  # fmt: skip


def _bought(top_ups: TopUps, book: TariffBook, owners: Owners) -> dict[str, Any]:
    """Lay out what was bought as rows of counters."""
    shared = book.included.shared[top_ups.allowance]
    owner = np.zeros(len(top_ups), np.int64)
    owner[shared] = owners.payer[top_ups.owner[shared]]
    owner[~shared] = owners.subscription[top_ups.owner[~shared]]
    return {
        "owner": owner,
        "shared": shared,
        "of_member": np.zeros(len(top_ups), np.bool_),
        "allowance": np.array(book.allowances)[top_ups.allowance],
        "month": top_ups.month,
        "granted": top_ups.quantity,
        "used": np.zeros(len(top_ups), np.int64),
        "since": top_ups.start,
    }


def read_grants(table: pa.Table, book: TariffBook, owners: Owners) -> Counters:
    """Read what was granted before the first event; owners that are unknown are left out."""
    owner, allowance, month, granted, since = _rows(table, book, owners)
    stated = (granted != NOT_STATED) & (allowance >= 0) & (owner >= 0) & (since == ALWAYS)
    return Counters.grants(owner[stated], allowance[stated], month[stated], granted[stated])


def read_top_ups(table: pa.Table, book: TariffBook, owners: Owners) -> TopUps:
    """Read what was bought; owners that are unknown are left out."""
    owner, allowance, month, quantity, since = _rows(table, book, owners)
    mine = (since != ALWAYS) & (allowance >= 0) & (owner >= 0)
    return TopUps(owner[mine], allowance[mine], month[mine], since[mine], quantity[mine])


def _rows(
    table: pa.Table, book: TariffBook, owners: Owners
) -> tuple[Int32, Int32, Int32, Int64, Int64]:
    """Give owner, allowance, month, quantity and since when, in codes; -1 where unknown."""
    names = {name: number for number, name in enumerate(book.allowances)}
    allowance = np.array([names.get(n, -1) for n in table["allowance"].to_pylist()], np.int32)
    column = {name: table[name].to_numpy() for name in ("owner", "shared", "granted", "month")}
    owner = np.where(
        column["shared"].astype(np.bool_), owners.payer_codes(column["owner"]),
        owners.subscription_codes(column["owner"]),
    ).astype(np.int32)  # fmt: skip
    # Runs in whose month nothing was bought, and old ones, do not say since when.
    since = np.full(len(owner), ALWAYS)
    if "since" in table.column_names:
        since = table["since"].to_numpy()
    return owner, allowance, column["month"].astype(np.int32), column["granted"], since


def _shared(book: TariffBook) -> Bool:
    """Say which allowances are shared; the last is none at all."""
    return np.append(book.included.shared, False)
