"""Cases worked out as one would by hand: exact fractions, one figure at a time, nothing shared."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction as Q
from typing import Any

Given = dict[str, Any]


def rounded(value: Q, rounding: Given | None) -> Q:
    """Round by counting whole steps and looking at the rest."""
    if rounding is None:
        return value
    step = Q(10) ** -rounding["scale"]
    whole, rest = divmod(abs(value), step)
    more = {
        "up": rest > 0,
        "down": False,
        "half_up": 2 * rest >= step,
        "half_even": 2 * rest > step or (2 * rest == step and whole % 2 == 1),
    }[rounding["mode"]]
    return (whole + more) * step * (-1 if value < 0 else 1)


def ceiling(value: Q) -> int:
    """Round up to a whole number."""
    return -(-value.numerator // value.denominator)


def price(terms: Given, quantity: Q, billed: Q | None = None) -> Q:
    """Price one period, tier by tier."""
    if quantity < 0:
        return -price(terms, -quantity, None if billed is None else -billed)
    if conversion := terms.get("unit_conversion"):
        quantity /= Q(conversion["divide_by"])
        if conversion.get("round"):
            quantity = rounded(quantity, {"mode": conversion["round"], "scale": 0})
    quantity = max(quantity - Q(terms.get("free_quantity", 0)), Q(0))
    if terms["model"] == "unit":
        return quantity * Q(terms["unit_price"])
    if terms["model"] == "package":
        packs = max(quantity - Q(terms.get("free_units", 0)), Q(0)) / Q(terms["package_size"])
        count = int(packs) if terms.get("round") == "down" else ceiling(packs)
        return count * Q(terms["package_price"])
    total, below = Q(0), Q(0)
    for number, tier in enumerate(terms["tiers"]):
        bound = None if tier["up_to"] is None else Q(tier["up_to"])
        entered = quantity > below or (number == 0 and terms.get("flat_fee_at_zero_usage", False))
        if terms["model"] == "volume":
            holds = quantity > below or (number == 0 and quantity == 0)
            if not holds or (bound is not None and quantity > bound):
                below = bound or below
                continue
            part = quantity if billed is None else billed
        else:
            part = max((quantity if bound is None else min(quantity, bound)) - below, Q(0))
        total += tier_cost(tier, part, entered=entered)
        below = bound or below
    return total


def tier_cost(tier: Given, part: Q, *, entered: bool) -> Q:
    """Price the part in one tier."""
    if "block" in tier:
        part = Q(ceiling(part / Q(tier["block"])))
    unit = Q(tier["rate_percent"]) / 100 if "rate_percent" in tier else Q(tier["unit_price"])
    cost = part * unit + (Q(tier.get("flat_fee", 0)) if entered else 0)
    return min(cost, Q(tier["cap"])) if "cap" in tier else cost


def spend(given: Given, quantity: Q, *, final: bool) -> Q:
    """Give what a period costs so far."""
    held, rounding = given["commitments"], given.get("rounding")
    amount = rounded(price(given["price"], quantity), rounding)
    amount -= rounded(amount * Q(held.get("discount_percent", 0)) / 100, rounding)
    if "max_spend" in held:
        amount = min(amount, Q(held["max_spend"]))
    if final and "min_spend" in held:
        amount = max(amount, Q(held["min_spend"]))
    return amount


def fee(tariff: Given, transactions: list[Q]) -> Q:
    """Take transactions one after the other."""
    rate, fixed = Q(tariff["rate_percent"]) / 100, Q(tariff["fixed_fee"])
    events = tariff.get("free_events")
    amount = None if tariff.get("free_amount") is None else Q(tariff["free_amount"])
    if tariff["free_rule"] == "period_total":
        if events is None and amount is None:
            return sum(transactions, Q(0)) * rate + fixed * len(transactions)
        first = sum(transactions[: len(transactions) if events is None else events], Q(0))
        free = first if amount is None else min(first, amount)
        waived, running = 0, Q(0)
        for transaction in transactions:
            running += transaction
            below = amount is None or running < amount
            waived += below and (events is None or waived < events)
        left = sum(transactions, Q(0)) - free
        return left * rate + fixed * (len(transactions) - waived)
    events, amount, total = events or 0, amount or Q(0), Q(0)
    for transaction in transactions:
        rest = transaction
        if amount > 0:
            if transaction <= amount:
                amount -= transaction
                events -= 1
                continue
            rest, amount, events = transaction - amount, Q(0), 0
        elif events > 0:
            events -= 1
            continue
        cost = rest * rate + fixed
        if "max_per_transaction" in tariff:
            cost = min(cost, Q(tariff["max_per_transaction"]))
        if "min_per_transaction" in tariff:
            cost = max(cost, Q(tariff["min_per_transaction"]))
        total += cost
    return total


def share(terms: Given) -> Q:
    """Count days one by one."""
    if terms["basis"] == "fraction":
        return Q(terms["numerator"]) / Q(terms["denominator"])
    start, end = (date.fromisoformat(terms[f"service_{side}"]) for side in ("from", "to"))
    days = [start + timedelta(n) for n in range((end - start).days)]
    if terms["basis"] == "actual":
        period = [date.fromisoformat(terms[f"period_{side}"]) for side in ("from", "to")]
        return Q(len(days), (period[1] - period[0]).days)
    if terms["basis"] == "actual_over_fixed":
        return Q(len(days), terms["fixed_days"])
    if terms["basis"] == "calendar_months":
        return sum((Q(1, month_length(day)) for day in days), Q(0))
    months = 12 * (end.year - start.year) + end.month - start.month
    if months == 0:
        return Q(end.day - start.day, terms["fixed_days"])
    counted = terms["fixed_days"] - start.day + end.day + terms["fixed_days"] * (months - 1)
    return Q(counted, terms["fixed_days"])


def month_length(day: date) -> int:
    """Count the days of a month by walking to its end."""
    last = day
    while (last + timedelta(1)).month == day.month:
        last += timedelta(1)
    return last.day


def seats(tiers: list[Given], changes: list[Given]) -> Q:
    """Move whole seats one by one along the tiers; without any no tier is paid for."""
    count, highest, total = 0, 0, Q(0)
    for change in changes:
        moved = int(change["units"])
        for _ in range(abs(moved)):
            seat = count + 1 if moved > 0 else count
            tier = next(t for t in tiers if t["up_to"] is None or seat <= int(t["up_to"]))
            total += Q(change["prorated_units"]) / abs(moved) * Q(tier["unit_price"])
            count += 1 if moved > 0 else -1
        highest = max(highest, count)
    if count < 0:
        return Q(0)
    total, below = max(total, Q(0)), 0
    for tier in tiers:
        total += Q(tier["flat_fee"]) if highest > below else 0
        below = int(tier["up_to"] or 0)
    return total


def discount(given: Given) -> dict[str, list[Q]]:
    """Take discounts off what is left, then give each step to the neediest line."""
    lines, rounding = [Q(line) for line in given["lines"]], given["rounding"]
    left, taken = sum(lines, Q(0)), []
    for kind in ("percent", "fixed"):
        for each in given["discounts"]:
            if each["type"] != kind:
                continue
            wished = (
                left * Q(each["percent"]) / 100
                if kind == "percent"
                else max(Q(each["amount"]) - Q(each.get("already_used", 0)), Q(0))
            )
            taken.append(min(rounded(wished, rounding), left))
            left -= taken[-1]
    total, step = sum(taken, Q(0)), Q(10) ** -rounding["scale"]
    exact = [total * line / sum(lines) if sum(lines) else Q(0) for line in lines]
    parts = [part // step * step for part in exact]
    while sum(parts) < total:
        neediest = max(range(len(lines)), key=lambda at: (exact[at] - parts[at], -at))
        parts[neediest] += step
    return {"discounts": taken, "allocations": parts}
