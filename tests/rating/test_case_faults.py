"""Odd figures in cases: each has an answer, or an error that names its place; none is a mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rating.cases import evaluate, read_cases

HUGE = "9" * 55
STEP = {"from": "0", "price": "1", "per": "1", "increment": None}
TARIFF = {"versions": [{"zones": {"N": ["47"]}, "rates": [{"zone": "N", "steps": [STEP]}]}]}
CALL = {"id": "a", "start": "2026-03-02T12:00:00", "quantity": "10", "destination": "47"}
SHARE = {"holder": "own", "percent": "15"}
CARD = {"included": "1", "price": "1", "cards": ["a"], "sessions": [{"card": "a", "octets": "1"}]}
ITEM = {"authority": "NO01", "ship": "257000001", "on": "2026-03-05", "service": "voice",
        "unit": "XDR", "charges": ["1"]}  # fmt: skip
FAIR = {"price": "499", "price_is": "net", "cap": "1.10", "events": [{"octets": "1"}]}
FEE = {"rate_percent": "1", "free_rule": "period_total", "free_events": "-1"}
SEATS = [{"units": "5", "prorated_units": "5"}]
TERM = {"charge": "2400", "begun": "2026-01-01", "months": "12", "ceased": "2026-07-02"}
SALE = {"id": "a", "service": "A", "on": "2026-03-01", "price": "1", "currency": "EUR"}
FREE_EURO = {"currency": "EUR", "valid_from": "2026-01-01", "rate": "0"}


def _told(kind: str, given: dict[str, Any]) -> str:
    case = {"id": "odd", "kind": kind, "given": given}
    done = evaluate(read_cases(json.dumps(case))[0])
    assert done.result is None, done
    assert done.error is not None
    return done.error


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("revenue_share", {"provider": "S", "prices": [2**63], "shares": [SHARE]},
         "/given/prices do not fit"),
        ("fair_use", {**FAIR, "events": [{"octets": HUGE}]}, "/given/events/0/octets must be from"),
        ("fair_use", {**FAIR, "cap": "0"}, "/given/cap must be above zero"),
        ("fair_use", {**FAIR, "cap": "0.000001", "rate": "0.1"}, "less than a millionth"),
        ("fair_use", {**FAIR, "vat_percent": "12.345"}, "/given/vat_percent has more than two"),
        ("spend_limit", {"limit": "1", "notify": ["0.5"], "events": []}, "/given/notify needs"),
        ("binding_rest", {**TERM, "months": HUGE}, "/given/months must be from 0 to"),
        ("binding_rest", {**TERM, "begun": "9999-12-31"}, "/given/months end behind the year 9999"),
        ("day_count", {"time_zone": "Europe/Oslo", "start": "2026-01-01", "end": "9999-12-31"},
         "/given/end lies behind the year 9899"),
        ("seat_change", {"tariff": {"tiers": []}, "changes": SEATS}, "tiers is empty: no seat"),
        ("percentage_fee", {"tariff": FEE, "transactions": ["1"]}, "/tariff/free_events must"),
        ("seat_change", {"tariff": {"tiers": [{"unit_price": "1"}]}, "changes": [
            {"units": "0", "prorated_units": "1"}]},
         "/given/changes are wrong: Units cannot be prorated in a change of no units."),
        ("proration", {"full_amount": "1", "proration": {
            "basis": "actual_over_fixed", "service_from": "2026-01-02",
            "service_to": "2026-01-01"}},
         "/given/proration is wrong: The span from 2026-01-02 to 2026-01-01 ends before"),
        ("prefix_lookup", {"rates": [], "keys": [], "record": {}}, "/given/keys is empty"),
        ("band_segments", {"bands": [], "event": {**CALL, "quantity": "1e30"}},
         "/given/event/quantity lasts longer"),
        ("pool_month", {**CARD, "step": "0"}, "/given/step must be from 1 to"),
        ("pool_month", {**CARD, "sessions": [{"card": "a", "octets": "-1"}]}, "must be from 0 to"),
        ("maritime_account", {"rate": [], "items": [{**ITEM, "charges": [HUGE]}]},
         "/given/items/0/charges do not fit"),
        ("carried_price", {"exchange": [FREE_EURO], "terms": [], "events": [SALE]},
         "/given/exchange/0/rate must be above zero"),
    ],
)  # fmt: skip
def test_a_figure_that_cannot_be_is_told_with_its_place(
    kind: str, given: dict[str, Any], told: str
) -> None:
    """Too large, zero where something is divided by it, an empty list."""
    assert told in _told(kind, given)


def test_a_step_that_fits_nowhere_is_told() -> None:
    """A step from 10^30 seconds on, beside one that prices the call."""
    far = json.loads(json.dumps(TARIFF))
    far["versions"][0]["rates"][0]["steps"].append({**STEP, "from": "1e30"})
    assert "do not fit in 64 bits" in _told("session", {"tariff": far, "events": [CALL]})


def test_an_event_that_fits_in_no_column_is_told_with_its_place() -> None:
    """The second of two calls, so long that it ends behind the years that are priced."""
    given = {"tariff": TARIFF, "events": [CALL, {**CALL, "id": "b", "quantity": "4e18"}]}
    told = _told("session", given)
    assert told.startswith("/given/events/1 cannot be priced: OUT_OF_RANGE; a call that bands ")
    assert told.endswith("and ends before 9999, and a quantity is at most 1152921504606846976.")


def test_a_unit_price_is_of_the_billed_quantity_where_one_is_given() -> None:
    """One open tier holds every quantity, and prices what is billed; 3 of it are free."""
    price = {"model": "unit", "unit_price": "0.50", "free_quantity": "3"}
    given = {"price": price, "quantities": ["5", "0"], "billed_quantities": ["9", "4"]}
    done = evaluate(read_cases(json.dumps({"id": 1, "kind": "period_price", "given": given}))[0])
    assert done.result == {"amounts": ["3", "0.5"]}


def test_a_period_without_a_billed_quantity_of_its_own_is_billed_as_used() -> None:
    """Null is not given, in a list too; a list that is too short is told with both lengths."""
    price = {"model": "volume", "tiers": [{"up_to": "10", "unit_price": "2"},
                                          {"up_to": None, "unit_price": "1"}]}  # fmt: skip
    given = {"price": price, "quantities": ["5", "20"], "billed_quantities": [None, "30"]}
    done = evaluate(read_cases(json.dumps({"id": 1, "kind": "period_price", "given": given}))[0])
    assert done.result == {"amounts": ["10", "30"]}
    short = {**given, "billed_quantities": ["1"]}
    assert "/given/billed_quantities has 1 items; 2 are needed." in _told("period_price", short)


@pytest.mark.parametrize(
    ("kind", "given", "result"),
    [
        ("prefix_lookup",
         {"keys": ["a"], "record": {"a": "\ud800x"}, "rates": [
             {"id": 1, "match": {"a": ["\ud800"]}}, {"id": 2, "match": {"a": ["\ud801", ""]}}]},
         {"rate": 1}),
        ("proration",
         {"full_amount": "31", "proration": {"basis": "calendar_months",
          "service_from": "9999-11-30", "service_to": "9999-12-31"}},
         {"amount": "31.0333333333333333333333333333"}),
        ("allowance",
         {"buckets": [{"id": "a", "balance": "1", "priority": "1e-59"},
                      {"id": "b", "balance": "1", "priority": "-1e40"}],
          "events": [{"id": 1, "quantity": "1"}]},
         {"events": [{"event": 1, "free_quantity": "1", "charge": "0", "granted_quantity": "1"}],
          "remaining": {"a": "1", "b": "0"}, "uncovered": "0"}),
    ],
)  # fmt: skip
def test_what_is_odd_but_clear_has_an_answer(
    kind: str, given: dict[str, Any], result: dict[str, Any]
) -> None:
    """Half of a surrogate pair, the last month there is, a priority finer than any figure."""
    case = read_cases(json.dumps({"id": "odd", "kind": kind, "given": given}))[0]
    done = evaluate(case)
    assert (done.error, done.result) == (None, result)
