"""Cases about a period's spend: progressive_line, delta_sequence, windowed_commitment, fees."""

from collections.abc import Callable, Mapping
from math import lcm
from typing import Any

import numpy as np

from rating.cases.fields import Fields
from rating.cases.numbers import Figure, decimal_text, decimal_texts, exactly, units_for
from rating.cases.periods import PriceTerms, read_price
from rating.commitments import (
    Commitments,
    WindowRule,
    booked_deltas,
    progressive_lines,
    windowed_amounts,
)
from rating.fees import FeeTariff, period_total_fee, transaction_fees
from rating.rounding import Rounding, round_amounts

_ZERO = Figure(0)
_ONE = Figure(1)
_MOST_EVENTS = 10**9


class _Spend:
    """The price and the commitments of a case, scaled to common units."""

    def __init__(self, fields: Fields, quantities: list[Figure], money: list[Figure]) -> None:
        self.rounding = fields.rounding()
        terms: PriceTerms = read_price(fields.object("price"))
        held = fields.optional_object("commitments")
        least = held.optional("min_spend") if held else None
        most = held.optional("max_spend") if held else None
        off = (held.not_negative("discount_percent", _ZERO) if held else _ZERO).hundredth()
        figures = [*terms.money(), *money, *(each for each in (least, most) if each)]
        self.per_quantity = terms.units_per_quantity(quantities)
        self.units = units_for(figures, self.rounding) * self.per_quantity * 10**off.decimals
        self.price = terms.build(self.per_quantity, self.units)
        self.commitments = Commitments(
            None if least is None else least.scaled(self.units),
            None if most is None else most.scaled(self.units),
            (off.digits, 10**off.decimals),
        )


def progressive_line(given: Mapping[str, Any]) -> dict[str, Any]:
    """Price a line that continues a period."""
    fields = Fields(given)
    before, quantity = fields.number("quantity_before", _ZERO), fields.number("quantity")
    billed = fields.number("billed_before", _ZERO)
    total = _sum(before, quantity)
    spend = _Spend(fields, [before, quantity, total], [billed])
    final = np.array([fields.flag("final_line", default=False)])
    line = exactly(
        lambda so_far, more, paid: progressive_lines(
            spend.price, spend.commitments, so_far, more, paid, final, spend.rounding
        ),
        [before.scaled(spend.per_quantity)],
        [quantity.scaled(spend.per_quantity)],
        [billed.scaled(spend.units)],
    )
    return {"line_amount": decimal_text(int(line[0]), spend.units)}


def delta_sequence(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what each rating of one period books."""
    fields = Fields(given)
    cumulative = fields.numbers("cumulative_quantities")
    spend = _Spend(fields, cumulative, [])
    last = fields.flag("last_is_final", default=False)
    deltas = exactly(
        lambda column: booked_deltas(
            spend.price, spend.commitments, column, last_is_final=last, rounding=spend.rounding
        ),
        [each.scaled(spend.per_quantity) for each in cumulative],
    )
    return {"deltas": decimal_texts(deltas, spend.units)}


def windowed_commitment(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sum windows, each held to the commitment of its rule."""
    fields = Fields(given)
    rules, windows, rounding = fields.objects("rules"), fields.objects("windows"), fields.rounding()
    names = [rule.text("id") for rule in rules]
    number_of = []
    for window in windows:
        name = window.text("rule")
        if name not in names:
            raise window.fault("rule", f"names no rule: {name!r}")
        number_of.append(names.index(name))
    quantities = [window.number("quantity") for window in windows]
    by_quantity = [
        rule.choice("commitment_kind", ("amount", "quantity"), "amount") == "quantity"
        for rule in rules
    ]
    prices = [rule.number("unit_price") for rule in rules]
    held = [rule.not_negative("commitment", _ZERO) for rule in rules]
    over = [rule.not_negative("overage_factor", _ONE) for rule in rules]
    per_quantity = units_for(
        [*quantities, *(each for each, flag in zip(held, by_quantity, strict=True) if flag)]
    )
    money = [each for each, flag in zip(held, by_quantity, strict=True) if not flag]
    units = units_for([*prices, *money], rounding) * per_quantity
    units = lcm(units, units * units_for(over))
    terms = [
        WindowRule(
            unit_price=prices[at].scaled(units),
            commitment=held[at].scaled(per_quantity if by_quantity[at] else units),
            by_quantity=by_quantity[at],
            overage=(over[at].digits, 10 ** over[at].decimals),
            true_up=rule.flag("true_up", default=False),
        )
        for at, rule in enumerate(rules)
    ]
    amounts = exactly(
        lambda column: windowed_amounts(
            terms, np.array(number_of, np.int64), column, per_quantity, units
        ),
        [each.scaled(per_quantity) for each in quantities],
    )
    return {"amount": _rounded_sum(amounts.tolist(), units, rounding)}


def percentage_fee(given: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the fee on a period's transactions."""
    fields = Fields(given)
    tariff, rounding = fields.object("tariff"), fields.rounding()
    transactions = fields.amounts("transactions")
    rate = tariff.number("rate_percent", _ZERO).hundredth()
    names = ("fixed_fee", "free_amount", "min_per_transaction", "max_per_transaction")
    money = {name: tariff.optional(name) for name in names}
    units = units_for([*transactions, *(each for each in money.values() if each)], rounding)
    units *= 10**rate.decimals
    terms = FeeTariff(
        rate=(rate.digits, 10**rate.decimals),
        fixed_fee=_maybe(money["fixed_fee"], units) or 0,
        free_events=tariff.within("free_events", 0, _MOST_EVENTS)
        if tariff.has("free_events")
        else None,
        free_amount=_maybe(money["free_amount"], units),
        minimum=_maybe(money["min_per_transaction"], units),
        maximum=_maybe(money["max_per_transaction"], units),
    )
    column = [each.scaled(units) for each in transactions]
    bounded = terms.minimum is not None or terms.maximum is not None
    free = terms.free_events is not None or terms.free_amount is not None
    rule = tariff.choice(
        "free_rule", ("period_total", "per_transaction"),
        "per_transaction" if bounded and not free else "period_total",
    )  # fmt: skip
    if rule == "period_total" and bounded and free:
        raise tariff.fault("free_rule", "period_total knows no minimum or maximum per transaction")
    if rule == "period_total" and not bounded:
        total = exactly(lambda amounts: period_total_fee(terms, amounts, units), column)
        return {"amount": _rounded_sum([total], units, rounding)}
    fees = exactly(lambda amounts: transaction_fees(terms, amounts, units), column)
    return {"amount": _rounded_sum(fees.tolist(), units, rounding)}


def _maybe(figure: Figure | None, units: int) -> int | None:
    return None if figure is None else figure.scaled(units)


def _sum(*figures: Figure) -> Figure:
    units = units_for(figures)
    return Figure(sum(figure.scaled(units) for figure in figures), len(str(units)) - 1)


def _rounded_sum(amounts: list[int], units: int, rounding: Rounding | None) -> str:
    total = sum(amounts)
    if rounding is not None:
        total = int(exactly(lambda column: round_amounts(column, units, rounding), [total])[0])
    return decimal_text(total, units)


KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "delta_sequence": delta_sequence,
    "percentage_fee": percentage_fee,
    "progressive_line": progressive_line,
    "windowed_commitment": windowed_commitment,
}
