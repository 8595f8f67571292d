"""What the names in a batch stand for: each is looked up once, however many rows say it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.orm import Session

from ledger.columns import BatchColumns
from ledger.db import driver_connection
from ledger.service.dimensions import require_registered

Array = np.ndarray[Any, Any]
Numbers = Any  # pyarrow.Int64Array: null where a name stands for nothing
_ENDLESS = date.max.toordinal()


@dataclass(frozen=True, slots=True)
class Resolved:
    """Ids of (n,) lines and years of (m,) entries; null where the book knows no such name."""

    day: Array  # (n,) day of the proleptic calendar on which a line is effective
    account: Numbers
    vat_code: Numbers
    dimensions: Array  # (n,), -1 for what the book does not know
    fiscal_year: Numbers
    block: Array  # (m,) which series, by its place in the dictionary << 16, and which year
    ordinal: Array  # (m,) place among the entries of the same block, from 1


def resolve(session: Session, book: str, batch: BatchColumns) -> Resolved:
    """Look up what a batch names; what nobody knows is for the posting function to refuse."""
    entries, lines = batch.entries, batch.lines
    day = entries.effective_day[lines.entry]
    named = lines.account.dictionary.to_pylist(), lines.vat_code.dictionary.to_pylist()
    accounts, rates, months = _known(session, book, *named)
    sets = dimension_sets(session, book, lines.dimensions.dictionary.to_pylist())
    year = _fiscal_years(entries.effective_day, months)
    block = entries.series.indices.to_numpy() * np.int64(1 << 16) + year.fill_null(-1).to_numpy()
    return Resolved(
        day,
        _taken(lines.account, accounts),
        _vat_codes(lines.vat_code, day, rates),
        _taken(lines.dimensions, sets).fill_null(-1).to_numpy(),
        year,
        block,
        _ordinals(block),
    )


def _taken(names: Any, known: dict[str, int]) -> Numbers:
    ids = pa.array([known.get(name) for name in names.dictionary.to_pylist()], pa.int64())
    return ids.take(names.indices)


def _vat_codes(names: Any, day: Array, rates: list[tuple[str, int, int, int]]) -> Numbers:
    """Choose the row of a code that holds on the day of each line."""
    place = {name: index for index, name in enumerate(names.dictionary.to_pylist())}
    code = names.indices.fill_null(-1).to_numpy()
    found = np.full(len(code), -1)
    for name, row, begin, end in rates:
        found[(code == place[name]) & (day >= begin) & (day < end)] = row
    return pa.array(found, mask=found < 0)


def _fiscal_years(day: Array, months: list[tuple[int, int, int]]) -> Numbers:
    if not months:
        return pa.nulls(len(day), pa.int64())
    begins, ends, years = np.array(months).T
    place = np.searchsorted(begins, day, side="right") - 1
    return pa.array(years[place], mask=(place < 0) | (day >= ends[place]))


def _ordinals(group: Array) -> Array:
    """Number the rows of each group from 1 in their order."""
    order = np.argsort(group, kind="stable")
    place = np.arange(len(group))
    starts = np.r_[True, np.diff(group[order]) != 0] if len(group) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(starts, place, 0))
    ordinals = np.empty(len(group), np.int64)
    ordinals[order] = place - first + 1
    return ordinals


def _known(
    session: Session, book: str, numbers: list[str], codes: list[str]
) -> tuple[dict[str, int], list[tuple[str, int, int, int]], list[tuple[int, int, int]]]:
    """Give the accounts' ids, dated rows of VAT codes, and the months with their fiscal years."""
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(_KNOWN, {"book": book, "numbers": numbers, "codes": codes})
        rows = cursor.fetchall()
    accounts = {name: number for kind, name, number, *_ in rows if kind == "account"}
    dated = [
        (kind, name, number, begin.toordinal(), end.toordinal() if end else _ENDLESS)
        for kind, name, number, begin, end in rows
        if begin is not None
    ]
    rates = [row for kind, *row in dated if kind == "rate"]
    months = [(begin, end, year) for kind, _, year, begin, end in dated if kind == "month"]
    return accounts, [tuple(row) for row in rates], sorted(months)


_KNOWN = """
    SELECT 'account' AS kind, number, account_id, NULL::date, NULL::date
    FROM account JOIN book USING (book_id) WHERE code = %(book)s AND number = ANY (%(numbers)s)
    UNION ALL
    SELECT 'rate', v.code, v.vat_code_id, v.valid_from, v.valid_to
    FROM vat_code v JOIN book b USING (book_id)
    WHERE b.code = %(book)s AND v.code = ANY (%(codes)s)
    UNION ALL
    SELECT 'month', p.code, p.fiscal_year, p.starts_on, p.ends_on
    FROM period p JOIN book b USING (book_id) WHERE b.code = %(book)s"""


def dimension_sets(session: Session, book: str, keys: Iterable[str]) -> dict[str, int]:
    """Find or register dimension sets by their canonical keys; "" is set 0.

    Raises `UnknownDimension` where a new set names a dimension that the book has not registered.
    """
    wanted = sorted(key for key in keys if key)
    if not wanted:
        return {"": 0}
    known = _known_sets(session, book, wanted)
    new = [key for key in wanted if key not in known]
    if new:
        require_registered(session, book, new)
        _register_sets(session, book, new)
        known = _known_sets(session, book, wanted)
    return {"": 0, **known}


def _register_sets(session: Session, book: str, keys: list[str]) -> None:
    session.execute(
        text(
            "INSERT INTO dimension_set (book_id, canonical_key)"
            " SELECT book_id, k FROM book, unnest(CAST(:keys AS text[])) k WHERE code = :book"
            " AND NOT EXISTS (SELECT FROM dimension_set d"
            "  WHERE d.book_id = book.book_id AND d.canonical_key = k)"
            " ON CONFLICT DO NOTHING"
        ),
        {"book": book, "keys": keys},
    )


def _known_sets(session: Session, book: str, keys: list[str]) -> dict[str, int]:
    rows = session.execute(
        text(
            "SELECT canonical_key, dim_set_id FROM dimension_set JOIN book USING (book_id)"
            " WHERE code = :book AND canonical_key = ANY (CAST(:keys AS text[]))"
        ),
        {"book": book, "keys": keys},
    )
    return {row.canonical_key: row.dim_set_id for row in rows}
