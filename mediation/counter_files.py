"""Counters of allowances as the vault keeps them: who was granted how much, and what is used.

Owners are named by their ids and allowances by their names, so that the counters of a run can be
read into any later batch, whatever its codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mediation.rated_files import Owners
from mediation.usage_files import write_table
from rating.allowances import NOT_STATED, Counters
from rating.tariff import TariffBook
from rating.top_ups import TopUps
from rating.usage import Bool, Int32, Int64

ALWAYS = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How the allowances of one version stand after its events."""

    counters: Counters
    book: TariffBook
    top_ups: TopUps  # what was bought in the month


def write_counters(standing: Sequence[Standing], owners: Owners) -> bytes:
    """Write the counters of a run, and what was bought in the month.

    A member's own use of what is shared is a row of the subscription, marked `of_member`. A top-up
    is a row that says since when it is there; counters have always been. Where the month has
    several versions of the tariff, each row says of which of them it is.
    """
    parts = [_stands(one, owners) for one in standing]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if (columns["since"] == ALWAYS).all():
        del columns["since"]
    if len(parts) > 1:
        sizes = [len(part["owner"]) for part in parts]
        columns["version"] = np.repeat(np.arange(len(parts)), sizes)
    return write_table({
        name: pa.array(column.tolist(), pa.string()) if name == "allowance" else pa.array(column)
        for name, column in columns.items()
    })  # fmt: skip


def _stands(standing: Standing, owners: Owners) -> dict[str, Any]:
    """Lay out the counters of one version, and behind them its top-ups."""
    counters, book = standing.counters, standing.book
    count = max(len(book.allowances), 1)
    index, of_member = counters.allowance % count, counters.allowance >= count
    shared = _shared(book)[index] & ~of_member
    columns = {
        "owner": owners.ids_of(counters.subscription, shared),
        "shared": shared,
        "of_member": of_member,
        "allowance": np.array([*book.allowances, ""])[index],
        "month": counters.month,
        "granted": counters.granted,
        "used": counters.used,
        "since": np.full(len(counters), ALWAYS),
    }
    bought = _bought(standing.top_ups, book, owners)
    return {name: np.concatenate([columns[name], bought[name]]) for name in columns}


def _bought(top_ups: TopUps, book: TariffBook, owners: Owners) -> dict[str, Any]:
    """Lay out what was bought as rows of counters."""
    shared = book.included.shared[top_ups.allowance]
    return {
        "owner": owners.ids_of(top_ups.owner, shared),
        "shared": shared,
        "of_member": np.zeros(len(top_ups), np.bool_),
        "allowance": np.array([*book.allowances, ""])[top_ups.allowance],
        "month": top_ups.month,
        "granted": top_ups.quantity,
        "used": np.zeros(len(top_ups), np.int64),
        "since": top_ups.start,
    }


def read_grants(
    table: pa.Table, book: TariffBook, owners: Owners, version: int = 0
) -> Counters:  # fmt: skip
    """Read what was granted before the first event; owners that are unknown are left out.

    Parameters
    ----------
    version : which of the versions of the month; `book` is that one.
    """
    owner, allowance, month, granted, since = _rows(table, book, owners, version)
    stated = (granted != NOT_STATED) & (allowance >= 0) & (owner >= 0) & (since == ALWAYS)
    return Counters.grants(owner[stated], allowance[stated], month[stated], granted[stated])


def read_top_ups(
    table: pa.Table, book: TariffBook, owners: Owners, version: int = 0
) -> TopUps:  # fmt: skip
    """Read what was bought; parameters as `read_grants` has them."""
    owner, allowance, month, quantity, since = _rows(table, book, owners, version)
    mine = (since != ALWAYS) & (allowance >= 0) & (owner >= 0)
    return TopUps(owner[mine], allowance[mine], month[mine], since[mine], quantity[mine])


def _rows(
    table: pa.Table, book: TariffBook, owners: Owners, version: int
) -> tuple[Int32, Int32, Int32, Int64, Int64]:
    """Give owner, allowance, month, quantity and since when, in codes; -1 where unknown."""
    # Runs of one version, and old ones, do not say of which.
    if "version" in table.column_names:
        table = table.filter(pc.equal(table["version"], version))
    names = {name: number for number, name in enumerate(book.allowances)}
    allowance = np.array([names.get(n, -1) for n in table["allowance"].to_pylist()], np.int32)
    column = {name: table[name].to_numpy() for name in ("owner", "shared", "granted", "month")}
    owner = owners.codes_of(column["owner"], column["owner"], column["shared"].astype(np.bool_))
    # Runs in whose month nothing was bought, and old ones, do not say since when.
    since = np.full(len(owner), ALWAYS)
    if "since" in table.column_names:
        since = table["since"].to_numpy()
    return owner, allowance, column["month"].astype(np.int32), column["granted"], since


def _shared(book: TariffBook) -> Bool:
    """Say which allowances are shared; the last is none at all."""
    return np.append(book.included.shared, False)
