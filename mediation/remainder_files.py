"""What rolls over from a month into the next, as the vault keeps it: a fact of the run.

Owners are named by their ids and allowances by their names, so that the next month reads it
whatever its codes and its version of the tariff.
"""

import numpy as np
import pyarrow as pa

from mediation.rated_files import Owners
from mediation.usage_files import write_table
from rating.allowance_terms import name_at
from rating.allowances import Counters
from rating.rollover import Remainder
from rating.tariff import TariffBook


def write_remainder(left: Remainder, book: TariffBook, owners: Owners) -> bytes:
    """Write what a month leaves to the next."""
    shared = book.included.shared[left.allowance]
    names = [book.allowances[index] for index in left.allowance.tolist()]
    return write_table({
        "owner": pa.array(owners.ids_of(left.owner, shared)),
        "shared": pa.array(shared),
        "money": pa.array(book.included.money[left.allowance]),
        "allowance": pa.array(names, pa.string()),
        "age": pa.array(left.age),
        "quantity": pa.array(left.quantity),
    })  # fmt: skip


def read_remainder(table: pa.Table, book: TariffBook, owners: Owners, month: int) -> Counters:
    """Grant in a month what rolled over from the one before it.

    Parameters
    ----------
    month : the later one, year * 12 + month - 1.

    What the book does not let roll over, or not for so long, or counts otherwise, has lapsed. Who
    is not among the owners uses nothing and leaves nothing.
    """
    places = {
        (name, bool(book.included.shared[index]), bool(book.included.money[index])): index
        for index, name in enumerate(book.allowances)
    }
    rows = zip(
        *(table[name].to_pylist() for name in ("allowance", "age", "shared", "money")), strict=True
    )
    index = np.array(
        [places.get((name_at(name, age), *kind), -1) for name, age, *kind in rows], np.int32
    )
    ids = table["owner"].to_numpy()
    owner = owners.codes_of(ids, ids, table["shared"].to_numpy(zero_copy_only=False))
    known = (index >= 0) & (owner >= 0)
    return Counters.grants(
        owner[known], index[known], np.full(int(known.sum()), month, np.int32),
        table["quantity"].to_numpy()[known],
    )  # fmt: skip
