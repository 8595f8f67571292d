"""Every pricing case of the tree comes out as expected, through the function behind the command."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from ledger.errors import Invalid
from rating.cases import KINDS, evaluate, read_cases

CASES = [
    pytest.param(case, id=f"{path.stem}-{case['id']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.json"))
    for case in read_cases(path.read_bytes())
]


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_as_computed_by_hand(case: dict[str, object]) -> None:
    """The result is what the case expects; no field of it is ignored."""
    told = evaluate(case)
    error = case.get("expected_error")
    if error is not None:
        assert told.error is not None
        assert str(error) in told.error
        return
    assert told.error is None
    assert told.differences == []
    assert told.ignored == []
    assert case["expected"], "a case without expectation proves nothing"
    json.dumps(told.result, allow_nan=False)


# For each kernel, a case file that has to notice when it is wrong.
KERNELS = [
    ("rating.cases.amounts.round_amounts", "round"),
    ("rating.cases.amounts.allocate", "amounts"),
    ("rating.cases.amounts.credited_tax", "amounts"),
    ("rating.cases.amounts.capped_credits", "amounts"),
    ("rating.cases.amounts.rounded_lines", "amounts"),
    ("rating.cases.amounts.true_ups", "spend"),
    ("rating.cases.parts.share_of", "parts"),
    ("rating.cases.parts.change_lines", "parts"),
    ("rating.cases.parts.seat_amount", "parts"),
    ("rating.cases.periods.price_quantities", "periods"),
    ("rating.cases.spend.booked_deltas", "spend"),
    ("rating.cases.spend.period_total_fee", "spend"),
    ("rating.cases.spend.progressive_lines", "spend"),
    ("rating.cases.spend.transaction_fees", "spend"),
    ("rating.cases.spend.windowed_amounts", "spend"),
    ("rating.tiers._tier_numerator", "periods"),
    ("rating.pricing.divide_half_up", "sessions"),
    ("rating.pieces.whole_increments", "sessions"),
    ("rating.prefixes.intervals_of_texts", "sessions"),
    ("rating.cases.sessions.encode_texts", "sessions"),
    ("rating.cases.sessions.affordable_units", "sessions"),
    ("rating.cases.calendar.anchor_days", "calendar"),
    ("rating.rounding.divide", "amounts"),
    ("rating.carried.marked_up", "services"),
    ("rating.cases.services.split", "services"),
    ("rating.cases.contracts.fair_use_volume", "contracts"),
    ("rating.cases.contracts.remaining_charges", "contracts"),
    ("rating.spend_limits.running", "contracts"),
    ("rating.cases.agreements.frame_percents", "agreements"),
    ("rating.iot.share_of", "agreements"),
    ("rating.maritime.in_sdr", "agreements"),
]


@pytest.mark.parametrize(("kernel", "file"), KERNELS)
def test_a_broken_kernel_is_seen_by_the_cases(
    kernel: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases run through the functions that bill: off by one unit of them, and cases fail."""
    cases = read_cases((Path(__file__).parent / "cases" / f"{file}.json").read_bytes())
    sound = [evaluate(case).ok for case in cases]
    module, name = kernel.rsplit(".", 1)
    right = getattr(import_module(module), name)
    monkeypatch.setattr(kernel, lambda *args, **kwargs: right(*args, **kwargs) + 1)
    assert [evaluate(case).ok for case in cases] != sound


@pytest.mark.parametrize(
    ("case", "error"),
    [
        (5, "A case is an object"),
        ({"kind": "round", "given": {}}, "/id is missing."),
        ({"id": "a"}, "/kind is missing; known are"),
        ({"id": "a", "kind": "nope"}, "/kind is 'nope'; known are"),
        ({"id": "a", "kind": "tax"}, "/given is missing."),
        ({"id": "a", "kind": "tax", "given": []}, "/given needs an object."),
        ({"id": "a", "kind": "tax", "given": {}}, "/given/price is missing."),
        ({"id": "a", "kind": "tax", "given": {"price": 1.5}}, "/given/price a decimal is written"),
        ({"id": "a", "kind": "tax", "given": {"price": float("nan")}}, "/given/price a decimal"),
        ({"id": "a", "kind": "tax", "given": {"price": "NaN"}}, "/given/price needs a decimal"),
        ({"id": "a", "kind": "tax", "given": {"price": "1e999"}}, "/given/price has more than 60"),
        ({"id": "a", "kind": "tax", "given": {"price": "9" * 61}}, "/given/price has more than 60"),
        ({"id": "a", "kind": "tax", "given": {"price": True}}, "/given/price needs a decimal"),
        ({"id": "a", "kind": "tax", "given": {"price": "１"}}, "/given/price needs a decimal"),
        ({"id": "a", "kind": "round", "given": {"values": {}}}, "/given/values needs a list."),
        ({"id": "a", "kind": "round", "given": {"values": [3]}}, "/given/values/0 needs an object"),
        (
            {"id": "a", "kind": "rounded_sum", "given": {
                "lines": ["1"], "line_rounding": {"mode": "nearest", "scale": 2}}},
            "/given/line_rounding/mode is 'nearest'; allowed are up, down",
        ),
        (
            {"id": "a", "kind": "period_price", "given": {"quantities": ["1"], "price": {
                "model": "graduated", "tiers": [{"up_to": None, "unit_price": "1"}] * 2}}},
            "/given/price/tiers: Tier 2 must end above the one before",
        ),
        (
            {"id": "a", "kind": "proration", "given": {"full_amount": "1", "proration": {
                "basis": "actual", "service_from": "2026-01-01", "service_to": "2026-01-01",
                "period_from": "2026-01-01", "period_to": "2026-01-01"}}},
            "at least a day",
        ),
        (
            {"id": "a", "kind": "session", "given": {
                "tariff": {"versions": [{"zones": {"N": ["47"]}, "bands": [], "rates": [
                    {"zone": "N", "steps": [
                        {"from": "0", "price": "1.01", "per": "1000000"},
                        {"from": "9", "price": "1.01", "per": "1073741824"}]}]}]},
                "policy": {"event_rounding": {"mode": "up", "scale": 2}},
                "events": [{"id": "e", "start": "2026-01-01T00:00:00",
                            "quantity": "60", "destination": "47"}]}},
            "/given/tariff: the prices of a zone do not fit in 64 bits",
        ),
    ],
)  # fmt: skip
def test_a_faulty_case_says_where(case: object, error: str) -> None:
    """What cannot be evaluated is an error with a pointer, never a figure."""
    told = evaluate(case)
    assert told.result is None
    assert error in (told.error or "")


def test_only_what_is_expected_is_compared() -> None:
    """Decimals by value, the named fields only, lists in order; the result carries all fields."""
    case = read_cases((Path(__file__).parent / "cases" / "amounts.json").read_bytes())[0]
    assert set(evaluate(case).result or {}) == {
        "discounts", "total_discount", "net", "allocations", "line_totals"
    }  # fmt: skip
    assert evaluate(case | {"expected": {"net": "23.000"}}).ok
    told = evaluate(case | {"expected": {"net": "23.01", "discounts": ["4", "3"], "x": None}})
    assert [(d.pointer, d.expected, d.got) for d in told.differences] == [
        ("/expected/net", "23.01", "23"),
        ("/expected/discounts/0", "4", "3"),
        ("/expected/discounts/1", "3", "4"),
        ("/expected/x", None, None),
    ]


def test_a_misspelt_field_is_pointed_out() -> None:
    """A field that no kind looks at is said, or its author believes that it counts."""
    lines = '{"lines": ["1"], "rouding": {}}'
    (case,) = read_cases(f'{{"id": "a", "kind": "rounded_sum", "given": {lines}}}')
    assert evaluate(case).ignored == ["/given/rouding"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", 'A file holds one case, a list of cases, or {"cases": [...]}'),
        ("[1,", "is not readable as JSON"),
        ("[" * 10**5, "is not readable as JSON"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice"),
        ('{"cases": [], "cases": []}', "has the key 'cases' twice"),
        ('{"cases": 1}', "needs a list"),
        ('{"cases": {}}', "needs a list"),
    ],
)
def test_a_file_that_is_no_case_file_is_refused(text: str, told: str) -> None:
    """In one sentence, whatever it holds."""
    with pytest.raises(Invalid) as refused:
        read_cases(text)
    assert told in str(refused.value)


def test_a_key_given_twice_is_the_fault_of_its_case_alone() -> None:
    """Which of the two counts nobody can say; the cases beside it are answered."""
    sound = '{"id": "a", "kind": "rounded_sum", "given": {"lines": ["1"]}}'
    deep = '{"id": "b", "kind": "round", "given": {"values": [{"x/y": 1, "x/y": 2}]}}'
    outer = '{"id": "c", "id": "d", "kind": "rounded_sum", "given": {"lines": ["1"]}}'
    told = [evaluate(case) for case in read_cases(f"[{sound}, {deep}, {outer}, {sound}]")]
    assert [each.error for each in told] == [
        None, "/given/values/0/x~1y is given twice in one object.",
        "/id is given twice in one object.", None,
    ]  # fmt: skip


def test_the_examples_of_the_pricing_page_hold() -> None:
    """What docs/pricing.md shows is what the command answers."""
    page = Path(__file__).resolve().parents[2] / "docs" / "pricing.md"
    shown = re.findall(r"```json\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert len(shown) >= 4
    for text in shown:
        (told,) = map(evaluate, read_cases(text))
        assert (told.ok, told.ignored) == (True, []), told


def test_the_pricing_page_names_every_kind() -> None:
    """Whoever writes a case finds its kind there, and no kind that there is not."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "pricing.md").read_text("utf-8")
    trying = page[page.index("## Trying a price") :]
    rows = re.findall(r"^\| `(\w+)` \|", trying, re.MULTILINE)
    (others,) = re.findall(r"Of this house alone, and shown above:(.*?)\.", trying, re.DOTALL)
    named = [*rows, *re.findall(r"`(\w+)`", others)]
    assert sorted(named) == sorted(KINDS)
