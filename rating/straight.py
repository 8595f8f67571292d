"""What a session within one band costs, read from a table of what the steps before have cost.

A row is straight where each step but the last is a whole number of its increments long: then no
paid increment reaches into the next step, and nothing has to be walked through:

    units x price = what the steps before cost + whole increments of the rest x price of its step

The kernel of `rating.pricing` adds step by step; `rating.codes` holds the one against the other.
"""

from dataclasses import dataclass

import numpy as np

from rating.pieces import whole_increments
from rating.tariff_tables import NEVER, Steps, of_rows
from rating.usage import Bool, Int64

_MOST = 2**61  # What the steps before may come to; as much again may be added.


@dataclass(frozen=True, slots=True, eq=False)
class StraightRows:
    """The steps of each row, flat: the place of a step is row * steps + step."""

    steps: int
    straight: Bool  # (rows,) others cannot be read from the table
    starts: Int64  # (rows * steps,)
    before: Int64  # (rows * steps,) units x price of all steps before
    prices: Int64  # (rows * steps,)
    increments: Int64  # (rows * steps,)
    coarse: Bool  # (rows * steps,) usage is rounded up to whole increments


def straight_rows(steps: Steps) -> StraightRows:
    """Sum up what the steps of each row cost when they are used up."""
    rows, count = steps.prices.shape
    straight = ~steps.whole & ~((steps.prices < 0) & (steps.starts[:, :-1] < NEVER)).any(axis=1)
    before = np.zeros((rows, count), np.int64)
    for step in range(1, count):
        used_up = steps.starts[:, step] < NEVER
        length = np.where(used_up, steps.starts[:, step] - steps.starts[:, step - 1], 0)
        price = np.maximum(steps.prices[:, step - 1], 0)
        even = (length % np.maximum(steps.increments[:, step - 1], 1) == 0) & (
            length <= _MOST // np.maximum(price, 1)
        )
        before[:, step] = before[:, step - 1] + np.where(even, length * price, 0)
        straight &= even & (before[:, step] <= _MOST)
        np.minimum(before[:, step], _MOST, out=before[:, step])
    return StraightRows(
        count, straight, steps.starts[:, :-1].ravel(), before.ravel(), steps.prices.ravel(),
        steps.increments.ravel(), steps.increments.ravel() > 1,
    )  # fmt: skip


def price_straight(rows: StraightRows, row: Int64, quantity: Int64) -> tuple[Int64, Int64]:
    """Sum units x price of sessions, each of which begins, stays and ends in one straight row.

    Parameters
    ----------
    row, quantity : (n,) quantities are positive. Of rows that are not straight, what comes out
        means nothing.

    Returns
    -------
    numerator : (n,) units x price, per denominator of the row.
    step : (n,) or (1,) the step in which the session ends, from 0.
    """
    if rows.steps == 1:
        units = whole_increments(quantity, of_rows(rows.increments, row))
        return units * of_rows(rows.prices, row), np.zeros(1, np.int64)
    starts = rows.starts.reshape(-1, rows.steps)
    step = (of_rows(starts[:, 1], row) < quantity).astype(np.int64)
    for number in range(2, rows.steps):
        step += of_rows(starts[:, number], row) < quantity
    place = row * rows.steps
    place += step
    units = quantity - rows.starts[place]
    coarse = np.flatnonzero(rows.coarse[place])
    units[coarse] = whole_increments(units[coarse], rows.increments[place[coarse]])
    units *= rows.prices[place]
    units += rows.before[place]
    return units, step
