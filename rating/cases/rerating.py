"""Cases about rating again: rerate."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rating.buckets import serve
from rating.cases.fields import Fields
from rating.cases.numbers import MAX_DIGITS, Figure, decimal_text
from rating.cases.rates import (
    Rate,
    Scale,
    Step,
    instant,
    price_of,
    read_rate,
    scale_for,
    step_tables,
)
from rating.drawing import NO_CAP
from rating.pools import ALWAYS, NEVER, Buckets, Demands
from rating.rounding import Integers
from rating.usage import Int64


def rerate(given: Mapping[str, Any]) -> dict[str, Any]:
    """Rate by arrival at the old rate, then by start at the new one, and give the differences."""
    fields = Fields(given)
    bucket = fields.not_negative("bucket", Figure(0))
    increment = fields.not_negative("bucket_increment", Figure(0))
    rates = [_rate(fields, "old_rate"), _rate(fields, "new_rate")]
    arrivals = fields.objects("arrivals")
    quantities = [arrival.not_negative("quantity") for arrival in arrivals]
    scale = scale_for(rates, [bucket, increment, *quantities], [])
    wanted = np.array([q.scaled(scale.quantity) for q in quantities], object)
    names = [arrival.value.get("id", place) for place, arrival in enumerate(arrivals)]
    arrived = np.arange(len(arrivals))
    starts = [_start(arrival) for arrival in arrivals]
    place = np.array(sorted(range(len(starts)), key=starts.__getitem__), np.int64)
    started = np.empty(len(arrivals), np.int64)
    started[place] = arrived
    terms = (bucket.scaled(scale.quantity), increment.scaled(scale.quantity))
    first = _charges(wanted, arrived, terms, rates[0], scale)
    again = _charges(wanted, started, terms, rates[1], scale)
    return {
        "first_rating": _told(names, first, arrived, scale),
        "rerated": _told(names, again, place, scale),
        "deltas": [
            {"event": names[n], "charge": delta, "amount": delta}
            for n in arrived.tolist()
            for delta in [decimal_text(int(again[1][n] - first[1][n]), scale.amount)]
        ],
    }


def _charges(
    wanted: Integers, order: Int64, terms: tuple[int, int], rate: Rate, scale: Scale
) -> tuple[Integers, Integers]:
    """Serve events in an order from the bucket; give what is free and what the rest costs."""
    nothing = np.zeros(len(wanted), np.int64)
    balance, increment = (np.array([term], object) for term in terms)
    one = np.zeros(1, np.int64)
    bucket = Buckets(
        pool=one, balance=balance, order=one, money=np.zeros(1, np.bool_),
        valid_from=one + ALWAYS, valid_to=one + NEVER, preference=np.zeros((1, 1), np.int32),
        increment=increment[:, None], restricted=np.zeros(1, np.bool_), members=one[:0],
        cap=np.array([NO_CAP], object),
    )  # fmt: skip
    demands = Demands(
        pool=nothing, start=order, key=order, at=nothing, quantity=wanted,
        kind=nothing.astype(np.int32), subscriber=nothing,
    )  # fmt: skip
    free = serve(bucket, demands).free
    over = wanted - free
    fee = np.array([rate.setup.scaled(scale.money) * scale.per], object)
    pays = (over > 0) | ((wanted > 0) & rate.setup_always)
    prices = step_tables([rate], scale, object)
    return free, price_of(prices, nothing, over) + np.where(pays.astype(np.bool_), fee, 0)


def _told(
    names: list[Any], rated: tuple[Integers, Integers], order: Int64, scale: Scale
) -> list[dict[str, Any]]:
    told = []
    for n in order.tolist():
        charge = decimal_text(int(rated[1][n]), scale.amount)
        free = decimal_text(int(rated[0][n]), scale.quantity)
        # The kinds allowance and session name the same figure charge and amount.
        told.append({"event": names[n], "free_quantity": free, "charge": charge, "amount": charge})
    return told


def _rate(fields: Fields, name: str) -> Rate:
    """Read a rate: an object with steps, one step by itself, or a price per unit."""
    found = fields.value.get(name)
    if not isinstance(found, dict):
        step = Step(Figure(0), fields.not_negative(name), Figure(1), Figure(0))
        return Rate((step,), Figure(0), setup_always=False)
    rate = fields.object(name)
    if rate.has("steps"):
        return read_rate(rate)
    step = Step(
        Figure(0), rate.not_negative("price"), rate.positive("per", Figure(1)),
        rate.not_negative("increment", Figure(0)),
    )  # fmt: skip
    always = rate.flag("setup_fee_always", default=False)
    return Rate((step,), rate.not_negative("setup_fee", Figure(0)), always)


def _start(arrival: Fields) -> int:
    """Read when an event began: a time, or a number on any clock."""
    found = arrival.value.get("start")
    if isinstance(found, str) and "-" in found[1:]:
        return instant(arrival, "start", 0)
    number = arrival.number("start")
    scaled: int = number.digits * 10 ** (MAX_DIGITS - number.decimals)
    return scaled


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"rerate": rerate}
