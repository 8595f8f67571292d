"""The verbs of the rating room: load tariffs, keep charges, remember runs. Nothing commits here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.errors import Conflict, Invalid, NotFound
from rating.charges import Booked, ChargeKey
from rating.models import RatingRun, TariffBookRow
from rating.tariff import TariffBook, compile_tariff, parse_tariff
from rating.tariff_file import read_tariff
from rating.usage import Int64


class TariffNotFound(NotFound):
    """No tariff book is in force on the day, or several are and none is named."""

    title = "Tariff book not found"


class TariffVersionTaken(Conflict):
    """Another content was loaded under this name and version, or for this first day."""

    title = "Tariff version is taken"


class ChargeKeysUnknown(NotFound):
    """Deltas name charge keys that do not exist."""

    title = "Charge key not found"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of loading a tariff file."""

    book: TariffBook
    new: bool


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as the books have it: its key, and what its deltas sum to."""

    charge_key_id: int
    key: ChargeKey
    micro: int
    minor_net: int
    minor_gross: int  # 0 on net keys
    events: int
    quantity: int

    @property
    def amount_minor(self) -> int:
        """Give the rounded amount in the basis of the key: gross with VAT, net without."""
        return self.minor_gross if self.key.price_basis == "gross" else self.minor_net


def load_tariff(session: Session, source: bytes) -> Loaded:
    """Keep a tariff file as an immutable book; the same content again is the same book.

    Raises
    ------
    TariffInvalid : the file breaks the format.
    TariffVersionTaken : its name and version, or name and first day, belong to another content.
    """
    book = parse_tariff(source)
    tariff = book.tariff
    # Two loads at once: the second waits for the first, then finds what it did.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('tariff_book'))"))
    if session.scalar(select(TariffBookRow).filter_by(content_hash=book.content_hash)):
        return Loaded(book, new=False)
    taken = session.scalar(
        select(TariffBookRow)
        .filter_by(name=tariff.name)
        .where(
            (TariffBookRow.version == tariff.version)
            | (TariffBookRow.valid_from == tariff.valid_from)
        )
    )
    if taken:
        raise TariffVersionTaken(
            f"{taken.name}/{taken.version} valid from {taken.valid_from} is loaded with other "
            "content. Give the changed tariff a new version and a first day of its own.",
            loaded_hash=taken.content_hash,
            content_hash=book.content_hash,
        )
    session.add(
        TariffBookRow(
            name=tariff.name,
            version=tariff.version,
            valid_from=tariff.valid_from,
            content_hash=book.content_hash,
            source=source.decode(),
        )
    )
    session.flush()
    return Loaded(book, new=True)


def tariff_books(session: Session) -> list[TariffBookRow]:
    """List the loaded books, by name and first day."""
    order = (TariffBookRow.name, TariffBookRow.valid_from)
    return list(session.scalars(select(TariffBookRow).order_by(*order)))


def tariff_book(session: Session, on: date, name: str | None = None) -> TariffBook:
    """Give the book in force on a day: the last whose first day has come.

    Parameters
    ----------
    name : which tariff; may be left out while only one is loaded.

    Raises
    ------
    TariffNotFound : none is in force, or several names are loaded and none was given.
    """
    query = select(TariffBookRow).where(TariffBookRow.valid_from <= on)
    rows = session.scalars(query.order_by(TariffBookRow.valid_from.desc())).all()
    names = sorted({row.name for row in rows})
    if name is None and len(names) > 1:
        raise TariffNotFound(f"Several tariffs are in force on {on}: {', '.join(names)}; name one.")
    row = next((row for row in rows if name in (None, row.name)), None)
    if row is None:
        raise TariffNotFound(
            f"No tariff book{f' {name}' if name else ''} is valid on {on}. "
            "Load one with hovedbok rating load FILE."
        )
    return _compiled(row.source, row.content_hash)


def tariff_book_by_hash(session: Session, content_hash: str) -> TariffBook:
    """Give the book that a rating run or a rated file names; raises `TariffNotFound`."""
    row = session.scalar(select(TariffBookRow).filter_by(content_hash=content_hash))
    if row is None:
        raise TariffNotFound(f"No tariff book has the content hash {content_hash}.")
    return _compiled(row.source, row.content_hash)


@lru_cache(maxsize=8)
def _compiled(source: str, content_hash: str) -> TariffBook:
    book = compile_tariff(read_tariff(source.encode()))
    if book.content_hash != content_hash:
        raise Invalid(
            f"Tariff book {book.label} reads as {book.content_hash}, stored was {content_hash}."
        )
    return book


_KEY_COLUMNS = tuple(column.name for column in fields(ChargeKey))
_DESCRIPTIVE = ("text", "unit")
_NATURAL = tuple(name for name in _KEY_COLUMNS if name not in _DESCRIPTIVE)
_SQL_TYPES = {
    "billing_account_id": "bigint", "party_id": "bigint", "subscription_id": "bigint",
    "vat_rate_bp": "integer",
}  # fmt: skip
# jsonb travels as text: an array of jsonb has no binary form that every driver shares.
_UNNEST = ", ".join(f"CAST(:{name} AS {_SQL_TYPES.get(name, 'text')}[])" for name in _KEY_COLUMNS)
_SELECTED = ", ".join(
    f"CAST(g.{name} AS jsonb) AS {name}" if name == "dimensions" else f"g.{name}"
    for name in _KEY_COLUMNS
)
_INSERT_KEYS = f"""
INSERT INTO charge_key ({", ".join(_KEY_COLUMNS)})
SELECT {_SELECTED} FROM unnest({_UNNEST}) WITH ORDINALITY
    AS g({", ".join(_KEY_COLUMNS)}, position)
ORDER BY g.position
ON CONFLICT DO NOTHING
"""
_MATCH = " AND ".join(
    f"k.{name} = CAST(g.{name} AS jsonb)" if name == "dimensions" else f"k.{name} = g.{name}"
    for name in _NATURAL
)
_FIND_KEYS = f"""
SELECT g.position, k.charge_key_id FROM unnest({_UNNEST}) WITH ORDINALITY
    AS g({", ".join(_KEY_COLUMNS)}, position)
JOIN charge_key k ON {_MATCH}
"""


def ensure_charge_keys(session: Session, keys: Sequence[ChargeKey]) -> Int64:
    """Find or make charge keys and lock them until the transaction ends.

    Keys are made and locked in one sorted order, so that two batches over the same keys wait for
    each other and never deadlock. What stands on the keys cannot change while they are locked.

    Returns
    -------
    (n,) int64 ids, in the order of `keys`.
    """
    natural = [_natural(key) for key in keys]
    position = {name: number for number, name in enumerate(sorted(set(natural)))}
    first = dict(zip(reversed(natural), reversed(keys), strict=True))
    ordered = [first[name] for name in position]
    if not ordered:
        return np.zeros(0, np.int64)
    columns = {name: [_sql_value(key, name) for key in ordered] for name in _KEY_COLUMNS}
    session.execute(text(_INSERT_KEYS), columns)
    ids = np.zeros(len(ordered), np.int64)
    for place, charge_key_id in session.execute(text(_FIND_KEYS), columns):
        ids[place - 1] = charge_key_id
    lock_charge_keys(session, ids)
    return ids[np.array([position[name] for name in natural], np.int64)]


def lock_charge_keys(session: Session, ids: Int64) -> None:
    """Lock charge keys in order of id until the transaction ends.

    Raises
    ------
    ChargeKeysUnknown : an id does not exist.
    """
    wanted = np.unique(ids).tolist()
    locked = session.scalar(text("SELECT rating_lock_charge_keys(:ids)"), {"ids": wanted})
    if locked != len(wanted):
        raise ChargeKeysUnknown(f"{len(wanted) - (locked or 0)} of {len(wanted)} do not exist.")


def charge_totals(session: Session, ids: Int64) -> Booked:
    """Sum what is booked on charge keys, in the order of `ids`; nothing yet is zero."""
    rows = session.execute(
        text(
            "SELECT charge_key_id, sum(micro)::bigint, sum(minor_net)::bigint, "
            "sum(minor_gross)::bigint FROM charge_delta "
            "WHERE charge_key_id = ANY(:ids) GROUP BY charge_key_id"
        ),
        {"ids": np.unique(ids).tolist()},
    ).all()
    table = np.array(sorted(tuple(row) for row in rows), np.int64).reshape(-1, 4)
    booked = Booked.nothing(len(ids))
    if len(table):
        at = np.minimum(np.searchsorted(table[:, 0], ids), len(table) - 1)
        known = table[at, 0] == ids
        for column, sums in enumerate((booked.micro, booked.minor_net, booked.minor_gross), 1):
            sums[known] = table[at[known], column]
    return booked


def add_charge_deltas(
    session: Session,
    batch_id: int | None,
    ids: Int64,
    added: Booked,
    events: Int64,
    quantity: Int64,
) -> int:
    """Write what a batch adds to its charges, by COPY, in the batch's own transaction.

    No batch: what is added comes to no øre, so there was nothing to post. Rows in which everything
    is zero are not written. Returns the number of rows written.
    """
    columns = (ids, added.micro, added.minor_net, added.minor_gross, events, quantity)
    stacked = np.stack(columns, axis=1)
    kept = stacked[stacked[:, 1:].any(axis=1)]
    statement = (
        "COPY charge_delta (batch_id, charge_key_id, micro, minor_net, minor_gross, events, "
        "quantity) FROM STDIN"
    )
    with driver_connection(session).cursor() as cursor, cursor.copy(statement) as copy:
        for row in kept.tolist():
            copy.write_row((batch_id, *row))
    return len(kept)


def charges_for_billing(
    session: Session,
    book_code: str,
    billing_period: str,
    billing_account_ids: Sequence[int] | None = None,
) -> list[Charge]:
    """List the charges of a billing period whose amount is not zero, account by account.

    Parameters
    ----------
    billing_account_ids : only these accounts; None for all.
    """
    return _charges(
        session,
        "book_code = :book_code AND billing_period = :period AND (minor_net, minor_gross) <> (0, 0)"
        " AND (CAST(:accounts AS bigint[]) IS NULL OR billing_account_id = ANY(:accounts))",
        book_code=book_code,
        period=billing_period,
        accounts=None if billing_account_ids is None else list(billing_account_ids),
    )


def charges_of_batch(session: Session, batch_id: int) -> list[Charge]:
    """List the charges a posting batch added to, as they stand now."""
    return _charges(
        session,
        "charge_key_id IN (SELECT charge_key_id FROM charge_delta WHERE batch_id = :batch_id)",
        batch_id=batch_id,
    )


def charges_of_usage(session: Session, book_code: str, usage_period: str) -> list[Charge]:
    """List every charge for use in a month, whichever bill it stands on, also those at zero."""
    return _charges(
        session,
        "book_code = :book_code AND usage_period = :period",
        book_code=book_code,
        period=usage_period,
    )


def lock_charges(session: Session, book_code: str) -> None:
    """Let one at a time decide what stands on which bill, until the transaction ends.

    Rating asks which charges are billed and then adds to the others; billing takes charges and
    then they are billed. Neither may happen between the two halves of the other.
    """
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"charges/{book_code}"},
    )


def later_bills(session: Session, book_code: str, period: str) -> list[tuple[int, int, str]]:
    """List the charges that stand on bills of later periods: key, billing account, period."""
    query = text(
        "SELECT charge_key_id, billing_account_id, billing_period FROM charge_key"
        " WHERE book_code = :book_code AND billing_period > :period"
    )
    rows = session.execute(query, {"book_code": book_code, "period": period})
    return [(row[0], row[1], row[2]) for row in rows]


def last_run(session: Session, period: str) -> RatingRun | None:
    """Give the run that says where a period stands, if it was ever rated."""
    newest = select(RatingRun).filter_by(period=period).order_by(RatingRun.run_id.desc())
    return session.scalar(newest.limit(1))


def rating_runs(session: Session, period: str) -> list[RatingRun]:
    """List the runs of a period, oldest first."""
    return list(
        session.scalars(select(RatingRun).filter_by(period=period).order_by(RatingRun.run_id))
    )


def record_run(
    session: Session,
    period: str,
    inputs_hash: str,
    tariff_hash: str,
    *,
    batch_id: int | None,
    rated_refs: list[Any],
    counts: dict[str, Any],
) -> RatingRun:
    """Remember a run: from now on it says where the period stands."""
    run = RatingRun(
        period=period,
        inputs_hash=inputs_hash,
        tariff_hash=tariff_hash,
        batch_id=batch_id,
        rated_refs=rated_refs,
        counts=counts,
    )
    session.add(run)
    session.flush()
    return run


def _charges(session: Session, condition: str, **parameters: Any) -> list[Charge]:
    columns = ", ".join(_KEY_COLUMNS)
    query = text(
        f"SELECT charge_key_id, micro, minor_net, minor_gross, events, quantity, {columns} "
        f"FROM charge WHERE {condition} ORDER BY billing_account_id, subscription_id, "
        "CASE kind WHEN 'recurring' THEN 1 WHEN 'one_off' THEN 2 ELSE 3 END, component, "
        "charge_key_id"
    )
    return [
        Charge(row[0], ChargeKey(**dict(zip(_KEY_COLUMNS, row[6:], strict=True))), *row[1:6])
        for row in session.execute(query, parameters)
    ]


def _natural(key: ChargeKey) -> tuple[Any, ...]:
    return tuple(_sql_value(key, name) for name in _NATURAL)


def _sql_value(key: ChargeKey, name: str) -> Any:
    value = getattr(key, name)
    return json.dumps(dict(value), sort_keys=True) if name == "dimensions" else value
