"""Charges: their keys, what each batch adds to them, and the runs that did so."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ledger.db import driver_connection
from ledger.errors import NotFound
from rating.charges import Booked, ChargeKey
from rating.models import ChargeKeyRow, RatingRun
from rating.usage import Int64

Name = tuple[str, ...]


class ChargeKeysUnknown(NotFound):
    """Deltas name charge keys that do not exist."""

    title = "Charge key not found"


@dataclass(frozen=True, slots=True)
class Correcting:
    """Which run is put right, and why."""

    run_id: int
    reason: str


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


def charged_micro(session: Session, book_code: str, usage_period: str) -> dict[Name, int]:
    """Sum all deltas for use in a month. [millionths]

    Returns
    -------
    by kind, component, revenue account, VAT code and price basis.
    """
    rows = session.execute(
        text(
            "SELECT kind, component, revenue_account, vat_code, price_basis, sum(micro)::bigint"
            " FROM charge_delta JOIN charge_key USING (charge_key_id)"
            " WHERE book_code = :book_code AND usage_period = :period GROUP BY 1, 2, 3, 4, 5"
        ),
        {"book_code": book_code, "period": usage_period},
    )
    return {tuple(row[:5]): row[5] for row in rows}


def revenue_of_batch(
    session: Session, batch_id: int
) -> list[tuple[str, str, str, dict[str, str], int]]:
    """Sum the nets of a batch's deltas by revenue key. [øre]

    Returns
    -------
    rows of accounting month, account, VAT code, dimensions and net.
    """
    rows = session.execute(
        text(
            "SELECT accounting_month, revenue_account, vat_code, dimensions, sum(minor_net)::bigint"
            " FROM charge_delta JOIN charge_key USING (charge_key_id)"
            " WHERE batch_id = :batch_id GROUP BY 1, 2, 3, 4"
        ),
        {"batch_id": batch_id},
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


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


def last_run(
    session: Session, period: str, known_as_of: datetime | None = None
) -> RatingRun | None:
    """Give the run that says where a period stands, if it was ever rated.

    Parameters
    ----------
    known_as_of : only what was recorded by then; None for all.
    """
    newest = select(RatingRun).filter_by(period=period).order_by(RatingRun.run_id.desc())
    if known_as_of is not None:
        newest = newest.where(RatingRun.recorded_at <= known_as_of)
    return session.scalar(newest.limit(1))


def rated_book(session: Session) -> str | None:
    """Give the book in which usage has been charged, if any has been."""
    return session.scalar(select(ChargeKeyRow.book_code).limit(1))


def last_period(session: Session) -> str | None:
    """Give the latest month that was ever rated."""
    return session.scalar(select(func.max(RatingRun.period)))


def last_correction(session: Session, period: str) -> RatingRun | None:
    """Give the run by which a period was last rated again with another tariff."""
    newest = (
        select(RatingRun).filter_by(period=period).where(RatingRun.corrects_run_id.is_not(None))
    )
    return session.scalar(newest.order_by(RatingRun.run_id.desc()).limit(1))


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
    counters_sha256: str | None = None,
    remainder_in: str | None = None,
    remainder_out: str | None = None,
    explained: str | None = None,
    actor: str = "system:rating",
    correcting: Correcting | None = None,
) -> RatingRun:
    """Remember a run: from now on it says where the period stands.

    Parameters
    ----------
    remainder_in, remainder_out : hashes of what rolled over from the month before and of what rolls
        on into the next; None where nothing does.
    explained : hash of the explanations of charges that are no events.
    """
    run = RatingRun(
        period=period,
        inputs_hash=inputs_hash,
        tariff_hash=tariff_hash,
        batch_id=batch_id,
        rated_refs=rated_refs,
        counts=counts,
        counters_sha256=counters_sha256,
        remainder_in_sha256=remainder_in,
        remainder_out_sha256=remainder_out,
        explained_sha256=explained,
        actor=actor,
        corrects_run_id=correcting and correcting.run_id,
        reason=correcting.reason if correcting else "",
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
