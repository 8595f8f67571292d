"""Other ways to the same sums: tuned loops of integers and of decimals, and SQL in DuckDB.

Each knows the tariff from the facts of the workload, not from the library, and gives the sum of
money in millionths. The loops keep clocks and pools as integers; what a billing script does first
is `rating_script`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from benchmarks.rating_workloads import (
    BANDS,
    BUNDLE,
    FEBRUARY,
    KILOBYTE,
    MEGABYTE,
    OCTET_PRICE_MICRO,
    OSLO,
    PER,
    SETUP_MICRO,
    WORKDAY,
    Workload,
)

DAY = 86_400
_STARTS, _OF_START = zip(*WORKDAY, strict=True)
_WEEKEND = BANDS.index("weekend")
_MILLIONTH = Decimal("0.000001")

Price = Callable[[list[tuple[int, int]]], int]


def rows_of(work: Workload, events: np.ndarray) -> list[tuple[Any, ...]]:
    """Lay events out as Python values, ready to loop over; no part of the time measured."""
    batch = work.batch.take(events)
    called = [n.decode() for n in work.numbers[events]] if len(work.numbers) else [""] * len(batch)
    pool = batch.subscription if batch.pool is None else batch.pool
    return list(
        zip(
            batch.started_at.tolist(), batch.quantity.tolist(), called,
            batch.subscription.tolist(), pool.tolist(), batch.offering.tolist(), strict=True,
        )
    )  # fmt: skip


def integer_loop(work: Workload, rows: Sequence[tuple[Any, ...]]) -> int:
    """Rate event by event in integers; one division an event."""

    def price(parts: list[tuple[int, int]]) -> int:
        numerator = sum(units * micro for units, micro in parts)
        return SETUP_MICRO + (2 * numerator + PER) // (2 * PER)

    return _loop(work, rows, price)


def decimal_loop(work: Workload, rows: Sequence[tuple[Any, ...]]) -> int:
    """Rate event by event, money in decimals; rounded once an event."""
    per, setup = Decimal(PER), Decimal(SETUP_MICRO) / 1_000_000
    kroner = [[Decimal(int(micro)) / 1_000_000 for micro in zone] for zone in work.prices]
    by_micro = {int(m): k for zone, row in zip(work.prices, kroner, strict=True)
                for m, k in zip(zone, row, strict=True)}  # fmt: skip

    def price(parts: list[tuple[int, int]]) -> int:
        amount = sum((Decimal(units) * by_micro[micro] for units, micro in parts), Decimal(0)) / per
        total = setup + amount.quantize(_MILLIONTH, ROUND_HALF_UP)
        return int(total * 1_000_000)

    return _loop(work, rows, price)


def _loop(work: Workload, rows: Sequence[tuple[Any, ...]], price: Price) -> int:
    prefixes, prices = dict(work.prefixes), work.prices.tolist()
    own: dict[int, int] = {}
    shared = dict(zip(work.counters.subscription.tolist(), work.counters.granted.tolist(),
                      strict=True))  # fmt: skip
    bundled, total = work.name == "B", 0
    for start, quantity, number, subscription, pool, member in rows:
        payable = quantity
        if bundled:
            payable -= (free := min(own.get(subscription, BUNDLE), payable))
            own[subscription] = own.get(subscription, BUNDLE) - free
            if member:
                payable -= (free := min(shared[pool], payable))
                shared[pool] -= free
        if payable:
            zone = next(prefixes[number[:k]] for k in range(8, 1, -1) if number[:k] in prefixes)
            total += price(list(_parts(start, payable, prices[zone])))
    return total


def _parts(start: int, seconds: int, prices: list[int]) -> Iterator[tuple[int, int]]:
    """Cut a call at a border: what is begun of the first minute is paid in the first band."""
    wall = start + OSLO
    day, second = divmod(wall, DAY)
    band, border = _band(day, second)
    first = min(seconds, border - second)
    paid = max(first, 60)
    yield paid, prices[band]
    if seconds > paid:
        yield seconds - paid, prices[_band(*divmod(wall + first, DAY))[0]]


def _band(day: int, second: int) -> tuple[int, int]:
    """Give the band of a second of a day, and the second at which it ends."""
    if (day + 3) % 7 >= 5:
        return _WEEKEND, DAY
    place = bisect_right(_STARTS, second)
    return _OF_START[place - 1], _STARTS[place] if place < len(_STARTS) else DAY


def crossing(started_at: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Mark the calls that cross a border of bands."""
    day, second = np.divmod(started_at + OSLO, DAY)
    ends = np.append(_STARTS[1:], DAY)[np.searchsorted(_STARTS, second, side="right") - 1]
    ends[(day + 3) % 7 >= 5] = DAY
    crossed: np.ndarray = second + seconds > ends
    return crossed


def octet_loop(work: Workload, rows: Sequence[tuple[Any, ...]]) -> int:
    """Rate sessions of devices one by one in integers."""
    left = dict(zip(work.counters.subscription.tolist(), work.counters.granted.tolist(),
                    strict=True))  # fmt: skip
    total = 0
    for _, quantity, _, _, pool, _ in rows:
        free = min(left[pool], quantity)
        left[pool] -= free
        if quantity > free:
            octets = -(-(quantity - free) // KILOBYTE) * KILOBYTE
            total += (2 * octets * OCTET_PRICE_MICRO + MEGABYTE) // (2 * MEGABYTE)
    return total


def octet_decimals(work: Workload, rows: Sequence[tuple[Any, ...]]) -> int:
    """Rate sessions of devices one by one in decimals."""
    left = dict(zip(work.counters.subscription.tolist(), work.counters.granted.tolist(),
                    strict=True))  # fmt: skip
    total, price = Decimal(0), Decimal(OCTET_PRICE_MICRO) / 1_000_000
    for _, quantity, _, _, pool, _ in rows:
        free = min(left[pool], quantity)
        left[pool] -= free
        if quantity > free:
            octets = -(-(quantity - free) // KILOBYTE) * KILOBYTE
            amount = Decimal(octets) * price / Decimal(MEGABYTE)
            total += amount.quantize(_MILLIONTH, ROUND_HALF_UP)
    return int(total * 1_000_000)


class Sql:
    """The same in DuckDB on one thread: events in a table of its own, one query a run."""

    def __init__(self, work: Workload) -> None:
        import duckdb  # noqa: PLC0415 - outside the lock

        self.connection = duckdb.connect(config={"threads": 1})
        batch = work.batch
        self._table("event", {
            "key": batch.event_key, "start": batch.started_at, "quantity": batch.quantity,
            "called": _decimal_code(work.numbers), "subscription": batch.subscription,
            "pool": batch.subscription if batch.pool is None else batch.pool,
            "member": batch.offering,
        } if len(work.numbers) else {
            "key": batch.event_key, "start": batch.started_at, "quantity": batch.quantity,
            "pool": batch.pool,
        })  # fmt: skip
        self._table("granted", {"pool": work.counters.subscription,
                                "octets": work.counters.granted})  # fmt: skip
        if len(work.numbers):
            self._tariff(work)
        self.query = _OCTETS if work.name == "C" else _CALLS.format(
            source=_BUNDLED if work.name == "B" else "SELECT *, quantity AS payable FROM event"
        )  # fmt: skip

    def __call__(self) -> int:
        """Rate all events; gives the sum in millionths."""
        row = self.connection.execute(self.query).fetchone()
        assert row is not None
        return int(row[0])

    def _table(self, name: str, columns: dict[str, Any]) -> None:
        held = {column: np.asarray(values) for column, values in columns.items()}
        self.connection.register("given", held)
        self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        self.connection.unregister("given")

    def _tariff(self, work: Workload) -> None:
        """Turn nested prefixes into ranges of numbers for an ASOF join, and bands into borders."""
        begins: dict[int, int] = {}
        around: list[tuple[int, int]] = [(10**15, -1)]  # Where each prefix ends, and its zone.

        def leave(before: int) -> None:
            while around[-1][0] < before:
                end, _ = around.pop()
                begins[end + 1] = around[-1][1]

        for prefix, zone in sorted(work.prefixes):
            low, high = (int(prefix.ljust(15, digit)) for digit in "09")
            leave(low)
            begins[low] = zone
            around.append((high, zone))
        leave(10**15)
        self._table("prefix", {"begin": list(begins), "zone": list(begins.values())})
        zones, bands = np.indices(work.prices.shape)
        self._table("price", {"zone": zones.ravel(), "band": bands.ravel(),
                              "micro": work.prices.ravel()})  # fmt: skip
        borders = []
        for day in range((FEBRUARY + OSLO) // DAY, (FEBRUARY + OSLO) // DAY + 29):
            weekend = (day + 3) % 7 >= 5
            borders += [(day * DAY + second - OSLO, band) for second, band in
                        (((0, _WEEKEND),) if weekend else WORKDAY)]  # fmt: skip
        ends = [begin for begin, _ in borders[1:]]
        self._table("border", {
            "begin": [b for b, _ in borders[:-1]], "band": [b for _, b in borders[:-1]],
            "border": ends, "next_band": [b for _, b in borders[1:]],
        })  # fmt: skip


def _decimal_code(numbers: np.ndarray) -> np.ndarray:
    """Give numbers as integers of fifteen digits, so that prefixes are ranges."""
    return np.char.ljust(numbers.astype("S15"), 15, b"0").astype(np.int64)


_CALLS = """
    WITH used AS ({source}),
    placed AS (
        SELECT start, payable, z.zone, b.band, b.border, b.next_band,
            least(payable, b.border - start) AS first
        FROM used ASOF JOIN prefix z ON used.called >= z.begin
        ASOF JOIN border b ON start >= b.begin WHERE payable > 0)
    SELECT sum(690000 + (2 * (greatest(first, 60) * p.micro
        + greatest(payable - greatest(first, 60), 0) * q.micro) + 60) // 120)
    FROM placed JOIN price p ON p.zone = placed.zone AND p.band = placed.band
    JOIN price q ON q.zone = placed.zone AND q.band = placed.next_band"""
_BUNDLED = f"""
        SELECT *, paid - greatest(0, least(paid, coalesce(octets, 0) - before)) * member AS payable
        FROM (SELECT *, coalesce(sum(paid * member) OVER (PARTITION BY pool ORDER BY start, key
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
            FROM (SELECT *, quantity - greatest(0, least(quantity, {BUNDLE} - coalesce(
                    sum(quantity) OVER (PARTITION BY subscription ORDER BY start, key
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))) AS paid FROM event))
        LEFT JOIN granted USING (pool)"""
_OCTETS = f"""
    SELECT sum((2 * ((paid + {KILOBYTE - 1}) // {KILOBYTE} * {KILOBYTE}) * {OCTET_PRICE_MICRO}
        + {MEGABYTE}) // {2 * MEGABYTE})
    FROM (SELECT quantity - greatest(0, least(quantity, octets - coalesce(sum(quantity) OVER (
            PARTITION BY pool ORDER BY start, key
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))) AS paid
        FROM event JOIN granted USING (pool)) WHERE paid > 0"""
