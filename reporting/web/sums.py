"""Sums of debits and credits, per currency: amounts of two currencies are never added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Amount(Protocol):
    """A line: debit positive. [minor units]"""

    @property
    def amount_minor(self) -> int: ...  # noqa: D102
    @property
    def currency(self) -> str: ...  # noqa: D102


def sums_of(lines: Iterable[Amount]) -> list[tuple[str, int, int]]:
    """Sum lines as (currency, debit, credit), by currency. [minor units, both positive]"""
    sums: dict[str, list[int]] = {}
    for line in lines:
        of = sums.setdefault(line.currency, [0, 0])
        of[0 if line.amount_minor > 0 else 1] += abs(line.amount_minor)
    return [(currency, debit, credit) for currency, (debit, credit) in sorted(sums.items())]
