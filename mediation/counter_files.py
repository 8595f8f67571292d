"""Counters of allowances as the vault keeps them: who was granted how much, and what is used.

Owners are named by their ids and allowances by their names, so that the counters of a run can be
read into any later batch, whatever its codes.
"""

import numpy as np
import pyarrow as pa

from mediation.rated_files import Owners
from mediation.usage_files import write_table
from rating.allowances import NOT_STATED, Counters
from rating.tariff import TariffBook
from rating.usage import Bool


def write_counters(counters: Counters, book: TariffBook, owners: Owners) -> bytes:
    """Write counters as they stand after a run.

    A member's own use of what is shared is a row of the subscription, marked `of_member`.
    """
    count = max(len(book.allowances), 1)
    index, of_member = counters.allowance % count, counters.allowance >= count
    shared = _shared(book)[index] & ~of_member
    owner = np.zeros(len(counters), np.int64)
    owner[shared] = owners.payer[counters.subscription[shared]]
    owner[~shared] = owners.subscription[counters.subscription[~shared]]
    names = np.array([*book.allowances, ""])
    return write_table(
        {
            "owner": pa.array(owner),
            "shared": pa.array(shared),
            "of_member": pa.array(of_member),
            "allowance": pa.array(names[index].tolist(), pa.string()),
            "month": pa.array(counters.month),
            "granted": pa.array(counters.granted),
            "used": pa.array(counters.used),
        }
    )


def read_grants(table: pa.Table, book: TariffBook, owners: Owners) -> Counters:
    """Read what was granted before the first event; owners that are unknown are left out."""
    names = {name: number for number, name in enumerate(book.allowances)}
    allowance = np.array([names.get(n, -1) for n in table["allowance"].to_pylist()], np.int32)
    column = {name: table[name].to_numpy() for name in ("owner", "shared", "granted", "month")}
    owner = np.where(
        column["shared"].astype(np.bool_), owners.payer_codes(column["owner"]),
        owners.subscription_codes(column["owner"]),
    )  # fmt: skip
    stated = (column["granted"] != NOT_STATED) & (allowance >= 0) & (owner >= 0)
    return Counters.grants(
        owner[stated].astype(np.int32), allowance[stated],
        column["month"][stated].astype(np.int32), column["granted"][stated],
    )  # fmt: skip


def _shared(book: TariffBook) -> Bool:
    """Say which allowances are shared; the last is none at all."""
    return np.append(book.included.shared, False)
