"""Cases about single amounts: round, rounded_sum, true_up."""

from collections.abc import Callable, Mapping
from typing import Any

from rating.cases.fields import Fields
from rating.cases.numbers import decimal_text, exactly, units_for
from rating.rounding import Integers, round_amounts


def rounded_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Round values, each with a rounding of its own."""
    rounded = []
    for item in Fields(given).objects("values"):
        value, rounding = item.number("value"), item.rounding()
        if rounding is None:
            raise item.fault("rounding", "is missing")
        units = units_for([value], rounding)
        column: Integers = exactly(
            lambda v, u=units, r=rounding: round_amounts(v, u, r), [value.scaled(units)]
        )
        rounded.append(decimal_text(int(column[0]), units))
    return {"values": rounded}


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"round": rounded_values}
