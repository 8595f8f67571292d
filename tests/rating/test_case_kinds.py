"""Every arithmetic kind of case against fractions worked out by hand, at random and at edges."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction as Q
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rating.cases import evaluate
from tests.rating import oracle_cases as oracle

MODES = st.sampled_from(["up", "down", "half_up", "half_even"])
ROUNDINGS = st.fixed_dictionaries({"mode": MODES, "scale": st.integers(-2, 4)})


def decimals(low: int, high: int, places: int = 2) -> st.SearchStrategy[str]:
    """Decimals of up to some places, whole ones and ties among them."""
    return st.decimals(low, high, places=places, allow_nan=False).map(lambda d: f"{d:f}")


def result(kind: str, given: dict[str, Any]) -> Any:
    """Evaluate a case as the command does."""
    told = evaluate({"id": "x", "kind": kind, "given": given})
    assert told.error is None, told.error
    return told.result


def exact(values: list[str]) -> list[Q]:
    """Read results."""
    return [Q(value) for value in values]


@st.composite
def prices(draw: st.DrawFn, models: tuple[str, ...] = ()) -> dict[str, Any]:
    """A price of any model; its last tier is open."""
    model = draw(st.sampled_from(models or ("unit", "package", "graduated", "volume",
                                            "graduated_percentage")))  # fmt: skip
    terms: dict[str, Any] = {"model": model}
    if model == "unit":
        terms |= {"unit_price": draw(decimals(0, 9, 4)), "free_quantity": draw(decimals(0, 9))}
        if draw(st.booleans()):
            terms["unit_conversion"] = {"divide_by": draw(st.sampled_from(["8", "0.5", "1024"])),
                                        "round": draw(MODES)}  # fmt: skip
    elif model == "package":
        terms |= {"package_price": draw(decimals(0, 9)), "free_units": draw(decimals(0, 9)),
                  "package_size": draw(decimals(1, 9)),
                  "round": draw(st.sampled_from(["up", "down"]))}  # fmt: skip
    else:
        bounds = sorted(draw(st.sets(st.integers(1, 40), max_size=3)))
        tiers = [draw(tier_terms(model)) | {"up_to": bound} for bound in [*map(str, bounds), None]]
        terms |= {"tiers": tiers, "flat_fee_at_zero_usage": draw(st.booleans())}
    return terms


@st.composite
def tier_terms(draw: st.DrawFn, model: str) -> dict[str, Any]:
    """One tier without its bound."""
    name = "rate_percent" if model == "graduated_percentage" else "unit_price"
    tier = {name: draw(decimals(0, 9, 3)), "flat_fee": draw(decimals(0, 3))}
    for optional in ("cap", "block"):
        if draw(st.integers(0, 3)) == 0:
            tier[optional] = draw(decimals(1, 20))
    return tier


QUANTITIES = st.lists(decimals(-60, 60) | st.integers(-41, 41).map(str), min_size=1, max_size=6)


@given(prices(), QUANTITIES, st.none() | ROUNDINGS)
def test_period_prices(price: dict[str, Any], quantities: list[str], rounding: Any) -> None:
    """Each model, at the bounds and beside them, exact or rounded; windows sum them."""
    case = {"price": price, "quantities": quantities, "rounding": rounding}
    slow = [oracle.price(price, Q(quantity)) for quantity in quantities]
    got = exact(result("period_price", case)["amounts"])
    assert got == [oracle.rounded(amount, rounding) for amount in slow]
    windows = result("windowed_price", {"price": price, "window_quantities": quantities})
    assert Q(windows["amount"]) == sum(slow)
    parts = [{"price": price, "quantity": quantity} for quantity in quantities]
    assert Q(result("sum_of_prices", {"parts": parts})["amount"]) == sum(slow)


@given(prices(("volume",)), decimals(0, 60), decimals(0, 60))
def test_billed_quantities(price: dict[str, Any], quantity: str, billed: str) -> None:
    """One quantity selects the tier, another is priced in it."""
    case = {"price": price, "quantities": [quantity], "billed_quantities": [billed]}
    (got,) = exact(result("period_price", case)["amounts"])
    assert got == oracle.price(price, Q(quantity), Q(billed))


COMMITMENTS = st.fixed_dictionaries(
    {}, optional={"min_spend": decimals(0, 99), "max_spend": decimals(0, 99),
                  "discount_percent": decimals(0, 100)}
)  # fmt: skip


@given(prices(), COMMITMENTS, QUANTITIES, st.booleans(), st.none() | ROUNDINGS)
def test_spend_so_far(
    price: dict[str, Any], held: Any, quantities: list[str], final: bool, rounding: Any
) -> None:
    """A line charges the difference to what was billed; a sequence of ratings does so each time."""
    case = {"price": price, "commitments": held, "rounding": rounding}
    amounts = [
        oracle.spend(case, Q(q), final=final and at == len(quantities) - 1)
        for at, q in enumerate(quantities)
    ]
    told = result(
        "delta_sequence", case | {"cumulative_quantities": quantities, "last_is_final": final}
    )
    deltas = exact(told["deltas"])
    assert [sum(deltas[: at + 1]) for at in range(len(deltas))] == amounts
    line = {"quantity_before": "1.5", "quantity": quantities[0], "billed_before": "2.25"}
    got = result("progressive_line", case | line | {"final_line": final})["line_amount"]
    assert Q(got) == oracle.spend(case, Q(quantities[0]) + Q(3, 2), final=final) - Q("2.25")


@given(decimals(0, 99), st.lists(decimals(-9, 60, 3)), st.none() | ROUNDINGS)
def test_lines_and_true_up(commitment: str, lines: list[str], rounding: Any) -> None:
    """Lines are rounded first, then summed."""
    total = sum((oracle.rounded(Q(line), rounding) for line in lines), Q(0))
    case = {"line_rounding": rounding}
    told = result("true_up", case | {"commitment": commitment, "billed_lines": lines})
    assert Q(told["true_up"]) == max(Q(0), Q(commitment) - total)
    assert Q(result("rounded_sum", case | {"lines": lines})["total"]) == total


RULES = st.lists(
    st.fixed_dictionaries({
        "unit_price": decimals(0, 9), "commitment": decimals(0, 99), "true_up": st.booleans(),
        "commitment_kind": st.sampled_from(["amount", "quantity"]),
        "overage_factor": decimals(0, 3),
    }), min_size=1, max_size=3,
)  # fmt: skip


@given(RULES, st.lists(st.tuples(st.integers(0, 2), decimals(0, 60))))
def test_windows_with_a_commitment(rules: list[Any], drawn: list[tuple[int, str]]) -> None:
    """Each window by itself."""
    rules = [rule | {"id": str(at)} for at, rule in enumerate(rules)]
    total, windows = Q(0), []
    for at, quantity in drawn:
        rule = rules[at % len(rules)]
        windows.append({"rule": rule["id"], "quantity": quantity})
        usage, held = (
            Q(quantity) * Q(rule["unit_price"]),
            Q(rule["commitment"]),
        )
        held *= Q(rule["unit_price"]) if rule["commitment_kind"] == "quantity" else 1
        if usage > held:
            total += held + (usage - held) * Q(rule["overage_factor"])
        else:
            total += held if rule["true_up"] else usage
    told = result("windowed_commitment", {"rules": rules, "windows": windows})
    assert Q(told["amount"]) == total


FREE = {"free_events": st.integers(0, 4), "free_amount": st.integers(0, 90).map(str)}
TARIFF = {"rate_percent": decimals(0, 9), "fixed_fee": decimals(0, 2)}
BOUNDS = {"min_per_transaction": decimals(0, 3), "max_per_transaction": decimals(2, 9)}
TRANSACTIONS = st.lists(decimals(0, 60) | st.integers(0, 45).map(str), max_size=6)


@given(
    st.fixed_dictionaries(TARIFF | {"free_rule": st.just("period_total")}, optional=FREE)
    | st.fixed_dictionaries(
        TARIFF | {"free_rule": st.just("per_transaction")}, optional=FREE | BOUNDS
    ),
    TRANSACTIONS,
)
@settings(max_examples=100)
def test_percentage_fees(tariff: dict[str, Any], transactions: list[str]) -> None:
    """Both rules, with every mixture of free events, free amount and bounds."""
    got = result("percentage_fee", {"tariff": tariff, "transactions": transactions})["amount"]
    assert Q(got) == oracle.fee(tariff, [Q(each) for each in transactions])


@st.composite
def proration_terms(draw: st.DrawFn) -> dict[str, Any]:
    """A proration of any basis, over month ends, leap days and years."""
    basis = draw(st.sampled_from(["actual", "fixed_month", "actual_over_fixed",
                                  "calendar_months", "fraction"]))  # fmt: skip
    if basis == "fraction":
        return {"basis": basis, "numerator": draw(decimals(0, 40)), "denominator": "30"}
    start = draw(st.dates(date(2023, 12, 1), date(2024, 4, 1)))
    end = start + timedelta(draw(st.integers(0, 100)))
    terms: dict[str, Any] = {"basis": basis, "service_from": str(start), "service_to": str(end)}
    if basis == "actual":
        return terms | {"period_from": str(start), "period_to": str(start + timedelta(30))}
    return terms if basis == "calendar_months" else terms | {"fixed_days": 30}


PART = st.fixed_dictionaries({"full_amount": decimals(-99, 99), "proration": proration_terms()})
LINES = st.lists(PART, min_size=1, max_size=3)


@given(LINES, LINES, ROUNDINGS)
def test_parts_of_a_period(credit: list[Any], charge: list[Any], rounding: Any) -> None:
    """Each basis counted day by day; a change is credits and charges of such parts."""
    slow = [
        sign * oracle.rounded(Q(line["full_amount"]) * oracle.share(line["proration"]), rounding)
        for sign, lines in ((-1, credit), (1, charge))
        for line in lines
    ]
    case = {"credit": credit, "charge": charge, "line_rounding": rounding}
    told = result("plan_change", case)
    assert exact(told["lines"]) == slow
    assert Q(told["net"]) == sum(slow)
    single = result("proration", credit[0] | {"rounding": rounding})
    assert Q(single["amount"]) == -slow[0]


@given(
    st.lists(st.tuples(st.integers(1, 6), decimals(0, 9), decimals(0, 3)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(-6, 9).filter(bool), decimals(-9, 9)), max_size=5),
)
def test_seats(drawn: list[tuple[int, str, str]], moves: list[tuple[int, str]]) -> None:
    """Seat by seat along the tiers."""
    tiers: list[dict[str, Any]] = []
    bound = 0
    for size, price, flat in drawn:
        bound += size
        tiers.append({"up_to": str(bound), "unit_price": price, "flat_fee": flat})
    tiers[-1]["up_to"] = None
    changes = [{"units": str(units), "prorated_units": part} for units, part in moves]
    rounding = {"mode": "half_up", "scale": 6}
    case = {"tariff": {"tiers": tiers}, "changes": changes, "rounding": rounding}
    got = Q(result("seat_change", case)["amount"])
    assert got == oracle.rounded(oracle.seats(tiers, changes), rounding)


DISCOUNTS = st.lists(
    st.fixed_dictionaries({"type": st.just("percent"), "percent": decimals(0, 60)})
    | st.fixed_dictionaries({"type": st.just("fixed"), "amount": decimals(0, 60)},
                            optional={"already_used": decimals(0, 60)}), max_size=4,
)  # fmt: skip


@given(st.lists(decimals(0, 60), min_size=1, max_size=5), DISCOUNTS, MODES)
def test_discounts(lines: list[str], discounts: list[Any], mode: str) -> None:
    """The order, the caps, and an allocation whose parts add up."""
    case = {"lines": lines, "discounts": discounts, "rounding": {"mode": mode, "scale": 2}}
    told, slow = result("discount", case), oracle.discount(case)
    assert exact(told["discounts"]) == slow["discounts"]
    assert exact(told["allocations"]) == slow["allocations"]
    assert sum(exact(told["line_totals"])) == Q(told["net"])
    assert Q(told["net"]) + Q(told["total_discount"]) == sum(exact(lines))


@given(decimals(-99, 99), decimals(0, 9), decimals(0, 30), ROUNDINGS)
def test_taxes(price: str, quantity: str, percent: str, rounding: Any) -> None:
    """Net prices round three exact values; gross prices keep what the tag says."""
    line, rate = Q(price) * Q(quantity), Q(percent) / 100
    case = {"price": price, "quantity": quantity, "tax_percent": percent, "rounding": rounding}
    told = result("tax", case | {"price_is": "net"})
    slow = [oracle.rounded(each, rounding) for each in (line, line * rate, line + line * rate)]
    assert exact([told["net"], told["tax"], told["gross"]]) == slow
    told = result("tax", case | {"price_is": "gross"})
    net, gross = oracle.rounded(line / (1 + rate), rounding), oracle.rounded(line, rounding)
    assert exact([told["net"], told["tax"], told["gross"]]) == [net, gross - net, gross]


@given(decimals(0, 60), decimals(1, 90), st.lists(decimals(0, 30)), ROUNDINGS)
def test_credits(credited: str, subtotal: str, taxes: list[str], rounding: Any) -> None:
    """Each tax in proportion; no credit above what was paid."""
    case = {"credited": credited, "invoice_subtotal": subtotal, "taxes": taxes}
    told = result("credit_note_tax", case | {"rounding": rounding})
    slow = [oracle.rounded(Q(tax) * Q(credited) / Q(subtotal), rounding) for tax in taxes]
    assert exact(told["tax_credits"]) == slow
    assert Q(told["total"]) == Q(credited) + sum(slow)
    unrounded = exact(result("credit_note_tax", case)["tax_credits"])
    for tax, got in zip(taxes, unrounded, strict=True):
        assert abs(got - Q(tax) * Q(credited) / Q(subtotal)) * 10**28 <= 1
    request = {"credit": credited, "original_paid": subtotal, "already_credited": "30"}
    (allowed,) = exact(result("credit_cap", {"requests": [request]})["credits"])
    assert allowed == min(Q(credited), max(Q(0), Q(subtotal) - 30))
