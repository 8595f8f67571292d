"""Rated events as the vault keeps them: the place of each in its file, its price, and why.

A row holds all that its price is a function of, and the explanation as codes, so that it can be put
into words (and computed again) from the row and the tariff book of its run alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.errors import DoesNotTie
from mediation.usage_files import PRICE_COLUMNS, write_table
from rating.allowances import Counters
from rating.codes import Codes, codes_of
from rating.explain import Explanation, explain_event
from rating.phrases import Language
from rating.pipeline import Rated
from rating.tariff import TariffBook
from rating.usage import (
    NO_PRICE,
    NO_SERVICE,
    OPTIONAL_TYPES,
    Bool,
    Int32,
    Int64,
    UsageBatch,
    check_usage,
)

# What is rated; subscription, pool and offering become codes of a batch.
RATED_COLUMNS = {
    "event_key": np.int64, "started_at": np.int64, "quantity": np.int64, "usage_type": np.int16,
    "called": np.int64, "rating_group": np.int32, "subscription": np.int32, "offering": np.int32,
    "pool": np.int32,
}  # fmt: skip
_PLACE = ("event_key", "file_id", "record_no", "part_no", "subscription_id", "billing_account_id",
          "offering", "started_at", "quantity", "usage_type", "called", "rating_group")  # fmt: skip
_PRICED = ("amount_micro", "billed_units", "free_quantity", "rate_row", "reason")
_POOL = "pool_id"  # whose balances it may draw on, where accounts share
_VAT = "vat_rate_bp"  # by which a price was brought to its offering's basis
_CODES = ("band", "step", "pieces", "setup_micro", "usage_micro", "rounding_micro", "limit_micro")


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """The ids behind the codes of batches: code n is the n-th id."""

    subscription: Int64  # increasing
    payer: Int64  # of billing accounts, and of agreements below zero; increasing

    def subscription_codes(self, ids: Int64) -> Int32:
        """Give the codes of subscriptions, -1 for unknown ones."""
        return _codes(self.subscription, ids)

    def payer_codes(self, ids: Int64) -> Int32:
        """Give the codes of billing accounts and agreements, -1 for unknown ones."""
        return _codes(self.payer, ids)

    def ids_of(self, codes: Int32, shared: Bool) -> Int64:
        """Give the ids of who holds balances: accounts where those are shared, else subscriptions.

        A code is known by its own kind alone, so the two are looked up apart.
        """
        ids = np.empty(len(codes), np.int64)
        ids[shared] = self.payer[codes[shared]]
        ids[~shared] = self.subscription[codes[~shared]]
        return ids

    def codes_of(self, subscription: Int64, payer: Int64, shared: Bool) -> Int32:
        """Give the codes of who holds balances, -1 for unknown ones; as `ids_of` has them.

        Where each row has one id, of whichever kind, both columns are that.
        """
        return np.where(shared, self.payer_codes(payer), self.subscription_codes(subscription))


def owners_of(*tables: pa.Table) -> Owners:
    """Number all subscriptions of some tables, and all who share, in order of their ids."""
    return Owners(*(
        np.unique(np.concatenate([
            np.zeros(0, np.int64),
            *(table[name].to_numpy() for table in tables for name in names
              if name in table.column_names and table.num_rows),
        ]))
        for names in (("subscription_id",), ("billing_account_id", _POOL))
    ))  # fmt: skip


def batch_of(table: pa.Table, book: TariffBook, owners: Owners) -> tuple[UsageBatch, Int64, Int64]:
    """Turn accepted usage, or rated events, into the columns that are rated.

    Returns
    -------
    batch : subscriptions and those who share get the codes of `owners`.
    subscription, payer : (n,) int64 ids of subscriptions and billing accounts.
    """
    if not table.num_rows:
        none = np.zeros(0, np.int64)
        return check_usage(**_typed(dict.fromkeys(RATED_COLUMNS, none))), none, none
    column = {
        name: table[name].to_numpy()
        for name in (*RATED_COLUMNS, "subscription_id", "billing_account_id")
        if name in table.column_names and name != "offering"
    }
    offering = table["offering"].combine_chunks().dictionary_encode()
    codes = book.offering_codes(offering.dictionary.to_pylist())
    subscription, payer = column["subscription_id"], column["billing_account_id"]
    column |= {
        "subscription": owners.subscription_codes(subscription),
        "pool": owners.payer_codes(
            table[_POOL].to_numpy() if _POOL in table.column_names else payer
        ),
        "offering": codes[offering.indices.to_numpy()],
        **_prices(table, book),
    }
    return check_usage(**_typed(column)), subscription, payer


def _typed(columns: Mapping[str, Any]) -> dict[str, Any]:
    types = RATED_COLUMNS | {name: OPTIONAL_TYPES[name] for name in (*PRICE_COLUMNS, _VAT)}
    return {
        name: np.asarray(columns[name]).astype(kind)
        for name, kind in types.items() if name in columns
    }  # fmt: skip


def _prices(table: pa.Table, book: TariffBook) -> dict[str, Any]:
    """Give the prices that events bring, in codes of a book; none where no file has the columns."""
    if "service" not in table.column_names:
        return {}
    service, services = event_names(table, "service")
    currency, currencies = event_names(table, "currency")
    found = {
        "service": np.append(book.service_codes(services), np.int32(NO_SERVICE))[service],
        "currency": np.append(book.currency_codes(currencies), np.int32(-1))[currency],
        "price_micro": _filled(table["price_micro"], pa.int64(), NO_PRICE),
        "with_vat": _filled(table["with_vat"], pa.int8(), 0) == 1,
    }
    if _VAT in table.column_names:
        found[_VAT] = _filled(table[_VAT], pa.int64(), -1)
    return found


def _filled(column: pa.ChunkedArray, kind: pa.DataType, absent: int) -> Any:
    """Give a column as an array; where nothing stands, what is absent."""
    return pc.fill_null(column.cast(kind), absent).to_numpy()


def event_names(table: pa.Table, column: str) -> tuple[Int32, list[str]]:
    """Give each event's service or currency as an index into the names that occur; -1 for none."""
    if column not in table.column_names:
        return np.full(table.num_rows, -1, np.int32), []
    found = table[column].cast(pa.string()).combine_chunks().dictionary_encode()
    codes = pc.fill_null(found.indices, -1).to_numpy().astype(np.int32)
    return codes, found.dictionary.to_pylist()


def write_rated(
    usage: pa.Table, batch: UsageBatch, rated: Rated, codes: Codes, book: TariffBook, rows: Any,
    beside: Mapping[str, np.ndarray] | None = None,
) -> bytes:  # fmt: skip
    """Write rated events as Parquet.

    Parameters
    ----------
    usage : accepted usage in the order of `batch`, `rated` and `codes`.
    rows : which of them, as an index array.
    beside : further columns of a run, in the same order.
    """
    components = np.array([*book.components, ""])
    zones = np.array([*book.zones, ""])
    kept = [*_PLACE, *(name for name in (*PRICE_COLUMNS, _POOL) if name in usage.column_names)]
    columns = {name: usage[name].take(pa.array(rows)).combine_chunks() for name in kept}
    if batch.vat_rate_bp is not None:
        columns[_VAT] = pa.array(batch.vat_rate_bp[rows])
    columns |= {
        "component": pa.array(components[rated.component[rows]].tolist()),
        "zone": pa.array(zones[rated.zone[rows]].tolist()),
        **{name: pa.array(getattr(rated, name)[rows]) for name in _PRICED},
        **{name: pa.array(getattr(codes, name)[rows]) for name in _CODES},
    }
    for layer in range(codes.drawn.shape[1]):
        columns[f"allowance_{layer}"] = pa.array(codes.allowance[rows, layer])
        columns[f"drawn_{layer}"] = pa.array(codes.drawn[rows, layer])
    columns["tariff_version"] = pa.array(np.full(len(rows), book.tariff.version, np.int32))
    columns |= {name: pa.array(column[rows]) for name, column in (beside or {}).items()}
    return write_table(columns)


def read_rated(table: pa.Table, book: TariffBook) -> tuple[UsageBatch, Rated]:
    """Read rated events back as they were rated; `book` is the one of their run."""
    batch, _, _ = batch_of(table, book, owners_of(table))
    column = {name: table[name].to_numpy() for name in _PRICED}
    layers = range(book.cells.allowances.shape[1])
    return batch, Rated(
        **column,
        component=_index(book.components, table["component"]),
        zone=_index(book.zones, table["zone"]),
        counters=Counters.none(),
        drawn=np.stack([table[f"drawn_{layer}"].to_numpy() for layer in layers], axis=1),
    )


def explain_row(row: Mapping[str, Any], book: TariffBook, language: Language) -> Explanation:
    """Put the codes of a rated event into words; `book` is the one of its run.

    Raises
    ------
    DoesNotTie : book and row do not give the stored amount, or another split of it.
    """
    batch, rated = read_rated(pa.Table.from_pylist([dict(row)]), book)
    codes = codes_of(batch, rated, book)
    for name in _CODES:
        if int(getattr(codes, name)[0]) != row[name]:
            raise DoesNotTie(
                f"Event {row['event_key']} was explained with {name} {row[name]}, book "
                f"{book.label} gives {int(getattr(codes, name)[0])}.",
                event_key=row["event_key"],
            )
    return explain_event(batch, rated, book, 0, language)


def _codes(known: Int64, asked: Int64) -> Int32:
    place = np.minimum(np.searchsorted(known, asked), max(len(known) - 1, 0))
    found = known[place] == asked if len(known) else np.zeros(len(asked), np.bool_)
    return np.where(found, place, -1).astype(np.int32)


def _index(names: Sequence[str], column: pa.ChunkedArray) -> Int32:
    encoded = column.combine_chunks().dictionary_encode()
    index = {name: number for number, name in enumerate(names)}
    codes = np.array([index.get(name, -1) for name in encoded.dictionary.to_pylist()], np.int32)
    found: Int32 = codes[encoded.indices.to_numpy()]
    return found
