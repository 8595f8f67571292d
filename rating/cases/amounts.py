"""Cases about amounts: round, rounded_sum, true_up, tax, credit_cap, credit_note_tax, discount."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text, decimal_texts, exactly, units_for
from rating.commitments import rounded_lines, true_ups
from rating.discounts import Discount, allocate, capped_credits, discount_amounts
from rating.rounding import Rounding, round_amounts
from rating.taxes import credited_tax, tax_in_gross, tax_on_net

_ZERO = Figure(0)


def rounded_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Round values, each with a rounding of its own."""
    rounded = []
    for item in Fields(given).objects("values"):
        value, rounding = item.number("value"), item.needed_rounding()
        units = units_for([value], rounding)
        rounded.append(_rounded(value.scaled(units), units, rounding))
    return {"values": rounded}


def _rounded(value: int, units: int, rounding: Rounding) -> str:
    column = exactly(lambda values: round_amounts(values, units, rounding), [value])
    return decimal_text(int(column[0]), units)


def rounded_sum(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sum lines that are rounded one by one."""
    fields = Fields(given)
    lines, rounding = fields.amounts("lines"), fields.rounding("line_rounding")
    units = units_for(lines, rounding)
    rounded = exactly(
        lambda column: rounded_lines(column, units, rounding),
        [line.scaled(units) for line in lines],
    )
    return {"total": decimal_text(sum(rounded.tolist()), units)}


def true_up(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is missing to a commitment."""
    fields = Fields(given)
    commitment, lines = fields.number("commitment"), fields.amounts("billed_lines")
    rounding = fields.rounding("line_rounding")
    units = units_for([commitment, *lines], rounding)
    group = np.zeros(len(lines), np.int64)
    missing = exactly(
        lambda promised, billed: true_ups(promised, billed, group, units, rounding),
        [commitment.scaled(units)],
        [line.scaled(units) for line in lines],
    )
    return {"true_up": decimal_text(int(missing[0]), units)}


def tax(given: Mapping[str, Any]) -> dict[str, Any]:
    """Compute net, tax and gross of a price times a quantity."""
    fields = Fields(given)
    price, quantity = fields.number("price"), fields.number("quantity", Figure(1))
    percent, rounding = fields.not_negative("tax_percent"), fields.rounding()
    rate = percent.hundredth()
    top, bottom = rate.digits, 10**rate.decimals
    of_net = fields.choice("price_is", ("net", "gross")) == "net"
    line = Figure(price.digits * quantity.digits, price.decimals + quantity.decimals)
    units = units_for([line], rounding) * (bottom if of_net else bottom + top)
    kernel = tax_on_net if of_net else tax_in_gross
    net, of_it, gross = exactly(
        lambda column: kernel(column, (top, bottom), units, rounding), [line.scaled(units)]
    )
    return {
        "net": decimal_text(int(net[0]), units),
        "tax": decimal_text(int(of_it[0]), units),
        "gross": decimal_text(int(gross[0]), units),
    }


def credit_cap(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the credits that do not exceed what was paid."""
    requests = Fields(given).objects("requests")
    columns = [
        [request.not_negative(name, *default) for request in requests]
        for name, *default in (("credit",), ("original_paid",), ("already_credited", _ZERO))
    ]
    units = units_for([figure for column in columns for figure in column])
    allowed = exactly(
        capped_credits, *([figure.scaled(units) for figure in column] for column in columns)
    )
    return {"credits": decimal_texts(allowed, units)}


def credit_note_tax(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the tax that a credit of a part of an invoice carries, per tax, and the whole credit."""
    fields = Fields(given)
    credited, subtotal = fields.not_negative("credited"), fields.positive("invoice_subtotal")
    taxes, rounding = fields.amounts("taxes"), fields.rounding()
    # A tax times what is credited has the decimals of both, before the subtotal divides it.
    figures = [credited, subtotal, *taxes]
    units = units_for(figures, rounding) * units_for(figures) * subtotal.digits
    credits_of = exactly(
        lambda part, whole, each: credited_tax(part, whole, each, units, rounding),
        [credited.scaled(units)] * len(taxes),
        [subtotal.scaled(units)] * len(taxes),
        [each.scaled(units) for each in taxes],
    )
    total = credited.scaled(units) + sum(credits_of.tolist())
    return {"tax_credits": decimal_texts(credits_of, units), "total": decimal_text(total, units)}


def discount(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take discounts off the sum of lines, and allocate them to the lines."""
    fields = Fields(given)
    lines, rounding = fields.amounts("lines"), fields.rounding()
    read = [_discount(item) for item in fields.objects("discounts")]
    units = units_for([*lines, *(money for money, _ in read if money)], rounding)
    for _, rate in read:
        units *= 10**rate.decimals if rate else 1
    if rounding is None:
        # Finer units still, in which a proportional part of the sum is a whole number too.
        units *= max(sum(line.scaled(units) for line in lines), 1)
    amounts = [line.scaled(units) for line in lines]
    terms = [
        Discount(fixed=max(money.scaled(units), 0))
        if rate is None
        else Discount(rate=(rate.digits, 10**rate.decimals))
        for money, rate in read
    ]
    columns = exactly(
        lambda sums: np.array([*discount_amounts(sums, terms, units, rounding)], object).reshape(
            len(terms), len(sums)
        ),
        [sum(amounts)],
    )
    taken = [int(column[0]) for column in columns]
    group = np.zeros(len(lines), np.int64)
    parts = exactly(
        lambda total, line: allocate(total, line, group, units, rounding), [sum(taken)], amounts
    )
    left = [line - part for line, part in zip(amounts, parts.tolist(), strict=True)]
    return {
        "discounts": [decimal_text(each, units) for each in taken],
        "total_discount": decimal_text(sum(taken), units),
        "net": decimal_text(sum(amounts) - sum(taken), units),
        "allocations": decimal_texts(parts, units),
        "line_totals": [decimal_text(each, units) for each in left],
    }


def _discount(item: Fields) -> tuple[Figure, Figure | None]:
    """Read a discount: what is left of a fixed amount, or a rate."""
    if item.choice("type", ("fixed", "percent")) == "percent":
        return _ZERO, item.not_negative("percent").hundredth()
    amount, used = item.not_negative("amount"), item.not_negative("already_used", _ZERO)
    decimals = max(amount.decimals, used.decimals)
    left = amount.scaled(10**decimals) - used.scaled(10**decimals)
    return Figure(left, decimals), None


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "credit_cap": credit_cap,
    "credit_note_tax": credit_note_tax,
    "discount": discount,
    "round": rounded_values,
    "rounded_sum": rounded_sum,
    "tax": tax,
    "true_up": true_up,
}
