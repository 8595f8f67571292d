"""The rates of a case: steps, set-up fee, and the units in which all of it is whole."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from rating.cases.fields import Fields
from rating.cases.numbers import Figure, units_for
from rating.pieces import BEYOND, NO_PLAN, Sessions
from rating.pools import NEVER
from rating.pricing import sum_of_pieces
from rating.rounding import FITS, Integers, Overflow, largest
from rating.tariff_tables import Steps, StepTables
from rating.tariff_terms import SPLIT
from rating.usage import Int64

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - times of cases have no zone


@dataclass(frozen=True, slots=True)
class Step:
    """A price from some usage of an event on."""

    begin: Figure
    price: Figure
    per: Figure
    increment: Figure


@dataclass(frozen=True, slots=True)
class Rate:
    """What usage costs beyond its allowances."""

    steps: tuple[Step, ...]
    setup: Figure
    setup_always: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """The units in which every figure of a case is whole, and every price exact."""

    quantity: int
    money: int
    per: int  # a multiple of what every price is per

    @property
    def amount(self) -> int:
        """Units of money in one currency unit."""
        return self.money * self.per


def scale_for(
    rates: Iterable[Rate], quantities: Iterable[Figure], amounts: Iterable[Figure]
) -> Scale:
    """Choose the units of a case from all its figures."""
    rates = list(rates)
    steps = [step for rate in rates for step in rate.steps]
    parts = [f for step in steps for f in (step.begin, step.per, step.increment)]
    units = units_for([*quantities, *parts])
    prices = [step.price for step in steps] + [rate.setup for rate in rates]
    per = math.lcm(*(step.per.scaled(units) for step in steps)) if steps else 1
    return Scale(units, units_for([*amounts, *prices]), per)


def read_rates(fields: Fields) -> dict[str, Rate]:
    """Read rates by name; none where there are none."""
    if not fields.has("rates"):
        return {}
    table = fields.object("rates")
    return {name: read_rate(table.object(name)) for name in table.value}


def read_rate(rate: Fields) -> Rate:
    """Read one rate."""
    steps = tuple(
        Step(
            step.not_negative("from", Figure(0)), step.not_negative("price"),
            step.positive("per", Figure(1)), step.not_negative("increment", Figure(0)),
        )
        for step in rate.objects("steps")
    )  # fmt: skip
    if not steps:
        raise rate.fault("steps", "is empty; a rate without a step has no price")
    always = rate.flag("setup_fee_always", default=False)
    return Rate(steps, rate.not_negative("setup_fee", Figure(0)), always)


def step_tables(rates: Sequence[Rate], scale: Scale, dtype: type) -> StepTables:
    """Put rates into the tables that the kernel walks, in whole units, so that prices are exact.

    Usage inside a step is rounded up on its own: that a paid increment reaches into the next step
    is a policy of sessions (`split_carry`), which these kinds do not have.
    """
    width = max((len(rate.steps) for rate in rates), default=1)
    starts: Integers = np.full((len(rates), width + 1), never(dtype), dtype)
    prices: Integers = np.zeros((len(rates), width), dtype)
    increments: Integers = np.zeros((len(rates), width), dtype)
    for row, rate in enumerate(rates):
        steps = sorted(rate.steps, key=lambda step: step.begin.scaled(scale.quantity))
        for place, step in enumerate(steps):
            per = step.per.scaled(scale.quantity)
            starts[row, place] = step.begin.scaled(scale.quantity) if place else 0
            prices[row, place] = step.price.scaled(scale.money) * (scale.per // per)
            increments[row, place] = step.increment.scaled(scale.quantity)
    whole = np.zeros(len(rates), np.bool_)
    own = np.arange(len(rates), dtype=np.int32)[:, None]
    return StepTables(own, Steps(starts, prices, increments, whole), SPLIT)


def never(dtype: type) -> int:
    """Give what no figure of that type reaches."""
    return BEYOND if dtype is object else NEVER


def price_of(tables: StepTables, rate: Int64, quantity: Integers) -> Integers:
    """Price quantities by the steps of their rates, as the kernel prices what is billed; no fee.

    Parameters
    ----------
    rate : (n,) row of the tables.
    quantity : (n,) not negative.

    Raises
    ------
    Overflow : an amount might not fit in 64 bits; Python's integers (dtype object) always do.
    """
    steps = tables.steps
    if quantity.dtype != np.object_:
        units = largest(quantity) + largest(steps.increments) * steps.prices.shape[1]
        if units * largest(steps.prices) >= FITS:
            raise Overflow(f"{units} units at {largest(steps.prices)} do not fit in 64 bits.")
    none, rows = np.zeros_like(quantity), np.arange(len(quantity))
    sessions = Sessions(rate.astype(np.int32), none, quantity, np.zeros(len(quantity), np.bool_))
    amount, _ = sum_of_pieces(tables, NO_PLAN, sessions, rows)
    return amount


def instant(fields: Fields, name: str, absent: int) -> int:
    """Read a time on the clock of the case. [microseconds]"""
    found = fields.moment(name, None)
    # Microseconds: a case may be finer than the usage that is billed.
    return absent if found is None else (found - _EPOCH) // timedelta(microseconds=1)
